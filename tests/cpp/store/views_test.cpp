// Tests of views.h.
#include "store/views.h"

#include <sys/mman.h>

#include <atomic>
#include <thread>
#include <vector>

#include "store_testing.h"

using namespace bolide;
using namespace bolide::store;
using namespace bolide::store::testing;

namespace {

constexpr ChunkId kOne{1};
constexpr ChunkId kTwo{2};

// A sealed memfd whose page i is filled with i.
os::Fd numbered(uint64_t pages) {
  os::Fd fd = memfd(pages * kPage);
  auto mapping = os::Mapping::map(fd, pages * kPage, os::Access::kReadWrite);
  REQUIRE(mapping.is_ok());
  for (uint64_t i = 0; i < pages * kPage; ++i) mapping->data()[i] = std::byte(i / kPage);
  REQUIRE(os::seal_future_write(fd).is_ok());
  return fd;
}

}  // namespace

TEST_CASE("views: an unknown chunk is nowhere") {
  Views views;
  CHECK_FALSE(views.has(kOne));
  CHECK(views.resolve(at(1, 0, 0)) == nullptr);
  CHECK(views.resolve_pinned(at(1, 0, 0)) == nullptr);
  CHECK_FALSE(views.pin(kOne));
  CHECK_FALSE(views.unpin(kOne));
  CHECK_FALSE(views.drop(kOne));
  CHECK(views.mapped_bytes() == 0);
}

TEST_CASE("views: resolves what is in range and nothing else") {
  Views views;
  REQUIRE(views.add(kOne, numbered(4), 4 * kPage).is_ok());
  REQUIRE(views.add(kTwo, numbered(2), 2 * kPage).is_ok());
  CHECK(views.has(kOne));
  CHECK(views.mapped_bytes() == 6 * kPage);
  CHECK(*views.resolve(at(1, 0, 1)) == std::byte{0});
  CHECK(*views.resolve(at(1, 3 * kPage, kPage)) == std::byte{3});
  CHECK(*views.resolve(at(2, kPage, kPage)) == std::byte{1});
  CHECK(views.resolve(at(1, 4 * kPage, 0)) != nullptr);  // empty, at the end
  for (const Location& forged :
       {at(3, 0, 1), at(1, 0, 4 * kPage + 1), at(1, 4 * kPage, 1), at(1, 4 * kPage + 1, 0),
        at(2, 2 * kPage, 1), at(1, UINT64_MAX, 1), at(1, UINT64_MAX, UINT64_MAX),
        at(1, kPage, UINT64_MAX - kPage + 2), at(1, 1, UINT64_MAX)}) {
    CHECK(views.resolve(forged) == nullptr);
    CHECK(views.resolve_pinned(forged) == nullptr);
  }
  CHECK(views.stats().pins == 0);
}

TEST_CASE("views: what cannot be mapped is not added") {
  Views views;
  CHECK_FALSE(views.add(kOne, os::Fd(), kPage).is_ok());
  CHECK_FALSE(views.add(kOne, memfd(kPage), 2 * kPage).is_ok());  // longer than the file
  CHECK_FALSE(views.has(kOne));
}

TEST_CASE("views: adding twice keeps the first mapping") {
  Views views;
  REQUIRE(views.add(kOne, numbered(2), 2 * kPage).is_ok());
  const std::byte* before = views.resolve(at(1, 0, 1));
  REQUIRE(views.add(kOne, numbered(2), 2 * kPage).is_ok());
  CHECK(views.resolve(at(1, 0, 1)) == before);
  CHECK(views.mapped_bytes() == 2 * kPage);
}

TEST_CASE("views: a dropped chunk goes at once, or with its last pin") {
  Views views;
  REQUIRE(views.add(kOne, numbered(4), 4 * kPage).is_ok());
  REQUIRE(views.add(kTwo, numbered(4), 4 * kPage).is_ok());
  CHECK(views.drop(kTwo));
  CHECK_FALSE(views.drop(kTwo));
  CHECK_FALSE(views.has(kTwo));
  CHECK(views.mapped_bytes() == 4 * kPage);

  const std::byte* seen = views.resolve_pinned(at(1, 2 * kPage, 10));
  REQUIRE(seen != nullptr);
  CHECK(views.pin(kOne));
  CHECK_FALSE(views.drop(kOne));
  CHECK_FALSE(views.drop(kOne));
  CHECK_FALSE(views.has(kOne));
  CHECK(views.resolve(at(1, 0, 1)) == nullptr);
  CHECK(views.resolve_pinned(at(1, 0, 1)) == nullptr);
  CHECK(views.stats().closed == 1);
  CHECK(views.stats().pins == 2);
  CHECK(views.pin(kOne));  // a slice of a buffer that lives
  CHECK(views.unpin(kOne));
  CHECK(views.unpin(kOne));
  CHECK(*seen == std::byte{2});
  CHECK(views.unpin(kOne));
  CHECK(views.mapped_bytes() == 0);
  CHECK_FALSE(views.unpin(kOne));
}

TEST_CASE("views: unpinned but not dropped stays; more unpins than pins are refused") {
  Views views;
  REQUIRE(views.add(kOne, numbered(1), kPage).is_ok());
  CHECK(views.pin(kOne));
  CHECK(views.unpin(kOne));
  CHECK_FALSE(views.unpin(kOne));
  CHECK(views.has(kOne));
}

TEST_CASE("views: a chunk that comes back while its mapping is pinned is found again") {
  Views views;
  REQUIRE(views.add(kOne, numbered(1), kPage).is_ok());
  REQUIRE(views.pin(kOne));
  CHECK_FALSE(views.drop(kOne));
  REQUIRE(views.add(kOne, numbered(1), kPage).is_ok());
  CHECK(views.has(kOne));
  CHECK(views.unpin(kOne));
  CHECK(views.has(kOne));
}

TEST_CASE("views: the mapping is read-only for good") {
  Views views;
  REQUIRE(views.add(kOne, numbered(1), kPage).is_ok());
  void* page = const_cast<std::byte*>(views.resolve(at(1, 0, kPage)));
  CHECK(::mprotect(page, kPage, PROT_READ | PROT_WRITE) != 0);
}

TEST_CASE("views: threads add, read, pin, unpin and drop at once") {
  Views views;
  constexpr uint32_t kChunks = 6;
  std::vector<os::Fd> fds;
  for (uint32_t i = 0; i < kChunks; ++i) fds.push_back(numbered(3));
  std::atomic<uint64_t> wrong{0};
  const auto work = [&](uint64_t seed) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < 2000; ++i) {
      const uint32_t chunk = static_cast<uint32_t>(below(random, kChunks));
      const ChunkId id{chunk + 1};
      switch (below(random, 4)) {
        case 0:
          if (!views.add(id, fds[chunk], 3 * kPage).is_ok()) ++wrong;
          break;
        case 1:
          views.drop(id);
          break;
        default:
          if (const std::byte* seen = views.resolve_pinned(at(id.value, 2 * kPage, kPage))) {
            if (*seen != std::byte{2}) ++wrong;
            if (!views.unpin(id)) ++wrong;
          }
      }
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= 4; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(views.stats().pins == 0);
  CHECK(views.stats().closed == 0);
}
