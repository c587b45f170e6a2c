"""The leak gate: what a test that starts the runtime may leave behind, which is nothing.

Two questions. `idle_problems`, while the runtime runs and nothing is in flight: are there objects,
bytes in the store, tasks or taken resources left? `LeakGate`, around init and shutdown: are there
processes, zombies, descriptors, threads, mappings of our memory, names in /dev/shm or shared
memory that were not there before? Both look again until a deadline, because the end of a process
takes a moment; they never wait longer than they must.

Exported functions are not leaks: their objects live as long as a handle does, and a module that a
worker has imported keeps its handles. On a machine where others use shared memory too, what they
have mapped meanwhile is taken off its growth.

Thread safety: one gate at a time in a process, used by one thread.
"""

from __future__ import annotations

import gc
import os
import time
from collections import Counter

from bolide import _runtime

from . import _processes as proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_MARKER = "LEAK_GATE"  # in the environment of whatever is started within the gate
_WITHIN = 2.0  # seconds
_PAUSE = 0.005
_SHMEM_TOLERANCE = 1 << 20


class LeakError(AssertionError):
    """Something was left behind; the message names each thing."""


def leak_gate(within: float = _WITHIN) -> LeakGate:
    """A context manager that raises LeakError if its block leaves something behind.

    Args:
        within: seconds that things may take to go away after the block.

    Example:
        >>> with leak_gate():
        ...     bolide.init()
        ...     bolide.shutdown()
    """
    return LeakGate(within)


class LeakGate:
    """One comparison of before and after; see `leak_gate`."""

    def __init__(self, within: float = _WITHIN) -> None:
        self._within = within
        self._before: _Snapshot | None = None
        self._outer: str | None = None
        self.marker = f"{_MARKER}={os.getpid()}.{time.monotonic_ns()}"

    def __enter__(self) -> LeakGate:
        gc.collect()
        self._outer = os.environ.get(_MARKER)
        name, _, value = self.marker.partition("=")
        os.environ[name] = value
        self._before = _Snapshot(self.marker.encode())
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._outer is None:
            os.environ.pop(_MARKER, None)
        else:
            os.environ[_MARKER] = self._outer
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raises LeakError if there is something now that was not there when the gate began."""
        before = self._before
        assert before is not None, "the gate has not begun"

        def look() -> list[str]:
            return _Snapshot(self.marker.encode()).more_than(before)

        problems = _until_none(look, self._within)
        if problems:
            raise LeakError(
                f"{len(problems)} things are left {self._within:g} s after the runtime's end: "
                + "; ".join(problems)
            )


def idle_problems(within: float = _WITHIN) -> list[str]:
    """What the running runtime of this process still holds, in sentences; none if it is idle.

    Args:
        within: seconds that it may take to become idle.
    """
    node = _runtime._node
    if node is None:
        return []
    return _until_none(lambda: _held(node), within)


def _held(node: Any) -> list[str]:
    stats = node.stats()
    functions = stats["functions"]
    problems = []
    if objects := stats["objects"] - functions:
        problems.append(f"{objects} objects are alive (beside {functions} exported functions)")
    if stats["store"]["live"] and not functions:  # a function's own bytes may lie in the store
        problems.append(f"{stats['store']['live']} bytes are live in the store")
    if stats["tasks"]:
        problems.append(f"{stats['tasks']} tasks have not ended")
    problems += [
        f"{total - free:g} of {total:g} {name} are taken"
        for name, (total, free) in node.resources()
        if free != total
    ]
    if not node.audit():
        problems.append("the node's tables break an invariant (Node.audit)")
    return problems


def _until_none(look: Callable[[], list[str]], within: float) -> list[str]:
    """Looks until there is no problem or the time is over; the problems of the last look."""
    deadline = time.monotonic() + within
    problems = look()
    while problems and time.monotonic() < deadline:
        gc.collect()
        time.sleep(_PAUSE)
        problems = look()
    return problems


class _Snapshot:
    """What there is at one moment."""

    def __init__(self, marker: bytes) -> None:
        self.processes = proc.ours(marker)
        mine = {os.getpid(), *self.processes}
        self.descriptors = proc.descriptors()
        self.threads = proc.threads()
        self.mappings = proc.mappings(iter(mine), b"memfd:bolide")
        self.names = {name for name in os.listdir("/dev/shm") if "bolide" in name.lower()}
        self.shmem = proc.shared_memory()
        self.shmem_of_others = proc.shared_memory_of_others(mine)

    def more_than(self, before: _Snapshot) -> list[str]:
        """What is here and was not before, in sentences."""
        problems = [f"{p}" for pid, p in self.processes.items() if pid not in before.processes]
        kinds = Counter(map(_kind, self.descriptors.values()))
        kinds.subtract(map(_kind, before.descriptors.values()))
        for kind, extra in sorted(kinds.items()):
            if extra > 0:
                numbers = [n for n, what in self.descriptors.items() if _kind(what) == kind]
                problems.append(f"{extra} more descriptors of {kind} (among {numbers})")
        problems += [
            f"thread {tid} ({name})"
            for tid, name in self.threads.items()
            if tid not in before.threads
        ]
        problems += [text for key, text in self.mappings.items() if key not in before.mappings]
        problems += [f"/dev/shm/{name}" for name in sorted(self.names - before.names)]
        growth = self.shmem - before.shmem
        growth -= max(0, self.shmem_of_others - before.shmem_of_others)
        if growth > _SHMEM_TOLERANCE:
            problems.append(f"{growth} bytes more of shared memory (Shmem)")
        return problems


def _kind(target: str) -> str:
    """What a descriptor refers to, without what tells one pipe from another."""
    return target.partition(":[")[0]
