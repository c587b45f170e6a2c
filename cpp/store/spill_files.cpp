#include "store/spill_files.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "os/file.h"
#include "store/sizes.h"

namespace bolide::store {
namespace {

constexpr uint64_t kAtOnce = 256 * kKiB;  // what a checksum has read is copied out of the cache
constexpr uint64_t kCarryAfter = 64 * kMiB;

// Checksum tells other bytes from these, whoever changed them by accident: a file that is cut short
// and then written on has zeros in between. Four lanes, because one would wait for its multiplier.
class Checksum {
 public:
  explicit Checksum(uint64_t size) : lanes_{size, 1, 2, 3} {}

  // add takes the next bytes; only the last part may have a size that is no multiple of 32.
  void add(const std::byte* from, uint64_t size) {
    uint64_t at = 0;
    uint64_t lanes[4];
    std::memcpy(lanes, lanes_, sizeof lanes);
    for (; size - at >= sizeof lanes; at += sizeof lanes) {
      uint64_t words[4];
      std::memcpy(words, from + at, sizeof words);
      for (int i = 0; i < 4; ++i) lanes[i] = mix(lanes[i], words[i]);
    }
    for (; at < size; ++at) lanes[0] = mix(lanes[0], static_cast<uint64_t>(from[at]));
    std::memcpy(lanes_, lanes, sizeof lanes);
  }

  uint64_t value() const { return mix(mix(lanes_[0], lanes_[1]), mix(lanes_[2], lanes_[3])); }

 private:
  static uint64_t mix(uint64_t lane, uint64_t word) {
    constexpr uint64_t kFactor = 0x9e3779b97f4a7c15;
    return std::rotl((lane ^ word) * kFactor, 29);
  }

  uint64_t lanes_[4];
};

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
  Checksum checksum(size_);
  for (uint64_t at = 0; at < size_; at += kAtOnce) {
    const uint64_t part = std::min(kAtOnce, size_ - at);
    checksum.add(from + at, part);
    Status written = os::write_at(*file_, from + at, part, offset_ + at);
    if (!written.is_ok()) return written;
  }
  checksum_ = checksum.value();
  if (offset_ / kCarryAfter != (offset_ + size_) / kCarryAfter) os::carry_to_disk(*file_);
  return Status();
}

Status SpillPlace::read(std::byte* to) const {
  if (size_ > kAtOnce) os::read_ahead(*file_, offset_, size_);
  Checksum checksum(size_);
  for (uint64_t at = 0; at < size_; at += kAtOnce) {
    const uint64_t part = std::min(kAtOnce, size_ - at);
    Status read = os::read_at(*file_, to + at, part, offset_ + at);
    if (!read.is_ok()) return read;
    checksum.add(to + at, part);
  }
  if (checksum.value() == checksum_) return Status();
  return Status(Code::kCorrupt, "the file does not have what was written to it");
}

void SpillPlace::reset() {
  // The last place of a file closes it, and a hole would be a waste of time.
  if (file_ != nullptr && file_.use_count() > 1) os::punch_hole(*file_, offset_, size_);
  file_.reset();
}

Result<SpillPlace> SpillFiles::place(uint64_t size) {
  Filling& filling = filling_[next_++ % filling_.size()];
  if (filling.file == nullptr || (filling.filled > 0 && size > kFileSize - filling.filled)) {
    auto file = os::create_unnamed_file(directory_);
    if (!file.is_ok()) return file.status().clone();
    filling.file = std::make_shared<os::Fd>(file.take());
    filling.filled = 0;
  }
  SpillPlace place(filling.file, filling.filled, size);
  filling.filled += size;
  if (filling.filled >= kFileSize) filling.file.reset();
  return place;
}

}  // namespace bolide::store
