// stream_copy: memcpy past the caches, for copies that are larger than them.
//
// A normal store first reads the line that it will overwrite: three transfers for each line
// copied instead of two. memcpy of the C library does this too, but only above a size of its own,
// which a copy in blocks never reaches. Where the processor has no such stores it is memcpy.
// (An #ifdef outside os/: it names a property of the processor, not of the system.)
//
// Thread safety: as memcpy. The stores are ordered before the return, as normal stores would be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace bolide::store {

#if defined(__SSE2__)
inline void stream_copy(std::byte* to, const std::byte* from, uint64_t size) {
  constexpr uint64_t kLine = 64;
  const uint64_t head = (kLine - reinterpret_cast<uintptr_t>(to) % kLine) % kLine;
  if (size < head + kLine) {
    std::memcpy(to, from, size);
    return;
  }
  std::memcpy(to, from, head);
  uint64_t at = head;
  for (; at + kLine <= size; at += kLine) {
    const auto* source = reinterpret_cast<const __m128i*>(from + at);
    auto* target = reinterpret_cast<__m128i*>(to + at);
    const __m128i a = _mm_loadu_si128(source);
    const __m128i b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2);
    const __m128i d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(target, a);
    _mm_stream_si128(target + 1, b);
    _mm_stream_si128(target + 2, c);
    _mm_stream_si128(target + 3, d);
  }
  _mm_sfence();
  std::memcpy(to + at, from + at, size - at);
}
#else
inline void stream_copy(std::byte* to, const std::byte* from, uint64_t size) {
  std::memcpy(to, from, size);
}
#endif

}  // namespace bolide::store
