#include "fuzz/mutate.h"

#include <algorithm>
#include <cstring>

namespace fuzz {
namespace {

constexpr uint64_t kWords[] = {0,          1,          2,          7,          8,          63,
                               64,         255,        256,        4095,       4096,       65535,
                               65536,      INT32_MAX,  1ull << 31, UINT32_MAX, 1ull << 32, 1ull << 40,
                               2ull << 40, INT64_MAX,  1ull << 63, UINT64_MAX, UINT64_MAX - 7};

size_t below(simulator::Random& random, size_t n) {
  return static_cast<size_t>(random.below(n));
}

void set_word(Bytes& bytes, simulator::Random& random) {
  const size_t width = size_t{1} << below(random, 4);
  if (bytes.size() < width) return;
  const size_t at = below(random, bytes.size() - width + 1) / width * width;
  uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, width);
  switch (below(random, 3)) {
    case 0:
      word = kWords[below(random, std::size(kWords))];
      break;
    case 1:
      word += random.below(33) - 16;
      break;
    default:
      word = random.below(UINT64_MAX);
  }
  std::memcpy(bytes.data() + at, &word, width);
}

void change(Bytes& bytes, const std::vector<Bytes>& pool, simulator::Random& random) {
  const size_t at = below(random, bytes.size() + 1);
  const size_t length = std::min(bytes.size() - at, 1 + below(random, 64));
  const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(at);
  const auto until = from + static_cast<std::ptrdiff_t>(length);
  switch (below(random, 8)) {
    case 0:
      if (!bytes.empty()) {
        bytes[at % bytes.size()] ^= static_cast<uint8_t>(1 << below(random, 8));
      }
      break;
    case 1:
      bytes.erase(from, until);
      break;
    case 2: {
      const Bytes copy(from, until);
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(random, bytes.size() + 1)),
                   copy.begin(), copy.end());
      break;
    }
    case 3: {
      const Bytes& other = pool[below(random, pool.size())];
      const size_t cut = below(random, other.size() + 1);
      bytes.insert(from, other.begin() + static_cast<std::ptrdiff_t>(cut), other.end());
      break;
    }
    case 4: {
      const Bytes& other = pool[below(random, pool.size())];
      bytes.insert(bytes.end(), other.begin(), other.end());
      break;
    }
    default:
      set_word(bytes, random);
  }
}

}  // namespace

Bytes mutated(const std::vector<Bytes>& pool, simulator::Random& random, size_t most) {
  Bytes bytes = pool[below(random, pool.size())];
  const size_t changes = 1 + below(random, 8);
  for (size_t i = 0; i < changes; ++i) change(bytes, pool, random);
  if (bytes.size() > most) bytes.resize(most);
  return bytes;
}

}  // namespace fuzz
