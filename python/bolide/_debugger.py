"""breakpoint() in a task, and pdb after one has failed: over a socket that `bolide debug` opens.

A worker has no terminal. So where a task calls ``breakpoint()``, or has raised an exception and the
setting post_mortem is on, the worker makes a socket in a folder that only this user can open, says
so on its standard error, and waits for one who connects. Follows Ray's page "Ray Debugger".

Thread safety: one debugger a thread. The task waits, and holds what it holds, until it is let go.
"""

from __future__ import annotations

import itertools
import os
import pdb
import socket
import sys
import tempfile
from types import FrameType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_sessions = itertools.count(1)


def folder() -> str:
    """Where the sockets are; made at first use, for this user alone.

    Raises:
        PermissionError: it is there and somebody else's.
    """
    path = os.path.join(tempfile.gettempdir(), f"bolide-debug-{os.getuid()}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    found = os.lstat(path)
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(
            f"{path} must be a folder that only this user can open, but it is not; remove it."
        )
    return path


def stop(frame: FrameType) -> None:
    """What ``breakpoint()`` does in a worker, called in that frame."""
    where = f"breakpoint() at {frame.f_code.co_filename}:{frame.f_lineno}"
    _Debugger(where).trace(frame)


def look_after(error: BaseException) -> None:
    """Waits for a debugger after a task has raised this, which stays its result in any case."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    where = f"{type(error).__name__} at {place}"
    try:
        debugger = _Debugger(where)
    except OSError as refused:
        sys.stderr.write(f"{where} cannot wait for a debugger: {refused}\n")
        return
    debugger.look(error.__traceback__)


class _Debugger(pdb.Pdb):
    """pdb on a connection. When it has gone, the task runs on."""

    def __init__(self, where: str) -> None:
        self._connection = _accept(where)
        # Two files: one for both directions would forget what it has read ahead when it is written.
        self._commands = self._connection.makefile("r", encoding="utf-8", errors="replace")
        self._said = self._connection.makefile("w", encoding="utf-8", errors="replace")
        super().__init__(stdin=self._commands, stdout=self._said, nosigint=True, readrc=False)
        self.use_rawinput = False
        self.prompt = "(pdb) "

    def trace(self, frame: FrameType) -> None:
        """Stops at the line after this frame's current one."""
        self.set_trace(frame)

    def look(self, trace: TracebackType | None) -> None:
        """Lets somebody look at a stack that has ended."""
        self.reset()
        try:
            self.interaction(None, trace)
        finally:
            self._close()

    def interaction(self, *what: Any) -> None:
        """Takes commands until one lets the task go."""
        try:
            super().interaction(*what)
        except OSError:
            self.do_EOF("")

    def do_continue(self, arg: str) -> Any:
        """continue: the connection ends, unless there are breakpoints."""
        result = super().do_continue(arg)
        if not self.breaks:
            self._close()
        return result

    do_c = do_cont = do_continue

    def do_EOF(self, arg: str) -> Any:
        """The other side has gone."""
        self.clear_all_breaks()
        return self.do_continue(arg)

    def do_quit(self, arg: str) -> Any:
        """quit: the task ends with BdbQuit; after an exception, with that."""
        result = super().do_quit(arg)
        self._close()
        return result

    do_q = do_exit = do_quit

    def _close(self) -> None:
        for each in (self._commands, self._said, self._connection):
            try:
                each.close()
            except OSError:
                pass  # the other side was faster


def _accept(where: str) -> socket.socket:
    """Waits for one who connects. What is to be known is said on standard error."""
    path = os.path.join(folder(), f"{os.getpid()}-{next(_sessions)}")
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(f"{path}.new")
        listener.listen(1)
        os.rename(f"{path}.new", path)  # who sees it can connect
        sys.stderr.write(f"{where} waits for a debugger: run `bolide debug {os.getpid()}`\n")
        connection, _ = listener.accept()
        try:
            connection.sendall(f"{where}\n".encode())
        except OSError:
            pass  # it has gone again, which the debugger learns when it reads
        return connection
    finally:
        listener.close()
        for name in (path, f"{path}.new"):
            try:
                os.unlink(name)
            except FileNotFoundError:
                pass  # usual for one of them


def waiting() -> list[tuple[int, str]]:
    """The tasks that wait for a debugger: pid of the worker, and path of the socket."""
    found = []
    try:
        names = os.listdir(folder())
    except FileNotFoundError:
        return []
    for name in names:
        pid, _, number = name.partition("-")
        if pid.isdigit() and number.isdigit():
            path = os.path.join(folder(), name)
            if os.path.exists(f"/proc/{pid}"):
                found.append((int(pid), path))
            else:
                os.unlink(path)  # of a worker that was killed
    return sorted(found)
