"""What /proc tells about processes, for the leak gate: which are ours, and what they map.

It knows nothing of bolide. A process that ends while it is looked at is left out. Thread safety:
functions without state.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def read(path: str) -> bytes:
    """The bytes of a file below /proc; none if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            parts = []
            while part := file.read(1 << 16):
                parts.append(part)
            return b"".join(parts)
    except OSError:
        return b""


def processes() -> dict[int, tuple[int, str, str]]:
    """All processes: pid to (parent's pid, state, start time and name)."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := read(f"/proc/{name}/stat")):
            begin, end = stat.index(b"("), stat.rindex(b")")
            fields = stat[end + 2 :].split()
            title = f"{stat[begin + 1 : end].decode(errors='replace')} since {int(fields[19])}"
            found[int(name)] = int(fields[1]), fields[0].decode(), title
    return found


def ours(marker: bytes) -> dict[int, str]:
    """Processes of ours, zombies included, this one left out: pid to a description.

    Ours are the descendants of this process and all whose environment at their start has `marker`.
    """
    me = os.getpid()
    everybody = processes()
    found = {}
    for pid, (parent, state, title) in everybody.items():
        if pid == me:
            continue
        ancestor, descends = parent, False
        while ancestor > 1 and not descends:
            descends = ancestor == me
            ancestor = everybody.get(ancestor, (0, "", ""))[0]
        if descends or marker in read(f"/proc/{pid}/environ"):
            kind = "zombie" if state == "Z" else "process"
            found[pid] = f"{kind} {pid} ({title}) {_command(pid)}".rstrip()
    return found


def mappings(pids: Iterator[int], name: bytes) -> dict[tuple[int, str], str]:
    """Mappings whose line has `name`: (pid, address range) to a description."""
    found = {}
    for pid in pids:
        for line in read(f"/proc/{pid}/maps").splitlines():
            if name in line:
                text = line.decode(errors="replace").split(maxsplit=5)
                found[pid, text[0]] = f"mapping of {text[5]} at {text[0]} in process {pid}"
    return found


def descriptors() -> dict[int, str]:
    """Open descriptors of this process: number to what they refer to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the one that lists the folder
            continue
    return found


def threads() -> dict[int, str]:
    """Threads of this process: id to name."""
    found = {}
    for name in os.listdir("/proc/self/task"):
        if comm := read(f"/proc/self/task/{name}/comm"):
            found[int(name)] = comm.decode(errors="replace").strip()
    return found


def shared_memory() -> int:
    """Bytes of shared memory on the whole machine."""
    for line in read("/proc/meminfo").splitlines():
        if line.startswith(b"Shmem:"):
            return int(line.split()[1]) * 1024
    return 0


def shared_memory_of_others(but: set[int]) -> int:
    """Bytes of shared memory that processes other than `but` have mapped, each counted in full."""
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in but:
            for line in read(f"/proc/{name}/status").splitlines():
                if line.startswith(b"RssShmem:"):
                    total += int(line.split()[1]) * 1024
    return total


def _command(pid: int) -> str:
    words = read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
    return words if len(words) <= 100 else words[:97] + "..."
