"""What the driver hands to its workers when they are forked, and how a template is started.

Both halves are here: `encode_settings` and `TemplateBase` in the driver, `apply_settings` in a
fresh worker. The blob is a marshal of plain values, so reading it needs no import.

Thread safety: functions without state; a TemplateBase never changes.
"""

from __future__ import annotations

import marshal
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._environment_packages import Packages

_BOOTSTRAP = (
    "import sys; sys.path[:] = {path!r}; from bolide._worker import main; main({preload!r})"
)
# Variables that Python, the system's libraries and NumPy read when they start: for these a worker
# needs a template that was started with them. PYTHONPATH is put into sys.path.
_READ_AT_START = (
    "PYTHON", "LD_", "MALLOC_", "GLIBC_", "LANG", "LC_", "TZ", "OMP_", "OPENBLAS_", "MKL_", "BLIS_",
    "GOMP_", "KMP_",
)  # fmt: skip
_PRELOADED = ("numpy", "cloudpickle")  # what a template may import that is not Python's or bolide's


class Prepared:
    """An environment that is there: what its workers begin with.

    Fields: `key` and `env` (`bolide._runtime_env`); `cwd`, where they begin, None for where the
    driver is; `folders`, first in their sys.path; `packages`, what is installed for them
    (`bolide._environment_packages`), or None.
    """

    __slots__ = ("cwd", "env", "folders", "key", "packages")

    def __init__(
        self,
        key: int,
        env: dict[str, Any],
        cwd: str | None = None,
        folders: tuple[str, ...] = (),
        packages: Packages | None = None,
    ) -> None:
        self.key = key
        self.env = env
        self.cwd = cwd
        self.folders = folders
        self.packages = packages

    def environ(self) -> dict[str, str]:
        """The environment of a worker: this process's and `env_vars`, in which ${NAME} stands for
        the value that it has by then."""
        made = dict(os.environ)
        if self.packages is not None:  # as if it had been activated
            made["VIRTUAL_ENV"] = self.packages.folder
            made["PATH"] = self.packages.programs + os.pathsep + made.get("PATH", os.defpath)
        for name, value in self.env.get("env_vars", {}).items():
            made[name] = re.sub(r"\$\{(\w+)\}", lambda m: made.get(m[1], ""), value)
        return made

    def in_front(self) -> list[str]:
        """What comes first in a worker's sys.path.

        PYTHONPATH is among it: Python reads that when it starts, and a worker is forked later.
        """
        found = list(self.folders)
        if "PYTHONPATH" in self.env.get("env_vars", {}):
            found += filter(None, self.environ()["PYTHONPATH"].split(os.pathsep))
        return found

    def installed(self) -> list[str]:
        """What comes next: the folders of what is installed for it."""
        return [] if self.packages is None else list(self.packages.search_path)

    def read_at_start(self) -> dict[str, str]:
        """Those of its variables that act only on a process that starts with them."""
        names = [
            name
            for name in self.env.get("env_vars", {})
            if name.startswith(_READ_AT_START) and name != "PYTHONPATH"
        ]
        environ = self.environ() if names else {}
        return {name: environ[name] for name in names}


def encode_settings(job: dict[str, Any], prepared: Prepared) -> bytes:
    """This process's sys.path, directory, environment, arguments and job, and what `ray` is."""
    from . import _config

    cwd = _cwd()
    return marshal.dumps(
        {
            "path": prepared.in_front() + prepared.installed() + _search_path(cwd),
            "cwd": cwd if prepared.cwd is None else prepared.cwd,
            "environ": prepared.environ(),
            "argv": [str(argument) for argument in getattr(sys, "argv", [])],
            "job": {**job, "runtime_env": prepared.env, "environment": prepared.key},
            "ray": _ray_is_bolide(),
            "prefix": _config.get("log_prefix") != "never",
            "sites": _config.get("record_ref_creation_sites") == "on",
        }
    )


def apply_settings(blob: bytes) -> dict[str, Any]:
    """Makes this worker's sys.path, directory, environment, arguments and `ray` the driver's."""
    settings = marshal.loads(blob)
    sys.path[:] = settings["path"]
    sys.argv[:] = settings["argv"]
    if settings["ray"]:
        from . import _drop_in

        _drop_in.install()
    os.environ.clear()
    os.environ.update(settings["environ"])
    if settings["cwd"]:
        try:
            os.chdir(settings["cwd"])
        except OSError as error:
            sys.stderr.write(f"bolide: a worker cannot enter {settings['cwd']}: {error}\n")
    return settings


class TemplateBase:
    """What all template processes of a session have in common: this process as it is at init, so
    that environments which need nothing of their own have equal commands and share a template."""

    def __init__(self) -> None:
        self._python = sys.executable
        self._path = _search_path(_cwd())
        self._environ = dict(os.environ)
        # What costs each worker tens of milliseconds, if the program seems to need it.
        needed = {"numpy": "numpy", "asyncio": "bolide._actor_async"}
        self._preload = [module for sign, module in needed.items() if sign in sys.modules]
        self._flags = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
        if sys.flags.utf8_mode:
            self._flags += ["-X", "utf8"]

    def command(self, prepared: Prepared) -> tuple[list[str], list[str]]:
        """How to start the template of an environment: argv and environment."""
        if not self._python:
            raise RuntimeError(
                "bolide cannot start workers: sys.executable is empty, so the Python interpreter "
                "is not known; set it to the path of python"
            )
        variables = prepared.read_at_start()
        preload = [module for module in self._preload if module != "numpy" or not variables]
        path = prepared.installed() + self._path
        if any(map(_shadows, prepared.in_front())):
            path = prepared.in_front() + path
        python = self._python if prepared.packages is None else prepared.packages.python
        bootstrap = _BOOTSTRAP.format(path=path, preload=preload)
        environ = {**self._environ, **variables}
        if "numpy" in preload:
            # One BLAS thread while it is loaded: a template must have one thread when it forks.
            environ |= {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        return (
            [python, *self._flags, "-c", bootstrap],
            [f"{name}={value}" for name, value in environ.items()],
        )


def _shadows(folder: str) -> bool:
    """Whether it has a module of its own for what a template may have imported."""
    return any(
        os.path.exists(os.path.join(folder, name + end))
        for name in _PRELOADED
        for end in ("", ".py")
    )


def _ray_is_bolide() -> bool:
    module = sys.modules.get("bolide._drop_in")
    return module is not None and module.is_installed()


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def _search_path(cwd: str) -> list[str]:
    """sys.path with the working directory by name, since a worker may start elsewhere."""
    return [entry or cwd for entry in sys.path if isinstance(entry, str)]
