"""Unpacks a zip archive, whose maker may wish us ill, into an empty folder.

Run as a program of its own (`python -I -S _unpack.py ARCHIVE FOLDER`), so that what reading the
archive costs in time and memory is not the driver's, and is limited. It needs the standard library
only. When an archive is refused the reason is printed, to be read after "it ", and the status is 3;
what has been written until then is the caller's to remove.

Invariants: nothing is written outside of the folder, no file that exists is opened, no link or
special file is made, and no more than LIMIT_BYTES are written, whatever the archive says.
"""

from __future__ import annotations

import os
import stat
import struct
import sys
import zipfile
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

LIMIT_BYTES = 512 << 20
LIMIT_ENTRIES = 100_000
LIMIT_LIST = 32 << 20  # bytes of the list of entries
LIMIT_MEMORY = 1 << 30  # of this process
LIMIT_RATIO = 200  # unpacked to packed, where it is RATIO_FROM and more
RATIO_FROM = 16 << 20
REFUSED = 3

_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error)
_TOO_LARGE = f"holds more than the {LIMIT_BYTES >> 20} MiB that may be unpacked"


class Refused(Exception):
    """The archive is not to be unpacked."""


def unpack(archive: str, folder: str) -> None:
    """Unpacks the archive into a folder that exists and is empty.

    Raises:
        Refused: it is broken, too large, or has an entry that no honest archive needs.
        OSError: it cannot be read, or the folder not be written.
    """
    with open(archive, "rb") as file:
        _check_list(file)
        try:
            with zipfile.ZipFile(file) as opened:
                entries = opened.infolist()
                _check_sizes(entries, os.fstat(file.fileno()).st_size)
                for entry in entries:
                    _check_entry(entry)
                left = LIMIT_BYTES
                for entry in entries:
                    left -= _write(opened, entry, folder, left)
        except (*_BROKEN, EOFError, ValueError, RuntimeError) as error:
            # RuntimeError: it is encrypted, or packed by a method that is not known here.
            raise Refused(f"is broken, or not readable here: {error}") from None


def _check_list(file: BinaryIO) -> None:
    """Looks at the size of the list of entries before it is read into memory."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - (1 << 16) - 22 - 20)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        raise Refused("is no zip archive")
    entries, listed = struct.unpack_from("<HL", tail, at + 10)
    if entries == 0xFFFF or listed == 0xFFFFFFFF:  # the true numbers are in the record before
        record = tail.rfind(b"PK\6\6", 0, at)
        if record >= 0 and at - record >= 56:
            entries, listed = struct.unpack_from("<QQ", tail, record + 32)
    if entries > LIMIT_ENTRIES or listed > LIMIT_LIST:
        raise Refused(f"has {entries} entries, and more than {LIMIT_ENTRIES} are not unpacked")


def _check_sizes(entries: list[zipfile.ZipInfo], packed: int) -> None:
    if len(entries) > LIMIT_ENTRIES:
        raise Refused(f"has {len(entries)} entries, and more than {LIMIT_ENTRIES} are not unpacked")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > LIMIT_BYTES:
        raise Refused(_TOO_LARGE)
    if unpacked >= RATIO_FROM and unpacked > LIMIT_RATIO * packed:
        raise Refused(
            f"grows from {packed} to {unpacked} bytes, more than {LIMIT_RATIO} times, as only "
            "archives do that are made to fill disks"
        )


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    if name.startswith("/") or ".." in name.split("/"):
        raise Refused(f"has the entry {name!r}, which leads out of its folder")
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise Refused(f"has the entry {name!r}, which is a symbolic link")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"has the entry {name!r}, which is neither a file nor a folder")
    if mode & (stat.S_ISUID | stat.S_ISGID):
        raise Refused(f"has the entry {name!r}, which is to run with another user's rights")


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: str, left: int) -> int:
    """Writes one entry; how many bytes that were."""
    parts = [part for part in entry.filename.split("/") if part not in ("", ".")]
    path = os.path.join(folder, *parts)
    if entry.is_dir() or not parts:
        os.makedirs(path, exist_ok=True)
        return 0
    os.makedirs(os.path.dirname(path), exist_ok=True)
    executable = (entry.external_attr >> 16) & 0o111
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        target = os.open(path, flags, 0o644 | executable)
    except FileExistsError:
        raise Refused(f"has the entry {entry.filename!r} twice") from None
    written = 0
    with open(target, "wb") as file, opened.open(entry) as source:
        while piece := source.read(1 << 20):
            written += len(piece)
            if written > left:
                raise Refused(_TOO_LARGE)
            file.write(piece)
    if written != entry.file_size:
        raise Refused(f"has the entry {entry.filename!r}, whose size it tells wrongly")
    return written


def main(archive: str, folder: str) -> int:
    """Unpacks, and says why not; the status of the process."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_MEMORY, LIMIT_MEMORY))
    try:
        unpack(archive, folder)
    except Refused as error:
        print(error)
    except MemoryError:
        print("needs more memory than may be used for it")
    except OSError as error:
        print(f"cannot be unpacked: {error.strerror} ({error.filename})")
    else:
        return 0
    return REFUSED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
