"""The template process and the workers that it forks.

The template is started once a session, has one thread, and imports what every worker needs; each
worker is a fork of it that takes the driver's settings, connects to the node and runs tasks until
it is told to end. Nothing here imports user code: functions arrive by value or by name.

Thread safety: one thread, until user code in a worker starts others.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys

from . import _core, _hot, _job, _runtime
from ._settings import apply_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(preload: list[str]) -> None:
    """The template's life: forks workers when the node asks, ends with the node."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = _core.TemplateServer.open()
    _import_early(preload)
    gc.collect()
    gc.freeze()  # collections in workers leave the shared pages alone
    order = _core.ForkOrder()
    while server.next(order):
        try:
            pid = os.fork()
        except OSError as error:
            server.fork_failed(order.worker, error.errno)
        else:
            if pid == 0:
                _run(server, order)
            server.forked(order.worker, pid)
        order = _core.ForkOrder()
    os._exit(0)


def _import_early(preload: list[str]) -> None:
    import pickle  # noqa: F401

    for name in ("cloudpickle.cloudpickle", "bolide._export", "bolide._serialize", *preload):
        try:
            __import__(name)
        except Exception:
            # The worker that needs it will say so, with the user's own traceback.
            sys.exc_info()


def _run(server: _core.TemplateServer, order: _core.ForkOrder) -> None:
    """In the forked child: never returns."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGURG, _hot.handle_interrupt)  # see cpp/ipc/interrupt.h
        settings = apply_settings(order.settings())
        # Before the greeting: a worker that cannot run it has not started.
        if "worker_process_setup_hook" in settings["job"]["runtime_env"]:
            from ._runtime_env import run_hook

            run_hook(settings["job"]["runtime_env"])
        client = server.attach(order)
        session = _hot.Session(client, True)
        session.note_sites(settings["sites"])
        _hot.set_session(session)
        _enter_job(settings["job"])
        _redirect_output(settings["prefix"])
        _seed()
        if "PYTHONBREAKPOINT" not in os.environ:
            sys.breakpointhook = _break
        status = _hot.run_worker(session)
        actor = sys.modules.get("bolide._actor_worker")
        if actor is not None:
            actor.finish()
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(status)


def _enter_job(fields: dict[str, Any]) -> None:
    _job.current.enter(fields)
    if _job.current.gpus:
        from . import _accelerators

        _accelerators.enter(_job.current.gpus)


def _break(*args: Any, **kwargs: Any) -> None:
    """breakpoint(): there is no terminal here."""
    from . import _debugger

    _debugger.stop(sys._getframe(1))


def _seed() -> None:
    """Forks of one process would all draw the same numbers; `random` sees to itself."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()


class _Lines(io.RawIOBase):
    """The byte stream under a worker's sys.stdout or sys.stderr: whole lines go to the driver."""

    def __init__(self, stream: int) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        _hot.write_output(self._stream, data)
        return len(data)

    def fileno(self) -> int:
        return self._stream


def _redirect_output(prefix: bool) -> None:
    _hot.set_output_prefix(prefix)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = io.TextIOWrapper(
            _Lines(number), encoding="utf-8", errors="backslashreplace", write_through=True
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


assert _runtime  # sets the hooks of the hot path
