// Tests of file.h.
#include "os/file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "support/faults.h"
#include "support/files.h"

using namespace bolide;

namespace {

std::vector<std::byte> bytes_of(size_t size, int seed) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251 + seed);
  return bytes;
}

}  // namespace

TEST_CASE("file: it has no name, and gives back what was written where it was written") {
  support::TemporaryFolder folder;
  const auto file = os::create_unnamed_file(folder.path());
  REQUIRE(file.is_ok());
  CHECK(std::filesystem::is_empty(folder.path()));
  const auto first = bytes_of(20 << 20, 1);
  const auto second = bytes_of(1000, 2);
  REQUIRE(os::write_at(*file, first.data(), first.size(), 0).is_ok());
  REQUIRE(os::write_at(*file, second.data(), second.size(), first.size()).is_ok());
  std::vector<std::byte> read(first.size());
  REQUIRE(os::read_at(*file, read.data(), read.size(), 0).is_ok());
  CHECK(read == first);
  read.resize(second.size());
  REQUIRE(os::read_at(*file, read.data(), read.size(), first.size()).is_ok());
  CHECK(read == second);
}

TEST_CASE("file: one that was cut short says so") {
  support::TemporaryFolder folder;
  const auto file = os::create_unnamed_file(folder.path());
  const auto bytes = bytes_of(10'000, 3);
  REQUIRE(os::write_at(*file, bytes.data(), bytes.size(), 0).is_ok());
  REQUIRE(::ftruncate(file->get(), 5'000) == 0);
  std::vector<std::byte> read(bytes.size());
  const Status status = os::read_at(*file, read.data(), read.size(), 0);
  CHECK(status.code() == Code::kCorrupt);
  CHECK(status.message() == "the file is shorter than what was written to it");
}

TEST_CASE("file: a hole gives disk space back") {
  support::TemporaryFolder folder;
  const auto file = os::create_unnamed_file(folder.path());
  const auto bytes = bytes_of(1 << 20, 4);
  REQUIRE(os::write_at(*file, bytes.data(), bytes.size(), 0).is_ok());
  ::fsync(file->get());
  os::punch_hole(*file, 0, bytes.size());
  struct stat info{};
  REQUIRE(::fstat(file->get(), &info) == 0);
  CHECK(info.st_size == 1 << 20);
  CHECK(info.st_blocks == 0);
}

TEST_CASE("file: a directory that is not there, and a disk that is full") {
  const Status missing = os::create_unnamed_file("/nonexistent/folder").status();
  CHECK(missing.message().find("making a file in /nonexistent/folder") == 0);
#ifdef BOLIDE_FAULTS
  support::TemporaryFolder folder;
  const auto file = os::create_unnamed_file(folder.path());
  const std::byte byte{1};
  support::FaultPlan faults("file.write=fail");
  CHECK(os::write_at(*file, &byte, 1, 0).code() == Code::kDiskFull);
#endif
}
