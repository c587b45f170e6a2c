"""Installs the packages of an environment: a virtual environment in the cache directory.

What the driver's Python can import can be imported there too, unless the environment brings another
version: the packages of the driver come behind its own. pip sees both, and installs what is
missing; uv sees its own alone.

Thread safety: functions without state.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys

from ._environment_commands import Limited
from .exceptions import RuntimeEnvSetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._environment_cache import Cache

_SAID = 2000  # characters of what an installer wrote that are told
_FILES = 10_000  # of a local folder that are looked at for changes
_RAY = re.compile(r"ray\s*($|[\[=<>!~;@])", re.IGNORECASE)
_MADE_BY_BUILDS = re.compile(r"^build$|^\.|^__pycache__$|\.egg-info$")
_PATHS = "import json, sys; print(json.dumps(sys.path))"


class Packages:
    """A virtual environment that is there.

    Fields: `folder`; `programs`, the folder of its programs; `python`, its interpreter;
    `search_path`, what it adds to sys.path.
    """

    __slots__ = ("folder", "programs", "python", "search_path")

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.programs = os.path.join(folder, "bin")
        self.python = _python(folder)
        with open(os.path.join(folder, "path.json")) as file:
            self.search_path = tuple(json.load(file))


def install(
    env: dict[str, Any], cwd: str, environ: dict[str, str], cache: Cache, limited: Limited
) -> Packages:
    """The packages that the environment asks for, installed if they are not yet.

    Args:
        env: a checked environment with "pip" or "uv".
        cwd: where relative paths among the packages begin.
        environ: for the installer.
        cache: where the virtual environment is kept.
        limited: runs the installer.

    Raises:
        RuntimeEnvSetupError: it fails, or takes too long.
    """
    name = "pip" if "pip" in env else "uv"
    asked = {**env[name], "packages": [p for p in env[name]["packages"] if not _RAY.match(p)]}
    environ = {**environ, "RAY_RUNTIME_ENV_CREATE_WORKING_DIR": cwd}

    def fill(folder: str) -> None:
        python = _make(folder, limited)
        list_of_all = os.path.join(folder, "requirements.txt")
        with open(list_of_all, "w") as file:
            file.write("".join(line + "\n" for line in asked["packages"]))
        step = _Steps(name, python, cwd, environ, limited)
        (step.pip if name == "pip" else step.uv)(asked, list_of_all)
        status, said = limited.run([python, "-c", _PATHS], cwd, _without_paths(environ))
        if status != 0:
            raise RuntimeEnvSetupError(f"its Python does not start: {said[-_SAID:]}")
        with open(os.path.join(folder, "path.json"), "w") as file:
            known = set(map(os.path.abspath, sys.path))
            json.dump([p for p in json.loads(said) if p and os.path.abspath(p) not in known], file)

    return Packages(cache.folder(f"{name}-{_digest(asked, cwd)}", fill, limited.check))


class _Steps:
    """What is run in a fresh virtual environment to fill it."""

    def __init__(
        self, name: str, python: str, cwd: str, environ: dict[str, str], limited: Limited
    ) -> None:
        self._name = name
        self._python = python
        self._cwd = cwd
        self._environ = environ
        self._limited = limited

    def pip(self, asked: dict[str, Any], requirements: str) -> None:
        self._have_pip()
        if "pip_version" in asked:
            self._run("pip", "install", "--disable-pip-version-check", f"pip{asked['pip_version']}")
        options = asked.get("pip_install_options", ["--disable-pip-version-check"])
        self._run("pip", "install", "--no-input", *options, "-r", requirements)
        if asked["pip_check"]:
            self._run("pip", "check", "--disable-pip-version-check")

    def uv(self, asked: dict[str, Any], requirements: str) -> None:
        uv = _own_uv()
        if uv is None or "uv_version" in asked:
            self._have_pip()
            self._run(
                "pip", "install", "--disable-pip-version-check", f"uv{asked.get('uv_version', '')}"
            )
            uv = [self._python, "-m", "uv"]
        options = asked.get("uv_pip_install_options", [])
        there = ["--python", self._python]
        self._call([*uv, "pip", "install", *there, *options, "-r", requirements])
        if asked["uv_check"]:
            self._call([*uv, "pip", "check", *there])

    def _have_pip(self) -> None:
        from importlib.util import find_spec

        if find_spec("pip") is None:  # else that of the driver serves
            self._run("ensurepip")

    def _run(self, *arguments: str) -> None:
        self._call([self._python, "-m", *arguments])

    def _call(self, argv: list[str]) -> None:
        status, said = self._limited.run(argv, self._cwd, self._environ)
        if status != 0:
            shown = " ".join(arg if " " not in arg else repr(arg) for arg in argv[1:])
            raise RuntimeEnvSetupError(
                f"runtime_env[{self._name!r}] could not be installed: {shown} ended with status "
                f"{status}. It said:\n{said.strip()[-_SAID:]}"
            )


def _own_uv() -> list[str] | None:
    """How to run the uv that is here, if there is one."""
    from importlib.util import find_spec

    if find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    return None if found is None else [found]


def _make(folder: str, limited: Limited) -> str:
    """Makes an empty virtual environment that has the driver's packages behind its own; its
    interpreter."""
    status, said = limited.run([sys.executable, "-m", "venv", "--without-pip", folder])
    if status != 0:
        raise RuntimeEnvSetupError(
            f"python -m venv ended with status {status}: {said.strip()[-_SAID:]}. On Debian and "
            "Ubuntu it needs the package python3-venv"
        )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    line = "import site; " + "; ".join(f"site.addsitedir({path!r})" for path in _site_folders())
    with open(os.path.join(folder, "lib", version, "site-packages", "_driver.pth"), "w") as file:
        file.write(line + "\n")
    return _python(folder)


def _python(folder: str) -> str:
    return os.path.join(folder, "bin", "python")


def _site_folders() -> list[str]:
    """The folders of this Python into which packages are installed."""
    import site

    folders = [*site.getsitepackages(), site.getusersitepackages()]
    return [path for path in folders if path in sys.path]


def _without_paths(environ: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name != "PYTHONPATH"}


def _digest(asked: dict[str, Any], cwd: str) -> str:
    """Of all that matters for what is installed, as far as it is known here."""
    import hashlib

    words = [word for line in asked["packages"] for word in re.split(r"[\s=@]+", line)]
    local = [_state(os.path.join(cwd, word)) for word in words if os.sep in word or "." in word]
    python = [sys.executable, sys.version, sys.prefix, _site_folders()]
    text = json.dumps([asked, python, cwd if any(local) else "", local], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _state(path: str) -> list[Any] | None:
    """Names, sizes and times of what there is below a path; None if there is nothing."""
    if os.path.isfile(path):
        status = os.stat(path)
        return [path, status.st_size, status.st_mtime_ns]
    if not os.path.isdir(path):
        return None
    found: list[Any] = [path]
    for at, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not _MADE_BY_BUILDS.search(name))
        for name in sorted(names):
            status = os.lstat(os.path.join(at, name))
            found.append([at, name, status.st_size, status.st_mtime_ns])
        if len(found) > _FILES:
            break
    return found
