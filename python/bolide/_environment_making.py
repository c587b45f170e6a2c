"""Makes environments that are not there at once: archives are unpacked here, packages installed in
`bolide._environment_packages`.

It is not who waits for them (`bolide._environments`). Thread safety: any thread may call; each
environment is made in a thread of its own.
"""

from __future__ import annotations

import os
import sys
from threading import Thread

from ._environment_cache import Cache
from ._environment_commands import Commands, Ended, Limited
from ._runtime_env import has_packages, is_archive, timeout_of
from ._settings import Prepared
from .exceptions import RuntimeEnvSetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Workshop:
    """What one session has made, and is making."""

    def __init__(self) -> None:
        self._commands = Commands()
        self._cache = Cache()
        self._threads: list[Thread] = []

    def make(self, key: int, env: dict[str, Any], answer: Any) -> None:
        """Begins to make an environment; `answer.ready` or `answer.failed` is called in the end,
        unless the session ends before."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = Thread(
            target=self._run, args=(key, env, answer), name="bolide-environment", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Ends what is being made."""
        self._commands.close()
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        """When no worker is left: lets go of the folders."""
        self._cache.close()

    def _run(self, key: int, env: dict[str, Any], answer: Any) -> None:
        try:
            prepared = self._make(key, env)
        except Ended:
            return
        except RuntimeEnvSetupError as error:
            answer.failed(error.error_message or "")
        except Exception as error:
            answer.failed(f"{type(error).__name__}: {error}")
        else:
            answer.ready(prepared)

    def _make(self, key: int, env: dict[str, Any]) -> Prepared:
        limited = self._commands.limited(timeout_of(env))
        folders = []
        cwd = env.get("working_dir")
        if cwd is not None:
            if is_archive(cwd):
                cwd = self._unpacked("working_dir", cwd, limited)
            folders.append(cwd)
        for path in env.get("py_modules", ()):
            if is_archive(path):
                folders += _roots(self._unpacked("py_modules", path, limited))
            else:
                folders.append(os.path.dirname(path))
        packages = None
        if has_packages(env):
            from ._environment_packages import install

            environ = Prepared(key, env).environ()
            packages = install(env, cwd or os.getcwd(), environ, self._cache, limited)
        return Prepared(key, env, cwd, tuple(folders), packages)

    def _unpacked(self, key: str, archive: str, limited: Limited) -> str:
        """The folder with what is in the archive. That of a working directory is the session's own,
        since its tasks may write there."""

        def fill(folder: str) -> None:
            script = os.path.join(os.path.dirname(__file__), "_unpack.py")
            status, said = limited.run([sys.executable, "-I", "-S", script, archive, folder])
            if status != 0:
                reason = said.strip() or f"could not be unpacked (status {status})"
                raise RuntimeEnvSetupError(
                    f"runtime_env[{key!r}] is {archive!r}, but it {reason[-2000:]}. Nothing of it "
                    "is used; unpack it yourself and name the folder, if you trust it"
                )

        own = key == "working_dir"
        return self._cache.folder(f"{key}-{digest_of(archive)}", fill, limited.check, own)


def _roots(folder: str) -> list[str]:
    """What of an unpacked archive belongs in sys.path; a wheel may have more than one folder."""
    found = [folder]
    for entry in sorted(os.listdir(folder)):
        if entry.endswith(".data"):
            inner = [os.path.join(folder, entry, name) for name in ("purelib", "platlib")]
            found += filter(os.path.isdir, inner)
    return found


def digest_of(path: str) -> str:
    """Of the file's bytes."""
    import hashlib

    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise RuntimeEnvSetupError(f"{path!r} cannot be read: {error.strerror}") from None
    return digest.hexdigest()[:32]
