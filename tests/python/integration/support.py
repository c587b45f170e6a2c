"""How tests wait for tasks and tasks for tests: latches, channels and journals on files.

No test sleeps. A task that must be long waits at a Latch that the test opens; a test that must
know how far a task has come hears it on a Channel; who did what in which order is in a Journal.
All travel to tasks as arguments or captured variables, and this module imports nothing heavy.

Thread safety: each may be used from any thread and process. A Latch never blocks who comes after
it was opened.
"""

from __future__ import annotations

import os
import select

_PATIENCE = 45.0  # seconds, below the limit of a test


class Latch:
    """Closed until `open` is called in the process that made it; `wait` returns after that."""

    def __init__(self, path: str) -> None:
        self._path = str(path)
        self._writer = None

    @classmethod
    def make(cls, path: str) -> Latch:
        """A closed latch at a path that does not exist yet."""
        os.mkfifo(path)
        latch = cls(path)
        latch._writer = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        return latch

    def wait(self) -> None:
        """Returns when the latch is open."""
        reader = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # If it is not open yet, its writer is there, and its going away wakes us.
            if not os.path.exists(self._path + ".open"):
                wait_readable(reader, f"the latch {self._path}")
        finally:
            os.close(reader)

    def open(self) -> None:
        """Lets everybody pass, for good. May be called again."""
        if self._writer is not None:
            os.close(os.open(self._path + ".open", os.O_CREAT | os.O_WRONLY))
            os.close(self._writer)
            self._writer = None

    def __reduce__(self):
        return Latch, (self._path,)


class Channel:
    """Lines from tasks to the test, in the order in which they were said."""

    def __init__(self, path: str) -> None:
        self._path = str(path)
        self._reader = None
        self._heard = b""

    @classmethod
    def make(cls, path: str) -> Channel:
        """A channel at a path that does not exist yet."""
        os.mkfifo(path)
        channel = cls(path)
        channel._reader = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        return channel

    def say(self, word: object) -> None:
        """Sends one short line."""
        writer = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(writer, f"{word}\n".encode())
        finally:
            os.close(writer)

    def hear(self, count: int = 1) -> list[str]:
        """The next `count` lines, as soon as they were said."""
        while self._heard.count(b"\n") < count:
            wait_readable(self._reader, f"line {count} on {self._path}")
            self._heard += os.read(self._reader, 1 << 16)
        *lines, self._heard = self._heard.split(b"\n", count)
        return [line.decode() for line in lines]

    def close(self) -> None:
        """Frees the descriptor."""
        os.close(self._reader)

    def __reduce__(self):
        return Channel, (self._path,)


class Journal:
    """A file to which every process appends lines; nothing is lost when a process is killed."""

    def __init__(self, path: str) -> None:
        self._path = str(path)

    def note(self, word: object) -> None:
        """Appends one line."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, f"{word}\n".encode())
        finally:
            os.close(file)

    def lines(self) -> list[str]:
        """All lines so far."""
        try:
            with open(self._path, encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def highest(self) -> int:
        """The largest number of "+" lines minus "-" lines before any point."""
        now = most = 0
        for line in self.lines():
            now += {"+": 1, "-": -1}.get(line, 0)
            most = max(most, now)
        return most


def wait_readable(descriptor: int, what: str) -> None:
    """Returns when a descriptor has data or its other end is gone."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if not poll.poll(_PATIENCE * 1000):
        raise TimeoutError(f"{what} did not come in {_PATIENCE:g} s")
