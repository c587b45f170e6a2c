// fiber: a stack of its own that runs until it gives the processor back. All simulated threads are
// fibers of the one thread of the simulator, so a seed decides who runs when.
//
// Not a scheduler (machine.h), and no thread: what is thread_local is shared by all of them.
//
// Thread safety: none. Invariants: resume() is called from the stack that made the machine,
// suspend() from a fiber. A fiber is resumed until its body has returned; it is not destroyed
// before.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>

namespace simulator {

class Fiber {
 public:
  explicit Fiber(std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // resume runs the body until it suspends or returns. The body must not throw.
  void resume();
  void suspend();
  bool done() const { return done_; }

 private:
  static void enter(unsigned high, unsigned low);
  void leave(bool for_good);

  std::function<void()> body_;
  std::byte* stack_;
  ucontext_t own_;
  ucontext_t back_;
  bool done_ = false;
  // What the sanitizers must be told of, else unused.
  void* own_fake_stack_ = nullptr;
  void* back_fake_stack_ = nullptr;
  const void* back_stack_ = nullptr;
  size_t back_stack_bytes_ = 0;
  void* own_tsan_ = nullptr;
  void* back_tsan_ = nullptr;
};

}  // namespace simulator
