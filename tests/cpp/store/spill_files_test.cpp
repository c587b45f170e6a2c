// Tests of spill_files.h.
#include "store/spill_files.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "store/sizes.h"
#include "support/files.h"

using namespace bolide;
using namespace bolide::store;

namespace {

std::vector<std::byte> filled(uint64_t size, int value) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

void check(const SpillPlace& place, int value) {
  std::vector<std::byte> read(place.size());
  REQUIRE(place.read(read.data()).is_ok());
  CHECK(read == filled(place.size(), value));
}

}  // namespace

TEST_CASE("spill files: small objects share a file, and go one by one") {
  support::TemporaryFolder folder;
  SpillFiles files(folder.path(), 1);
  const long before = support::open_descriptors();
  std::vector<SpillPlace> places;
  for (int i = 0; i < 100; ++i) {
    places.push_back(files.place(1000 + static_cast<uint64_t>(i)).take());
    REQUIRE(places.back().write(filled(places.back().size(), i).data()).is_ok());
  }
  CHECK(support::open_descriptors() == before + 1);
  for (int i = 0; i < 100; i += 2) places[static_cast<size_t>(i)] = SpillPlace();
  for (int i = 1; i < 100; i += 2) check(places[static_cast<size_t>(i)], i);
  CHECK(files.place(0)->size() == 0);
}

TEST_CASE("spill files: a file that is full goes with its last place") {
  support::TemporaryFolder folder;
  SpillFiles files(folder.path(), 1);
  const long before = support::open_descriptors();
  {
    SpillPlace first = files.place(200 * kMiB).take();
    SpillPlace second = files.place(200 * kMiB).take();
    SpillPlace large = files.place(1000 * kMiB).take();  // nothing is written yet
    CHECK(support::open_descriptors() == before + 3);
    SpillPlace moved = std::move(first);
    CHECK_FALSE(first.valid());
    CHECK(moved.valid());
    CHECK(support::open_descriptors() == before + 3);
  }
  CHECK(support::open_descriptors() == before);
}

TEST_CASE("spill files: each of several writers has a file to itself") {
  support::TemporaryFolder folder;
  SpillFiles files(folder.path(), 2);
  const long before = support::open_descriptors();
  std::vector<SpillPlace> places;
  for (int i = 0; i < 6; ++i) {
    places.push_back(files.place(100 * kMiB).take());  // nothing is written yet
    CHECK(support::open_descriptors() == before + (i == 0 ? 1 : i < 4 ? 2 : i - 1));
  }
}

TEST_CASE("spill files: objects of all sizes come back whole") {
  support::TemporaryFolder folder;
  SpillFiles files(folder.path(), 2);
  std::vector<SpillPlace> places;
  for (uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{31}, 256 * kKiB, 256 * kKiB + 1,
                        256 * kKiB * 3 - 1, 70 * kMiB + 17}) {
    places.push_back(files.place(size).take());
    REQUIRE(places.back().write(filled(size, static_cast<int>(size % 251)).data()).is_ok());
  }
  for (const SpillPlace& place : places) check(place, static_cast<int>(place.size() % 251));
}

TEST_CASE("spill files: a file that was cut short and then written on has not what was written") {
  support::TemporaryFolder folder;
  SpillFiles files(folder.path(), 1);
  SpillPlace first = files.place(100'000).take();
  SpillPlace second = files.place(100'003).take();
  REQUIRE(first.write(filled(100'000, 1).data()).is_ok());
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(entry.path(), error).string();
    if (target.starts_with(folder.path())) REQUIRE(::truncate(entry.path().c_str(), 50'000) == 0);
  }
  REQUIRE(second.write(filled(100'003, 2).data()).is_ok());
  check(second, 2);
  std::vector<std::byte> read(first.size());
  const Status status = first.read(read.data());
  CHECK(status.code() == Code::kCorrupt);
  CHECK(status.message() == "the file does not have what was written to it");
}

TEST_CASE("spill files: a folder that is not there is an error each time") {
  SpillFiles files("/nonexistent", 2);
  CHECK(files.place(1).status().code() == Code::kSystem);
  CHECK(files.place(1).status().message().find("/nonexistent") != std::string::npos);
}
