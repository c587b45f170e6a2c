// Tests of os/page_filler.h: pages come with their contents, and only where none was.
#include "os/page_filler.h"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "os/memory.h"

using namespace bolide;
using os::Access;
using os::Fd;
using os::Mapping;
using os::PageFiller;

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kSize = 16 * kPage;

Mapping new_memory() {
  Result<Fd> fd = os::create_memfd("test", kSize);
  REQUIRE(fd.is_ok());
  Result<Mapping> mapping = Mapping::map(*fd, kSize, Access::kReadWrite);
  REQUIRE(mapping.is_ok());
  REQUIRE(os::seal_future_write(*fd).is_ok());  // as the store does, before anything is written
  return mapping.take();
}

std::vector<std::byte> numbered(uint64_t size) {
  std::vector<std::byte> bytes(size);
  for (uint64_t i = 0; i < size; ++i) bytes[i] = std::byte((i * 0x9e3779b97f4a7c15u) >> 56);
  return bytes;
}

}  // namespace

TEST_CASE("page filler: pages are there with their contents, from an address of any alignment") {
  Result<PageFiller> filler = PageFiller::open();
  if (!filler.is_ok()) return;  // a sandbox: who asks must do without
  const Mapping memory = new_memory();
  const std::vector<std::byte> source = numbered(kSize + 3);
  REQUIRE(filler->begin(memory.data(), kSize).is_ok());
  CHECK(filler->fill(memory.data() + kPage, source.data() + kPage + 3, kSize - kPage));
  CHECK(filler->fill(memory.data(), source.data() + 3, kPage));
  filler->end(memory.data(), kSize);
  CHECK(std::memcmp(memory.data(), source.data() + 3, kSize) == 0);
  memory.data()[5] = std::byte{1};  // and can be written as any others
}

TEST_CASE("page filler: what was there is left alone, and the answer is no") {
  Result<PageFiller> filler = PageFiller::open();
  if (!filler.is_ok()) return;
  const Mapping memory = new_memory();
  memory.data()[2 * kPage] = std::byte{7};
  const std::vector<std::byte> source = numbered(kSize);
  REQUIRE(filler->begin(memory.data(), kSize).is_ok());
  CHECK_FALSE(filler->fill(memory.data(), source.data(), kSize));
  filler->end(memory.data(), kSize);
  CHECK(memory.data()[2 * kPage] == std::byte{7});
  CHECK(memory.data()[kSize - 1] == std::byte{0});  // a page that was not filled is a page of zeros
}

TEST_CASE("page filler: a source that cannot be read, and memory of no memfd") {
  Result<PageFiller> filler = PageFiller::open();
  if (!filler.is_ok()) return;
  const Mapping memory = new_memory();
  REQUIRE(filler->begin(memory.data(), kSize).is_ok());
  CHECK_FALSE(filler->fill(memory.data(), reinterpret_cast<const std::byte*>(kPage), kPage));
  filler->end(memory.data(), kSize);
  CHECK_FALSE(filler->begin(memory.data() + 1, kPage).is_ok());
  CHECK_FALSE(PageFiller().begin(memory.data(), kSize).is_ok());
}
