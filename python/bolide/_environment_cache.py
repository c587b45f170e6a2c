"""Folders that are made once and used by many sessions: unpacked archives, installed packages.

They lie in the user's cache directory (XDG_CACHE_HOME, else ~/.cache), named by a digest of what
they are made from. A folder whose use nobody has remembered for a month is removed when another one
is made; removing all of them by hand is safe while no session uses them.

Thread safety: any thread may call. Invariants: a folder is whole if NAME.done exists, and is
changed only under the exclusive lock of NAME.lock; whoever uses one has the shared lock, so that it
stays. A folder with the prefix of a session is nobody else's, and goes when its lock is free.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from threading import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_KEEP = 30 * 24 * 3600  # seconds without a use
_OWN = "session-"
_LOOK_AGAIN = 0.05  # seconds, while another process makes what is wanted


class Cache:
    """The folders that one session uses."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[str, int] = {}  # name -> descriptor with a lock
        self._own = f"{_OWN}{os.getpid()}-{os.urandom(6).hex()}-"

    def folder(
        self, name: str, fill: Callable[[str], None], go_on: Callable[[], object], own: bool = False
    ) -> str:
        """The path of the folder of that name, which is made if it is not there.

        Args:
            name: with a digest of all that matters for what is in it.
            fill: called with its path, an empty folder. What it raises is passed on.
            go_on: called now and then while another process makes it; raises to end the wait.
            own: it is this session's alone, since what it holds may be changed.

        Raises:
            OSError: the cache directory cannot be used.
        """
        root = _root()
        if own:
            name = self._own + name
        path = os.path.join(root, name)
        done = path + ".done"
        while True:
            with self._lock:
                if name in self._held:
                    return path
            held = _locked(path + ".lock", fcntl.LOCK_SH)
            if held is not None and os.path.exists(done):
                os.utime(done)
                with self._lock:
                    self._held[name] = held
                return path
            if held is not None:
                os.close(held)
            held = _locked(path + ".lock", fcntl.LOCK_EX)
            if held is not None:
                try:
                    if not os.path.exists(done):
                        _make(path, fill)
                        sweep(root)
                finally:
                    os.close(held)
                continue  # with the shared lock
            go_on()
            time.sleep(_LOOK_AGAIN)

    def close(self) -> None:
        """Lets go of all folders, and removes this session's own."""
        with self._lock:
            held, self._held = self._held, {}
        for descriptor in held.values():
            os.close(descriptor)
        if any(name.startswith(_OWN) for name in held):
            with contextlib.suppress(OSError):
                sweep(_root())


def sweep(root: str) -> None:
    """Removes what nobody uses: sessions' own folders, and what has not been used for long."""
    for entry in os.listdir(root):
        name, end = os.path.splitext(entry)
        path = os.path.join(root, name)
        if end != ".lock" or not (name.startswith(_OWN) or _is_old(path + ".done")):
            continue
        held = _locked(path + ".lock", fcntl.LOCK_EX)
        if held is None:
            continue
        try:
            _remove(path)
            os.unlink(path + ".lock")  # whoever waits for it sees that, see _locked
        finally:
            os.close(held)


def _make(path: str, fill: Callable[[str], None]) -> None:
    _remove(path)  # what somebody began who did not come to the end
    os.mkdir(path, 0o700)
    try:
        fill(path)
    except BaseException:
        _remove(path)
        os.unlink(path + ".lock")
        raise
    with open(path + ".done", "w"):
        pass


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + ".done")
    shutil.rmtree(path, ignore_errors=True)


def _is_old(done: str) -> bool:
    try:
        return time.time() - os.stat(done).st_mtime > _KEEP
    except OSError:
        return False


def _locked(path: str, how: int) -> int | None:
    """A descriptor of the file with that lock; None if somebody has one that is in the way."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # It may have been unlinked before it was locked: then others lock another file.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)


def _root() -> str:
    """The directory of all, which only this user can write."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    root = os.path.join(base, "bolide", "environments")
    os.makedirs(root, 0o700, exist_ok=True)
    status = os.stat(root)
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(
            1, "others can write it, or it is not yours; set XDG_CACHE_HOME to another", root
        )
    return root
