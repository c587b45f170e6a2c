// block_pool: memory for many small records that come and go in any order.
//
// A general allocator has to find and join neighbours when a hundred thousand records are alive at a
// time; here a freed block only goes to the list of its size. Not an arena: blocks are given back one
// by one, and the memory as a whole once no block is taken. Thread-compatible.
//
// Invariant: a block of size class c is kStep * c bytes and stays of that class; class 0 is what
// is too large for the pool and comes from malloc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/assert.h"

namespace bolide {

class BlockPool {
 public:
  static constexpr size_t kStep = 32;
  static constexpr size_t kLargest = 512;
  static constexpr size_t kSlab = 64 * 1024;

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // class_of tells in which class a record of `bytes` (more than 0) is; give() has to be told it.
  static uint8_t class_of(size_t bytes) {
    return kPooled && bytes <= kLargest ? static_cast<uint8_t>((bytes + kStep - 1) / kStep) : 0;
  }

  // take returns `bytes` of memory, aligned as by malloc; never nullptr.
  void* take(size_t bytes) {
    const uint8_t size_class = class_of(bytes);
    if (size_class == 0) {
      void* memory = std::malloc(bytes);
      BOLIDE_CHECK(memory != nullptr, "no memory for a record");
      return memory;
    }
    ++taken_;
    Free* block = free_[size_class];
    if (block == nullptr) return carve(kStep * size_class);
    free_[size_class] = block->next;
    return block;
  }

  // give takes back what take() returned.
  void give(void* memory, uint8_t size_class) {
    if (size_class == 0) {
      std::free(memory);
      return;
    }
    auto* block = static_cast<Free*>(memory);
    block->next = free_[size_class];
    free_[size_class] = block;
    if (--taken_ == 0 && slabs_.size() > 1) give_back();
  }

  size_t slabs() const { return slabs_.size(); }

 private:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr bool kPooled = false;  // so that it sees what is used after it was given back
#else
  static constexpr bool kPooled = true;
#endif

  struct Free {
    Free* next;
  };

  void* carve(size_t bytes) {
    if (left_ < bytes) {
      slabs_.push_back(std::make_unique_for_overwrite<std::byte[]>(kSlab));
      next_ = slabs_.back().get();
      left_ = kSlab;
    }
    void* block = next_;
    next_ += bytes;
    left_ -= bytes;
    return block;
  }

  // give_back keeps one slab, for a program that always has a few records.
  void give_back() {
    slabs_.resize(1);
    free_.fill(nullptr);
    next_ = slabs_.front().get();
    left_ = kSlab;
  }

  std::array<Free*, kLargest / kStep + 1> free_{};
  std::vector<std::unique_ptr<std::byte[]>> slabs_;
  std::byte* next_ = nullptr;
  size_t left_ = 0;
  size_t taken_ = 0;
};

}  // namespace bolide
