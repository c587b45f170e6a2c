"""Finding running programs of this user, and asking one what its objects are (`bolide memory`).

A driver has no name and no port. Whoever may look into /proc/PID/fd of its process, its user and
root, finds its bell page there and in that the number of a pipe; `cpp/ipc/inquiry.h` has the rest.
Thread safety: functions without state.
"""

from __future__ import annotations

import json
import os
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BELL = struct.Struct("<IIii")  # of BellPage: magic, version, node_pid, inquiry_fd
_BELL_MAGIC = 0x626C626C
_INQUIRY = struct.Struct("<IIiiQ")
_INQUIRY_MAGIC = 0x626C6971
_TEXT = 8  # the report begins there; its length is before it
_PAUSE_S = 0.002  # between looks whether it is there


def drivers() -> dict[int, int]:
    """The processes of this user in which a node runs, and the number of the pipe of each."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            pipe = _pipe_of(int(name))
            if pipe is not None:
                found[int(name)] = pipe
    return found


def _pipe_of(pid: int) -> int | None:
    folder = f"/proc/{pid}/fd"
    try:
        for name in os.listdir(folder):
            if not os.readlink(f"{folder}/{name}").startswith("/memfd:bolide-bell"):
                continue
            with open(f"{folder}/{name}", "rb") as file:
                magic, version, owner, pipe = _BELL.unpack(file.read(_BELL.size))
            if (magic, version, owner) == (_BELL_MAGIC, 1, pid):  # not one that a worker has
                return pipe
    except (OSError, struct.error):  # another user's, or gone
        return None
    return None


def ask(pid: int, limit: int, timeout: float = 10.0) -> dict[str, Any]:
    """What the node in process `pid` holds.

    Args:
        pid: of the driver.
        limit: how many objects, the largest ones.
        timeout: seconds.

    Returns:
        The report, see `cpp/node/node_inspect.cpp`.

    Raises:
        ProcessLookupError: no node of this user runs there.
        TimeoutError: it did not answer; it may be stopped.
    """
    pipe = _pipe_of(pid)
    if pipe is None:
        raise ProcessLookupError(f"process {pid} runs no bolide of this user")
    memfd = os.memfd_create("bolide-report")
    try:
        out = os.open(f"/proc/{pid}/fd/{pipe}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(out, _INQUIRY.pack(_INQUIRY_MAGIC, 1, os.getpid(), memfd, limit))
        finally:
            os.close(out)
        deadline = time.monotonic() + timeout
        while not (length := int.from_bytes(os.pread(memfd, _TEXT, 0), "little")):
            if not os.path.exists(f"/proc/{pid}"):
                raise ProcessLookupError(f"process {pid} has ended")
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} did not answer within {timeout:g} s")
            time.sleep(_PAUSE_S)
        parts = []
        while length > 0:
            parts.append(os.pread(memfd, length, _TEXT + sum(map(len, parts))))
            length -= len(parts[-1])
        return json.loads(b"".join(parts).decode("utf-8", "replace"))
    finally:
        os.close(memfd)
