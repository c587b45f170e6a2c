#include "store/spill_files.h"

#include <bit>
#include <cstring>
#include <utility>

#include "os/file.h"

namespace bolide::store {
namespace {

// checksum tells other bytes from these, whoever changed them by accident: a file that is cut short
// and then written on has zeros in between. Four lanes, because one would wait for its multiplier.
uint64_t checksum(const std::byte* from, uint64_t size) {
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15;
  uint64_t lanes[4] = {size, 1, 2, 3};
  const auto mix = [](uint64_t lane, uint64_t word) { return std::rotl((lane ^ word) * kFactor, 29); };
  uint64_t at = 0;
  for (; size - at >= sizeof lanes; at += sizeof lanes) {
    uint64_t words[4];
    std::memcpy(words, from + at, sizeof words);
    for (int i = 0; i < 4; ++i) lanes[i] = mix(lanes[i], words[i]);
  }
  for (; at < size; ++at) lanes[0] = mix(lanes[0], static_cast<uint64_t>(from[at]));
  return mix(mix(lanes[0], lanes[1]), mix(lanes[2], lanes[3]));
}

}  // namespace

SpillPlace& SpillPlace::operator=(SpillPlace&& other) noexcept {
  if (this != &other) {
    reset();
    file_ = std::move(other.file_);
    offset_ = other.offset_;
    size_ = other.size_;
    checksum_ = other.checksum_;
  }
  return *this;
}

Status SpillPlace::write(const std::byte* from) {
  checksum_ = checksum(from, size_);
  return os::write_at(*file_, from, size_, offset_);
}

Status SpillPlace::read(std::byte* to) const {
  Status read = os::read_at(*file_, to, size_, offset_);
  if (!read.is_ok() || checksum(to, size_) == checksum_) return read;
  return Status(Code::kCorrupt, "the file does not have what was written to it");
}

void SpillPlace::reset() {
  // The last place of a file closes it, and a hole would be a waste of time.
  if (file_ != nullptr && file_.use_count() > 1) os::punch_hole(*file_, offset_, size_);
  file_.reset();
}

Result<SpillPlace> SpillFiles::place(uint64_t size) {
  if (file_ == nullptr || (filled_ > 0 && size > kFileSize - filled_)) {
    auto file = os::create_unnamed_file(directory_);
    if (!file.is_ok()) return file.status().clone();
    file_ = std::make_shared<os::Fd>(file.take());
    filled_ = 0;
  }
  SpillPlace place(file_, filled_, size);
  filled_ += size;
  if (filled_ >= kFileSize) file_.reset();
  return place;
}

}  // namespace bolide::store
