"""Programs that the making of an environment runs: with an end, and not beyond the driver's.

Thread safety: any thread may call. Invariant: after `close` no process of these is left, and none
is started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from threading import Lock

from .exceptions import RuntimeEnvSetupError

# The kernel ends the program with the thread that waits for it, also if that is killed.
_TIED = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9);"
    "os.getppid() == int(sys.argv[1]) or os._exit(1); os.execv(sys.argv[2], sys.argv[2:])"
)


class Ended(Exception):
    """The session ends, so nobody waits for the environment any more."""


class Commands:
    """What one session runs."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[subprocess.Popen] = set()
        self._closed = False

    def limited(self, seconds: float | None) -> Limited:
        """For one environment, which may take so long; None: any time."""
        return Limited(self, seconds)

    def check(self) -> None:
        """Raises Ended after close."""
        if self._closed:
            raise Ended

    def start(self, argv: list[str], cwd: str | None, environ: dict[str, str]) -> subprocess.Popen:
        """Starts a program, which must be passed to `ended`."""
        tied = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *argv]
        with self._lock:
            self.check()
            process = subprocess.Popen(
                tied, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._running.add(process)
        return process

    def ended(self, process: subprocess.Popen) -> None:
        """Ends what is left of it."""
        with self._lock:
            self._running.discard(process)
        _kill(process)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def close(self) -> None:
        """Ends all of them; those who wait for one get Ended."""
        with self._lock:
            self._closed = True
            for process in self._running:
                _kill(process)


class Limited:
    """Runs programs for one environment until its time is over."""

    def __init__(self, commands: Commands, seconds: float | None) -> None:
        self._commands = commands
        self._seconds = seconds
        self._until = None if seconds is None else time.monotonic() + seconds

    def check(self) -> float | None:
        """The seconds that are left.

        Raises:
            RuntimeEnvSetupError: none.
            Ended: the session ends.
        """
        self._commands.check()
        if self._until is None:
            return None
        left = self._until - time.monotonic()
        if left <= 0:
            raise RuntimeEnvSetupError(
                f"it was not ready after {self._seconds:g} seconds; raise setup_timeout_seconds in "
                "its config if it needs longer"
            )
        return left

    def run(
        self, argv: list[str], cwd: str | None = None, environ: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Runs a program to its end: its status, and what it wrote."""
        left = self.check()
        process = self._commands.start(argv, cwd, dict(os.environ) if environ is None else environ)
        try:
            output, _ = process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            output = b""
        finally:
            self._commands.ended(process)
        self.check()
        return process.returncode, output.decode("utf-8", "replace")


def _kill(process: subprocess.Popen) -> None:
    # It leads a group of its own, in which there may be more than itself. A pid is not used again
    # before its process was waited for.
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.poll()
