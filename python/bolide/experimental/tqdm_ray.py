"""tqdm for tasks and actors: bars that are drawn by the driver, whoever advances them.

How: in a worker a bar is a number that is printed now and then, as a line that the driver's service
thread knows (`MARK`); there, or if the bar is the driver's own, tqdm draws it.

Thread safety: a bar belongs to one thread, the manager has a lock. Invariants: nothing but
the manager calls tqdm; the last state of a bar reaches it before the `get` of its task returns.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Sized
from threading import Lock

from .. import _hot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["instance", "safe_print", "tqdm"]

MARK = "__ray_tqdm_magic_token__"
_FLUSH_SECONDS = 0.1


class tqdm:
    """A progress bar that works in tasks, actors and the driver, with the main part of tqdm's API.

    Args:
        iterable: what to go through.
        desc: what stands before the bar.
        total: how many items there are; by default `len(iterable)`.
        unit: what an item is called.
        position: the line of the bar among those of its process.
        flush_interval_s: how many seconds at least are between two reports of a worker.

    Example:
        >>> @ray.remote
        ... def work(n):
        ...     for i in tqdm_ray.tqdm(range(n), desc="working"):
        ...         step(i)

    Follows Ray's `ray.experimental.tqdm_ray`; needs tqdm in the driver.
    """

    def __init__(
        self,
        iterable: Iterable[Any] | None = None,
        desc: str | None = None,
        total: int | None = None,
        unit: str | None = None,
        position: int | None = None,
        flush_interval_s: float = _FLUSH_SECONDS,
    ) -> None:
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)
        self._iterable = iterable
        self._state: dict[str, Any] = {
            MARK: uuid.uuid4().hex, "desc": desc or "", "total": total, "unit": unit or "it",
            "pos": position or 0, "x": 0, "closed": False,
        }  # fmt: skip
        self._interval = flush_interval_s
        self._reported = 0.0
        self.refresh()

    @property
    def n(self) -> int:
        """How many items are done."""
        return self._state["x"]

    @property
    def total(self) -> int | None:
        """How many items there are."""
        return self._state["total"]

    @total.setter
    def total(self, total: int | None) -> None:
        self._state["total"] = total

    def set_description(self, desc: str) -> None:
        """Changes what stands before the bar."""
        self._state["desc"] = desc
        self.refresh()

    def update(self, n: int = 1) -> None:
        """So many items more are done."""
        self._state["x"] += n
        if time.monotonic() - self._reported >= self._interval:
            self.refresh()

    def refresh(self) -> None:
        """Reports the state now."""
        self._reported = time.monotonic()
        session = _hot.current_session()
        if session is not None and session.is_worker:
            print(json.dumps(self._state), flush=True)
        else:
            instance().show(dict(self._state))

    def close(self) -> None:
        """Takes the bar away."""
        if not self._state["closed"]:
            self._state["closed"] = True
            self.refresh()

    def __iter__(self) -> Iterator[Any]:
        if self._iterable is None:
            raise ValueError("No iterable provided")
        try:
            for item in self._iterable:
                yield item
                self.update(1)
        finally:
            self.close()

    def __enter__(self) -> tqdm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Manager:
    """The bars that this process draws."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._bars: dict[str, Any] = {}
        self._hidden = False

    def show(self, state: dict[str, Any]) -> None:
        """Makes, advances or ends the bar of a state."""
        try:
            from tqdm import tqdm as drawn
        except ImportError:
            return  # nothing to draw with: the work is what counts
        with self._lock:
            self._hidden = False
            bar = self._bars.get(state[MARK])
            if state["closed"]:
                if bar is not None:
                    self._advance(bar, state)
                    bar.close()
                    del self._bars[state[MARK]]
                return
            if bar is None:
                bar = self._bars[state[MARK]] = drawn(
                    desc=state["desc"], total=state["total"], unit=state["unit"], leave=False
                )
            self._advance(bar, state)

    @staticmethod
    def _advance(bar: Any, state: dict[str, Any]) -> None:
        bar.total = state["total"]
        if bar.desc.removesuffix(": ") != state["desc"]:
            bar.set_description(state["desc"], refresh=False)
        bar.update(state["x"] - bar.n)

    def hide_bars(self) -> None:
        """Clears the bars, so that lines can be written; they come back with the next step."""
        with self._lock:
            if not self._hidden:
                self._hidden = True
                for bar in self._bars.values():
                    bar.clear()

    def unhide_bars(self) -> None:
        """Draws the bars again."""
        with self._lock:
            if self._hidden:
                self._hidden = False
                for bar in self._bars.values():
                    bar.refresh()


_manager = _Manager()


def instance() -> _Manager:
    """What draws the bars of this process."""
    return _manager


def safe_print(*args: Any, **kwargs: Any) -> None:
    """`print`, with the bars out of the way."""
    _manager.hide_bars()
    try:
        print(*args, **kwargs)
    finally:
        _manager.unhide_bars()


def take_line(line: str) -> bool:
    """Draws what a worker's line says; False if it is no state of a bar."""
    try:
        state = json.loads(line[line.index("{") :])
        known = isinstance(state[MARK], str)
    except (ValueError, KeyError, TypeError):
        return False
    if known:
        _manager.show(state)
    return known
