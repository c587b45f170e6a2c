"""Tools of the fault tests: journals, gates, processes by their environment, programs of their own.

Not a test. A task proves what happened to it outside the runtime: by lines in a journal and by
bytes of a fifo. Nothing sleeps for a fixed time: `wait_until` looks until a condition holds.

Thread safety: a Journal and a Gate may be used from several processes at once.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter

MARK = "BOLIDE_FAULT_TEST_MARK"


def wait_until(condition, seconds=10.0, what="the condition"):
    """The first true value of `condition()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        select.select([], [], [], 0.002)


class Journal:
    """A file to which each attempt of a task appends one line: what it is and its pid."""

    def __init__(self, path):
        self.path = str(path)

    def note(self, what):
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, f"{what} {os.getpid()}\n".encode())
        finally:
            os.close(fd)

    def entries(self):
        """[(what, pid)] in the order of writing."""
        try:
            with open(self.path) as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        return [(what, int(pid)) for what, _, pid in (line.rpartition(" ") for line in lines)]

    def counts(self):
        return Counter(what for what, _ in self.entries())

    def count(self, what):
        return self.counts()[str(what)]

    def pids(self, what):
        return [pid for each, pid in self.entries() if each == str(what)]


class Gate:
    """A fifo: `wait` blocks until somebody calls `open` for it. Send its `path` to tasks."""

    def __init__(self, path):
        self.path = str(path)
        os.mkfifo(self.path)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)

    def open(self, times=1):
        os.write(self._fd, b"." * times)

    def close(self):
        os.close(self._fd)


def pass_gate(path):
    """Blocks in a read of one byte, in C, until the gate is opened."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.read(fd, 1)
    finally:
        os.close(fd)


def is_alive(pid):
    """Whether the process exists and is no zombie."""
    return state_of(pid) not in ("", "Z", "X")


def state_of(pid):
    """The letter of a process's state; "" when there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def processes_marked(mark):
    """Pids whose environment has our mark, zombies left out."""
    found = []
    wanted = f"{MARK}={mark}".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0") and is_alive(int(name)):
                    found.append(int(name))
        except OSError:
            continue
    return found


class Program:
    """A driver in a process, session and process group of its own, with its output on pipes."""

    def __init__(self, folder, source, *, env=None, prefix=(), arguments=()):
        self.mark = uuid.uuid4().hex
        path = os.path.join(str(folder), f"program_{self.mark[:8]}.py")
        with open(path, "w") as file:
            file.write(_PREAMBLE.format(tools=os.path.dirname(os.path.abspath(__file__))) + source)
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-u", path, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=str(folder),
            env={**os.environ, MARK: self.mark, **(env or {})},
            start_new_session=True,
        )
        self.path = path
        self.pid = self.process.pid
        self.seen = []
        self._unread = b""  # of stdout, which is read below its text layer so that select can tell

    def expect(self, word, seconds=30.0):
        """Reads lines of its stdout until one begins with `word`; what follows the word."""
        deadline = time.monotonic() + seconds
        while True:
            line, end, rest = self._unread.partition(b"\n")
            if end:
                self._unread = rest
                self.seen.append(f"{line.decode()}\n")
                if self.seen[-1].startswith(word):
                    return self.seen[-1][len(word) :].strip()
                continue
            left = deadline - time.monotonic()
            if not select.select([self.process.stdout], [], [], max(0, left))[0]:
                os.killpg(self.pid, signal.SIGKILL)
                raise AssertionError(
                    f"the program did not say {word!r} within {seconds} s: "
                    f"{self.seen} {self.process.stderr.read()}"
                )
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                self.process.wait()
                raise AssertionError(
                    f"the program ended ({self.process.returncode}) without {word!r}: "
                    f"{self.seen} {self.process.stderr.read()}"
                )
            self._unread += more

    def interrupt(self):
        """SIGINT as a terminal gives it, to the whole foreground group; when it was sent."""
        sent = time.monotonic()
        os.killpg(self.pid, signal.SIGINT)
        return sent

    def finish(self, seconds=60.0):
        """Waits for its end: (exit code, rest of stdout, stderr)."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise
        return self.process.returncode, self._unread.decode() + out, err

    def end(self):
        """Kills whatever is left of it."""
        for pid in {self.pid, *processes_marked(self.mark)}:
            try:
                if self.process.poll() is None or pid != self.pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()

    def family_gone(self, seconds=2.0):
        """Fails unless every process of the program is gone in time."""
        wait_until(
            lambda: not processes_marked(self.mark), seconds, f"the end of the family of {self.pid}"
        )


_PREAMBLE = """\
import os, signal, sys, threading, time
sys.path.insert(0, {tools!r})
import bolide as ray
from fault_tools import *

signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest may run where it is ignored

def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

"""
