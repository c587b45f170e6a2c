#include "store/copy_crew.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "os/cpu.h"
#include "os/futex.h"
#include "store/sizes.h"
#include "store/stream_copy.h"

namespace bolide::store {

namespace {

// Small enough that all threads end at about the same time, large enough that taking one, which
// costs a transfer of a cache line between cores, does not show.
uint64_t block_for(uint64_t size) {
  return std::clamp(size / 32, 64 * kKiB, kMiB) / kPage * kPage;
}

void copy_block(std::byte* to, const std::byte* from, uint64_t size, uint64_t whole) {
  if (whole < kStreamCopyFrom) {
    std::memcpy(to, from, size);
  } else {
    stream_copy(to, from, size);
  }
}

}  // namespace

void CopyCrew::copy(std::byte* to, const std::byte* from, uint64_t size) {
  if (size >= kCrewFrom && mutex_.try_lock()) {
    run(Work::kCopy, to, from, size);
    mutex_.unlock();
  } else if (size != 0) {
    copy_block(to, from, size, size);
  }
}

void CopyCrew::copy_to_fresh(std::byte* to, const std::byte* from, uint64_t size) {
  if (size >= kCrewFrom && mutex_.try_lock()) {
    if (!fill(to, from, size)) run(Work::kCopy, to, from, size);
    mutex_.unlock();
  } else {
    copy(to, from, size);
  }
}

bool CopyCrew::equal(const std::byte* a, const std::byte* b, uint64_t size) {
  if (size >= kCrewFrom && mutex_.try_lock()) {
    const bool same = run(Work::kCompare, const_cast<std::byte*>(a), b, size);
    mutex_.unlock();
    return same;
  }
  return size == 0 || std::memcmp(a, b, size) == 0;
}

void CopyCrew::stop() {
  stopping_.store(true, std::memory_order_seq_cst);  // partner: help
  signal_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) > 0) os::futex_wake(&signal_, kMostThreads);
  MutexLock lock(mutex_);
  started_ = true;
  for (os::Thread& helper : helpers_) helper.join();
  helpers_.clear();
  filler_ = os::PageFiller();
  filler_wanted_ = false;
}

bool CopyCrew::can_fill() {
  if (std::exchange(filler_wanted_, false)) {
    if (auto opened = os::PageFiller::open(); opened.is_ok()) filler_ = opened.take();
  }
  return filler_.valid();
}

// fill does the whole pages and, when they are there, what is left at both ends.
bool CopyCrew::fill(std::byte* to, const std::byte* from, uint64_t size) {
  if (!can_fill()) return false;
  const uint64_t head = (kPage - reinterpret_cast<uintptr_t>(to) % kPage) % kPage;
  const uint64_t pages = (size - head) / kPage * kPage;
  if (!filler_.begin(to + head, pages).is_ok()) return false;
  const bool filled = run(Work::kFill, to + head, from + head, pages);
  filler_.end(to + head, pages);
  if (!filled) return false;
  std::memcpy(to, from, head);
  std::memcpy(to + head + pages, from + head + pages, size - head - pages);
  return true;
}

bool CopyCrew::run(Work work, std::byte* to, const std::byte* from, uint64_t size) {
  if (!started_) start_helpers();
  const uint64_t head = (kPage - reinterpret_cast<uintptr_t>(to) % kPage) % kPage;
  const uint64_t block = block_for(size);
  const auto blocks = static_cast<uint32_t>((size - head + block - 1) / block);
  // acquire: what follows stays behind it; from here on no helper can take a block.
  position_.exchange(uint64_t{job_} << 32 | kClosed, std::memory_order_acq_rel);
  work_.store(work, std::memory_order_relaxed);
  to_.store(to, std::memory_order_relaxed);
  from_.store(from, std::memory_order_relaxed);
  size_.store(size, std::memory_order_relaxed);
  head_.store(head, std::memory_order_relaxed);
  block_.store(block, std::memory_order_relaxed);
  blocks_.store(blocks, std::memory_order_relaxed);
  holds_.store(true, std::memory_order_relaxed);
  finished_.store(0, std::memory_order_relaxed);
  position_.store(uint64_t{++job_} << 32, std::memory_order_release);  // partner: work_on_blocks
  signal_.fetch_add(1, std::memory_order_seq_cst);  // partner: help, which looks at it last
  if (sleepers_.load(std::memory_order_seq_cst) > 0) wake_helpers();
  work_on_blocks();
  await_helpers(blocks);
  return holds_.load(std::memory_order_relaxed);  // all blocks are counted: await_helpers
}

