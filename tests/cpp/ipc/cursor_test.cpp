// Reader and Writer: what a record claims never leads a reader beyond what it was given. The
// buffers are exactly as long as said, so AddressSanitizer sees every step too far.
#include "ipc/cursor.h"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "ipc/records.h"
#include "support/seeds.h"

using namespace bolide::ipc;
using support::below;
using support::one_in;

namespace {

volatile uint64_t sink;  // so that no read is optimised away

struct Exact {
  explicit Exact(uint64_t size_) : size(size_), bytes(new std::byte[size_]) {
    for (uint64_t i = 0; i < size; ++i) bytes[i] = std::byte(i + 1);
  }
  Reader reader() const { return Reader(bytes.get(), size); }
  uint64_t size;
  std::unique_ptr<std::byte[]> bytes;
};

uint64_t sum(const std::byte* data, uint64_t size) {
  uint64_t total = 0;
  for (uint64_t i = 0; i < size; ++i) total += static_cast<uint64_t>(data[i]);
  return total;
}

}  // namespace

TEST_CASE("reader: what a writer put is read again, part by part") {
  std::vector<std::byte> memory(8 + 24 + 16 + 16);
  Writer out(memory.data());
  out.put(uint64_t{77});
  out.put(ValueHeader{1, 2, 3, ValueKind::kStored, 5, 0});
  out.bytes("hello, ring", 11);  // takes 16
  const uint64_t ids[] = {8, 9};
  std::memcpy(out.skip(sizeof ids), ids, sizeof ids);
  out.bytes(nullptr, 0);
  CHECK(out.skip(0) == memory.data() + memory.size());

  Reader in(memory.data(), memory.size());
  CHECK(in.take<uint64_t>() == 77);
  const auto header = in.take<ValueHeader>();
  CHECK(header.contained == 3);
  CHECK(header.kind == ValueKind::kStored);
  CHECK(std::memcmp(in.bytes(11), "hello, ring", 11) == 0);
  CHECK(in.left() == 16);
  const uint64_t* read = in.ids(2);
  REQUIRE(read != nullptr);
  CHECK(read[0] == 8);
  CHECK(read[1] == 9);
  CHECK(in.left() == 0);
  CHECK(in.ok());
}

TEST_CASE("reader: a part that is too short gives nothing, and nothing can be read after it") {
  Exact exact(12);
  Reader in = exact.reader();
  CHECK(in.take<ValueHeader>().object == 0);
  CHECK_FALSE(in.ok());
  CHECK(in.left() == 0);
  CHECK(in.bytes(1) == nullptr);
  CHECK(in.take<uint8_t>() == 0);
  CHECK(in.ids(1) == nullptr);
  CHECK_FALSE(in.ok());
}

TEST_CASE("reader: the last part may lack its padding") {
  Exact exact(13);
  Reader in = exact.reader();
  CHECK(in.take<uint64_t>() != 0);
  const std::byte* last = in.bytes(5);
  REQUIRE(last != nullptr);
  CHECK(sum(last, 5) == 9 + 10 + 11 + 12 + 13);
  CHECK(in.ok());
  CHECK(in.left() == 0);
  CHECK(in.bytes(0) != nullptr);  // nothing of nothing is there
  CHECK(in.ok());
}

TEST_CASE("reader: sizes and counts near the end of all numbers do not wrap") {
  for (uint64_t size : {UINT64_MAX, UINT64_MAX - 7, uint64_t{1} << 63, uint64_t{17}}) {
    CAPTURE(size);
    Exact exact(16);
    Reader in = exact.reader();
    CHECK(in.bytes(size) == nullptr);
    CHECK_FALSE(in.ok());
  }
  for (uint64_t count : {UINT64_MAX, uint64_t{1} << 61, (uint64_t{1} << 61) + 1, uint64_t{3}}) {
    CAPTURE(count);
    Exact exact(16);
    Reader in = exact.reader();
    CHECK(in.ids(count) == nullptr);
    CHECK_FALSE(in.ok());
  }
}

TEST_CASE("reader: of nothing, only nothing can be read") {
  Reader in(nullptr, 0);
  CHECK(in.bytes(0) == nullptr);
  CHECK(in.ids(0) == nullptr);
  CHECK(in.ok());
  CHECK(in.take<uint64_t>() == 0);
  CHECK_FALSE(in.ok());
}

TEST_CASE("reader: random demands on records of any length stay inside them") {
  support::for_seeds(300, [](std::mt19937_64& random) {
    Exact exact(below(random, 70));
    Reader in = exact.reader();
    uint64_t read = 0;
    uint64_t total = 0;
    for (int i = 0; i < 12; ++i) {
      const uint64_t before = in.left();
      const bool was_ok = in.ok();
      switch (below(random, 4)) {
        case 0:
          total += in.take<uint64_t>();
          break;
        case 1:
          total += in.take<TaskHeader>().returns;
          break;
        case 2: {
          const uint64_t size = one_in(random, 8) ? random() : below(random, 20);
          if (const std::byte* at = in.bytes(size)) total += sum(at, size);
          break;
        }
        default: {
          const uint64_t count = one_in(random, 8) ? random() : below(random, 4);
          if (const uint64_t* ids = in.ids(count)) {
            for (uint64_t k = 0; k < count; ++k) total += ids[k];
          }
          break;
        }
      }
      read += before - in.left();
      REQUIRE(in.left() <= before);
      REQUIRE((was_ok || !in.ok()));  // it stays as it is
    }
    REQUIRE(read <= exact.size);
    sink = total;
  });
}
