#include "simulated/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <vector>

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace simulator {
namespace {

// Instrumented frames are several times as large.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStackBytes = 1024 * 1024;
#else
constexpr size_t kStackBytes = 256 * 1024;
#endif
constexpr size_t kGuardBytes = 4096;

// Stacks are used again: a fresh one costs page faults.
std::vector<std::byte*>& spare_stacks() {
  static std::vector<std::byte*> stacks;
  return stacks;
}

std::byte* take_stack() {
  if (!spare_stacks().empty()) {
    std::byte* stack = spare_stacks().back();
    spare_stacks().pop_back();
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack, kStackBytes);
#endif
    return stack;
  }
  void* memory = ::mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  BOLIDE_CHECK(memory != MAP_FAILED, "no memory for a fiber's stack");
  BOLIDE_CHECK(::mprotect(memory, kGuardBytes, PROT_NONE) == 0, "a stack without a guard");
  return static_cast<std::byte*>(memory) + kGuardBytes;
}

}  // namespace

Fiber::Fiber(std::function<void()> body) : body_(std::move(body)), stack_(take_stack()) {
  ::getcontext(&own_);
  own_.uc_stack.ss_sp = stack_;
  own_.uc_stack.ss_size = kStackBytes;
  own_.uc_link = nullptr;
  const auto self = reinterpret_cast<uintptr_t>(this);
  ::makecontext(&own_, reinterpret_cast<void (*)()>(&Fiber::enter), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
#if defined(__SANITIZE_THREAD__)
  own_tsan_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
  BOLIDE_CHECK(done_, "a fiber was destroyed before its end");
  spare_stacks().push_back(stack_);
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(own_tsan_);
#endif
}

void Fiber::enter(unsigned high, unsigned low) {
  auto* fiber = reinterpret_cast<Fiber*>(static_cast<uintptr_t>(high) << 32 | low);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &fiber->back_stack_, &fiber->back_stack_bytes_);
#endif
  fiber->body_();
  fiber->done_ = true;
  fiber->leave(true);
}

void Fiber::resume() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&back_fake_stack_, stack_, kStackBytes);
#endif
#if defined(__SANITIZE_THREAD__)
  back_tsan_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(own_tsan_, 0);
#endif
  ::swapcontext(&back_, &own_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(back_fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::suspend() {
  leave(false);
}

void Fiber::leave(bool for_good) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &own_fake_stack_, back_stack_,
                                 back_stack_bytes_);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(back_tsan_, 0);
#endif
  static_cast<void>(for_good);
  ::swapcontext(&own_, &back_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own_fake_stack_, &back_stack_, &back_stack_bytes_);
#endif
}

}  // namespace simulator