void CopyCrew::wake_helpers() {
  const int core = os::current_core();
  if (core != avoided_core_) {
    for (const os::Thread& helper : helpers_) helper.keep_off(core);
    avoided_core_ = core;
  }
  os::futex_wake(&signal_, kMostThreads);
}

void CopyCrew::start_helpers() {
  started_ = true;
  const int threads = std::min(threads_ != 0 ? threads_ : os::usable_cores(), kMostThreads);
  for (int i = 1; i < threads; ++i) {
    auto helper = os::start_thread("bolide-copy", [this] { help(); });
    if (!helper.is_ok()) break;  // the caller does more
    helpers_.push_back(helper.take());
  }
}

void CopyCrew::help() {
  uint32_t seen = 0;
  Nanos spin = kSpin;
  for (;;) {
    const Nanos began = now();
    uint32_t current;
    while ((current = signal_.load(std::memory_order_seq_cst)) == seen) {
      if (now() - began < spin) {
        os::relax();
        continue;
      }
      sleepers_.fetch_add(1, std::memory_order_seq_cst);  // partner: run, which adds to signal_ first
      os::futex_wait(&signal_, seen, -1);
      sleepers_.fetch_sub(1, std::memory_order_seq_cst);
    }
    seen = current;
    if (stopping_.load(std::memory_order_seq_cst)) return;
    spin = now() - began < kSpin ? kSpin : 0;
    work_on_blocks();
  }
}

void CopyCrew::work_on_blocks() {
  uint64_t at = position_.load(std::memory_order_acquire);  // partner: run
  for (;;) {
    // What is read here may be of a later job than `at`; then the exchange fails.
    const Work work = work_.load(std::memory_order_relaxed);
    std::byte* const to = to_.load(std::memory_order_relaxed);
    const std::byte* const from = from_.load(std::memory_order_relaxed);
    const uint64_t size = size_.load(std::memory_order_relaxed);
    const uint64_t head = head_.load(std::memory_order_relaxed);
    const uint64_t block = block_.load(std::memory_order_relaxed);
    const uint32_t blocks = blocks_.load(std::memory_order_relaxed);
    const auto i = static_cast<uint32_t>(at);
    if (i >= blocks) return;
    if (!position_.compare_exchange_weak(at, at + 1, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
      continue;
    }
    // The head goes with the first block. All others begin at a page of the target, so that no two
    // threads touch the same page.
    const uint64_t begin = i == 0 ? 0 : head + i * block;
    const uint64_t end = std::min(size, head + (i + uint64_t{1}) * block);
    std::byte* const target = to + begin;
    const std::byte* const source = from + begin;
    if (work == Work::kCopy) {
      copy_block(target, source, end - begin, size);
    } else if (holds_.load(std::memory_order_relaxed)) {
      const bool holds = work == Work::kFill ? filler_.fill(target, source, end - begin)
                                             : std::memcmp(target, source, end - begin) == 0;
      if (!holds) holds_.store(false, std::memory_order_relaxed);  // published by finished_
    }
    // Partner: await_helpers. The caller may go as soon as the last block is counted.
    const bool is_last = finished_.fetch_add(1, std::memory_order_seq_cst) + 1 == blocks;
    if (is_last && caller_sleeps_.load(std::memory_order_seq_cst)) os::futex_wake(&finished_, 1);
    at = position_.load(std::memory_order_acquire);
  }
}

void CopyCrew::await_helpers(uint32_t blocks) {
  const Nanos began = now();
  uint32_t finished;
  while ((finished = finished_.load(std::memory_order_seq_cst)) != blocks) {
    if (now() - began < kSpin) {
      os::relax();
      continue;
    }
    caller_sleeps_.store(true, std::memory_order_seq_cst);  // partner: the last block's counting
    os::futex_wait(&finished_, finished, kMillisecond);
    caller_sleeps_.store(false, std::memory_order_seq_cst);
  }
}

}  // namespace bolide::store
