"""The driver's service thread: prints what workers write, resolves futures, gives warnings, makes
the environments that tasks wait for.

It sleeps in the core without the GIL and is woken by it. It is not on the path of any task.

Thread safety: `print_output` may be called from any thread; lines keep their order.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock, get_ident, start_new_thread
from itertools import count

from . import _hot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from . import _core
    from ._environments import Environments


_BAR = "__ray_tqdm_magic_token__"  # bolide.experimental.tqdm_ray.MARK, without importing that


class Service:
    """One thread for one node; made by init, stopped by shutdown."""

    def __init__(self, node: _core.Node, environments: Environments) -> None:
        self._node = node
        self._environments = environments
        self._print_lock = allocate_lock()
        self._stopping = False
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._tokens = count(1)
        self._ident = 0
        self._ended = allocate_lock()
        self._ended.acquire()
        start_new_thread(self._run, ())

    def stop(self, settle_futures: bool = True) -> None:
        """Stops the node, then the thread, once it has printed what is left."""
        self._stopping = True
        self._node.stop()
        if get_ident() != self._ident:  # a callback may shut down
            self._ended.acquire()
        self.print_output()  # what workers had written when they were stopped
        self._node.close_service()
        callbacks = list(self._callbacks.values())
        self._callbacks.clear()
        for callback in callbacks if settle_futures else ():
            callback()

    def add_callback(self, callback: Callable[[], None]) -> int:
        """Registers what to call when the token that is returned becomes ready."""
        token = next(self._tokens)
        self._callbacks[token] = callback
        return token

    def print_output(self) -> None:
        """Writes the lines that have come from workers to this process's streams."""
        with self._print_lock:
            try:
                for stream, _pid, text in self._node.take_output():
                    line = text.decode("utf-8", "replace")
                    if _BAR in line and _draw_bar(line):
                        continue
                    bars = sys.modules.get("bolide.experimental.tqdm_ray")
                    if bars is not None:
                        bars.instance().hide_bars()
                    out = sys.stdout if stream == 1 else sys.stderr
                    if out is not None:
                        _write_line(out, line)
            finally:
                self._node.output_printed()

    def _run(self) -> None:
        self._ident = get_ident()
        try:
            while not self._stopping:
                tokens = self._node.wait_service(_hot.forget_repeated(False))
                if self._stopping:
                    break  # stop() settles what is left; at exit this thread must not wait
                for token in tokens:
                    callback = self._callbacks.pop(token, None) if token else None
                    if callback is not None:
                        callback()
                    callback = None  # it holds a reference
                if self._node.has_output():
                    self.print_output()
                self._environments.serve(self._node)
                for sentence in self._node.take_warnings():
                    _warn(sentence)
        finally:
            self.print_output()
            self._ended.release()


def _draw_bar(line: str) -> bool:
    """Whether a line of a worker is a progress bar, which is then drawn."""
    from .experimental import tqdm_ray

    return tqdm_ray.take_line(line)


def _write_line(out: TextIO, line: str) -> None:
    try:
        out.write(line + "\n")
        out.flush()
    except (OSError, ValueError):
        pass  # the user's stream is closed or broken; other lines may still get through


def _warn(sentence: str) -> None:
    if sys.stderr is not None:
        _write_line(sys.stderr, f"bolide: {sentence}")
