// file: files without a name, for bytes that memory has no room for. The kernel frees them when the
// last process that has them open is gone, however it ends.
//
// Thread safety: the functions may be called from any thread, for the same file too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/api.h"
#include "base/status.h"
#include "os/fd.h"

namespace bolide::os {

// create_unnamed_file makes an empty file on the disk of that directory.
BOLIDE_API Result<Fd> create_unnamed_file(const std::string& directory);

// write_at writes all of it. kDiskFull: there is no room.
BOLIDE_API Status write_at(const Fd& file, const std::byte* from, uint64_t size, uint64_t offset);

// read_at reads all of it; kCorrupt: the file ends before.
BOLIDE_API Status read_at(const Fd& file, std::byte* to, uint64_t size, uint64_t offset);

// read_ahead has the kernel begin to read a part that will be read soon.
BOLIDE_API void read_ahead(const Fd& file, uint64_t offset, uint64_t size);

// carry_to_disk has the kernel begin to carry to the disk what was written to the file.
BOLIDE_API void carry_to_disk(const Fd& file);

// punch_hole gives the disk space of a part back, where the file system can do that.
BOLIDE_API void punch_hole(const Fd& file, uint64_t offset, uint64_t size);

}  // namespace bolide::os
