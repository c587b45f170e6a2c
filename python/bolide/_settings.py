"""What the driver hands to its workers when they are forked, and how the template is started.

Both halves are here: `encode_settings` and `template_command` in the driver, `apply_settings` in a
fresh worker. The blob is a marshal of plain values, so reading it needs no import.

Thread safety: functions without state.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BOOTSTRAP = (
    "import sys; sys.path[:] = {path!r}; from bolide._worker import main; main({preload!r})"
)


def encode_settings(job: dict[str, Any]) -> bytes:
    """This process's sys.path, directory, environment, arguments and job, and what `ray` is."""
    try:
        cwd = os.getcwd()
    except OSError:  # it was removed
        cwd = ""
    from . import _config, _runtime_env

    environment = job["runtime_env"]
    return marshal.dumps(
        {
            "path": _runtime_env.search_path(environment) + _search_path(cwd),
            "cwd": environment.get("working_dir", cwd),
            "environ": _runtime_env.environ(environment),
            "argv": [str(argument) for argument in getattr(sys, "argv", [])],
            "job": job,
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


def template_command() -> tuple[list[str], list[str]]:
    """How to start the template process: argv and environment."""
    if not sys.executable:
        raise RuntimeError(
            "bolide cannot start workers: sys.executable is empty, so the Python interpreter is "
            "not known; set it to the path of python"
        )
    # What costs each worker tens of milliseconds, if the program seems to need it.
    needed = {"numpy": "numpy", "asyncio": "bolide._actor_async"}
    preload = [module for sign, module in needed.items() if sign in sys.modules]
    bootstrap = _BOOTSTRAP.format(path=_search_path(os.getcwd()), preload=preload)
    flags = ["-O" * sys.flags.optimize] if sys.flags.optimize else []
    if sys.flags.utf8_mode:
        flags += ["-X", "utf8"]
    # One BLAS thread while NumPy is loaded: the template must have one thread when it forks.
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return (
        [sys.executable, *flags, "-c", bootstrap],
        [f"{name}={value}" for name, value in environ.items()],
    )


def _ray_is_bolide() -> bool:
    module = sys.modules.get("bolide._drop_in")
    return module is not None and module.is_installed()


def _search_path(cwd: str) -> list[str]:
    """sys.path with the working directory by name, since a worker may start elsewhere."""
    return [entry or cwd for entry in sys.path if isinstance(entry, str)]
