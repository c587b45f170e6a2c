"""RayDaskCallback: hooks around the submission and the execution of Dask's tasks.

Thread safety: as Dask's callbacks: which are active is one set of the process. Invariant: hooks
are those of the outermost computation; what it runs inside itself has none.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple

from dask.callbacks import Callback

from ..._actor import get_actor
from ..._hot import get, wait
from ..._remote import remote

_NAMES = (
    "ray_presubmit", "ray_postsubmit", "ray_pretask", "ray_posttask", "ray_postsubmit_all",
    "ray_finish",
)  # fmt: skip
_TRACKER = "_dask_on_ray_pb"


class RayDaskCallback(Callback):
    """Dask's `Callback` with hooks of this scheduler. Use it as a context manager, or `register`.

    Give functions to the constructor, or override the methods:

    - ``_ray_presubmit(task, key, deps)``, before a task is submitted; what it returns, unless that
      is None, is the result, and no task is submitted.
    - ``_ray_postsubmit(task, key, deps, object_ref)``, after that.
    - ``_ray_pretask(key, values)``, in the worker, before the task runs.
    - ``_ray_posttask(key, result, pre_state)``, in the worker, after it; `pre_state` is what
      ``_ray_pretask`` has returned.
    - ``_ray_postsubmit_all(object_refs, dsk)``, when everything was submitted.
    - ``_ray_finish(result)``, when the results have come.

    Example:
        >>> with RayDaskCallback(ray_finish=lambda result: print("done")):
        ...     array.sum().compute(scheduler=ray_dask_get)

    Follows Ray's page "Using Dask on Ray", callbacks.
    """

    ray_active: ClassVar[list[RayDaskCallback]] = []

    _ray_presubmit: Any = None
    _ray_postsubmit: Any = None
    _ray_pretask: Any = None
    _ray_posttask: Any = None
    _ray_postsubmit_all: Any = None
    _ray_finish: Any = None

    def __init__(self, **kwargs: Any) -> None:
        for name in _NAMES:
            hook = kwargs.pop(name, None)
            if hook is not None:
                setattr(self, "_" + name, hook)
        super().__init__(**kwargs)

    def __enter__(self) -> RayDaskCallback:
        RayDaskCallback.ray_active.append(self)
        super().__enter__()
        return self

    def __exit__(self, *args: object) -> None:
        super().__exit__(*args)
        RayDaskCallback.ray_active.remove(self)

    def register(self) -> None:
        """Makes it active until `unregister`."""
        RayDaskCallback.ray_active.append(self)
        super().register()

    def unregister(self) -> None:
        """Ends what `register` did."""
        super().unregister()
        RayDaskCallback.ray_active.remove(self)

    def __getstate__(self) -> dict[str, Any]:
        # Dask's context manager is no part of what the hooks in workers need.
        return {name: value for name, value in vars(self).items() if name != "_cm"}


class Hooks(NamedTuple):
    """The hooks of the callbacks that a computation has, by what they are."""

    presubmit: list[Any]
    postsubmit: list[Any]
    in_workers: list[tuple[Any, Any]]
    postsubmit_all: list[Any]
    finish: list[Any]


@contextlib.contextmanager
def local_hooks(callbacks: Iterable[RayDaskCallback] | None) -> Iterator[Hooks]:
    """The hooks of `callbacks`, or of those that are active, which are not active meanwhile."""
    active = RayDaskCallback.ray_active
    RayDaskCallback.ray_active = []
    try:
        yield _hooks_of(active if callbacks is None else list(callbacks))
    finally:
        RayDaskCallback.ray_active = active


def _hooks_of(callbacks: list[RayDaskCallback]) -> Hooks:
    for callback in callbacks:
        if not isinstance(callback, RayDaskCallback):
            raise TypeError(f"Callbacks must be RayDaskCallbacks, but one is {callback!r}")

    def every(name: str) -> list[Any]:
        return [hook for c in callbacks if (hook := getattr(c, name)) is not None]

    in_workers = [(c._ray_pretask, c._ray_posttask) for c in callbacks]
    return Hooks(
        every("_ray_presubmit"),
        every("_ray_postsubmit"),
        [pair for pair in in_workers if pair != (None, None)],
        every("_ray_postsubmit_all"),
        every("_ray_finish"),
    )


class _Tracker:
    """An actor that counts what was submitted, begun and finished."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._submitted: dict[Any, float] = {}
        self._begun: dict[Any, float] = {}
        self._finished: dict[Any, float] = {}

    def submit(self, key: Any, now: float) -> None:
        self._submitted[key] = now

    def begin(self, key: Any, now: float) -> None:
        self._begun[key] = now

    def finish(self, key: Any, now: float) -> None:
        self._finished[key] = now

    def result(self) -> tuple[int, int]:
        return len(self._submitted), len(self._finished)

    def report(self) -> dict[Any, Any]:
        times = {
            key: {
                "execution_time": finished - self._begun[key],
                "scheduling_time": self._begun[key] - self._submitted[key],
            }
            for key, finished in self._finished.items()
        }
        return {**times, "submission_order": list(self._submitted.items())}


class ProgressBarCallback(RayDaskCallback):
    """Counts tasks in an actor; with ``_ray_enable_progress_bar=True`` a bar (tqdm) shows them.

    `pb` is the actor: ``get(callback.pb.result.remote())`` gives how many tasks were submitted and
    how many have finished, ``report`` their times in seconds and the order of submission.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pb = remote(_Tracker).options(name=_TRACKER, get_if_exists=True).remote()
        get(self.pb.reset.remote())

    def _ray_postsubmit(self, task: Any, key: Any, deps: Any, object_ref: Any) -> None:
        get(self.pb.submit.remote(key, time.time()))

    def _ray_pretask(self, key: Any, values: Any) -> None:
        get(self.pb.begin.remote(key, time.time()))

    def _ray_posttask(self, key: Any, result: Any, pre_state: Any) -> None:
        get(self.pb.finish.remote(key, time.time()))

    def _ray_finish(self, result: Any) -> None:
        print("All tasks are completed.")


def show_progress(refs: list[Any]) -> None:
    """Shows a bar until all `refs` are ready. A ProgressBarCallback has to be active."""
    from tqdm import tqdm

    tracker = get_actor(_TRACKER)
    refs = [ref for ref in refs if hasattr(ref, "hex")]
    total, finished = get(tracker.result.remote())
    with tqdm(total=total, initial=finished) as bar:
        while refs:
            refs = wait(refs, num_returns=len(refs), timeout=0.1)[1]
            bar.update(get(tracker.result.remote())[1] - bar.n)
