"""joblib's backend: `Parallel` runs its batches as tasks. Importing this module registers it.

It uses joblib's documented interface for backends and nothing else of it.

Data flow: joblib calls `submit` with a batch. Large arguments in it are put into the store, once
for all batches of one `Parallel` call, and the batch becomes a task. When that has ended, a thread
of the backend's own calls joblib back, because joblib submits the next batch from there.

Thread safety: joblib's: `submit` may be called from the callback thread and from the user's.
Invariants: a batch runs at most once; an argument that was put is kept as long as its `id` is used
as a key.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator

from joblib import register_parallel_backend
from joblib.parallel import AutoBatchingMixin, BatchedCalls, ParallelBackendBase

from .._crew import Call, Crew
from .._crew_workers import TaskWorkers, cpus
from .._hot import ObjectRef, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["BolideBackend", "register"]

# Arguments from this size on are put into the store: about where that is cheaper than a copy in
# each batch.
_LARGE_BYTES = 1 << 16
_NAMES = ("bolide", "ray")


def register() -> None:
    """Registers the backends "bolide" and "ray" with joblib."""
    for name in _NAMES:
        register_parallel_backend(name, BolideBackend)


class BolideBackend(AutoBatchingMixin, ParallelBackendBase):
    """Runs the batches of `joblib.Parallel` on bolide's workers.

    Args:
        nesting_level: joblib's.
        inner_max_num_threads: how many threads BLAS and OpenMP use in a worker; by default the
            CPUs of the machine divided by the number of jobs, or what their variables say.
        ray_remote_args: options of the tasks, such as ``{"num_gpus": 1}``.

    Example:
        >>> import bolide.integrations.joblib
        >>> with joblib.parallel_config(backend="bolide", n_jobs=-1):
        ...     Parallel()(delayed(math.sqrt)(i) for i in range(10))

    Follows joblib's page "Custom backend API" and Ray's "Distributed Scikit-learn / Joblib".
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True
    default_n_jobs = -1

    def __init__(
        self,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        ray_remote_args: dict[str, Any] | None = None,
        **backend_kwargs: Any,
    ) -> None:
        super().__init__(
            nesting_level=nesting_level,
            inner_max_num_threads=inner_max_num_threads,
            **backend_kwargs,
        )
        self._options = ray_remote_args
        self._crew: Crew | None = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many batches run at a time: `n_jobs`, or counted from the CPUs if it is negative."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max(cpus() + 1 + n_jobs, 1)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **kwargs: Any) -> int:
        """Called by joblib before the first batch."""
        self.parallel = parallel
        n_jobs = self.effective_n_jobs(n_jobs)
        options = {**(self._options or {}), **(kwargs.get("ray_remote_args") or {})}
        self._crew = Crew(TaskWorkers(n_jobs, options), eager=True)
        self._n_jobs = n_jobs
        self._environment = self._prepare_worker_env(n_jobs)
        self._stored: dict[int, tuple[Any, ObjectRef]] = {}
        self._lock = threading.Lock()
        self._ended: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        threading.Thread(
            target=_call_back, args=(self._ended,), name="bolide-joblib", daemon=True
        ).start()
        return n_jobs

    def submit(self, func: Any, callback: Callable[[Any], object] | None = None) -> _Batch:
        """Called by joblib with a batch; `callback` gets what this returns, once it has ended."""
        values: list[ObjectRef] = []
        items = [
            (
                function,
                [self._place(value, values) for value in args],
                {name: self._place(value, values) for name, value in kwargs.items()},
            )
            for function, args, kwargs in func.items
        ]
        args = (items, (func._backend, func._n_jobs), self._environment, *values)
        batch = _Batch(self._ended, callback, args)
        crew = self._crew
        if crew is None:
            raise RuntimeError("the joblib backend was used before joblib had configured it")
        crew.submit(batch)
        crew.watch(batch)
        return batch

    def retrieve_result_callback(self, out: _Batch) -> Any:
        """Called by joblib in its callback: the results of a batch, or its exception raised."""
        if out.error is not None:
            raise out.error
        return out.value

    def terminate(self) -> None:
        """Called by joblib when all is done."""
        self._stop(None)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Called by joblib when a batch has failed: ends the others."""
        self._stop(RuntimeError("joblib ended this batch because another one has failed"))
        # joblib keeps batches that it has cut for later, and would run them in its next call.
        if hasattr(self.parallel, "_ready_batches"):
            with self.parallel._lock:
                self.parallel._ready_batches = queue.Queue()
        if ensure_ready:
            self.configure(n_jobs=self._n_jobs, parallel=self.parallel)

    def _stop(self, error: BaseException | None) -> None:
        crew, self._crew = self._crew, None
        if crew is None:
            return
        if error is not None:
            crew.abandon(error)
        crew.close()
        self._ended.put(None)
        self._stored = {}
        self.reset_batch_stats()

    def _place(self, value: Any, values: list[ObjectRef]) -> Any:
        """The argument itself, or its place among the stored ones."""
        if not _is_large(value):
            return value
        with self._lock:
            known = self._stored.get(id(value))
            if known is None:
                known = self._stored[id(value)] = value, put(value)
        values.append(known[1])
        return _Place(len(values) - 1)


class _Place:
    """Stands for an argument that comes through the store."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class _Batch(Call):
    """One batch of joblib's."""

    def __init__(
        self, ended: queue.SimpleQueue[_Batch | None], callback: Any, args: tuple[Any, ...]
    ) -> None:
        self.function = _run
        self.args = args
        self.kwargs: dict[str, Any] = {}
        self.value: Any = None
        self.error: BaseException | None = None
        self._ended = ended
        self._callback = callback

    def settle(self, value: Any, error: BaseException | None) -> None:
        """The batch has ended; the service thread is not to wait for joblib."""
        self.value, self.error = value, error
        self.args = ()
        self._ended.put(self)

    def call_back(self) -> None:
        """Tells joblib."""
        if self._callback is not None:
            self._callback(self)


def _call_back(ended: queue.SimpleQueue[_Batch | None]) -> None:
    while (batch := ended.get()) is not None:
        batch.call_back()
        batch = None


def _is_large(value: Any) -> bool:
    size = getattr(value, "nbytes", None)
    if not isinstance(size, int):
        if isinstance(value, (int, float, str, tuple, list, dict)) or isinstance(value, ObjectRef):
            return False
        size = sys.getsizeof(value, 0)
    return size >= _LARGE_BYTES


def _run(items: Any, backend: Any, environment: dict[str, str], *values: Any) -> list[Any]:
    """The task: runs a batch with the large arguments in their places."""

    def fill(value: Any) -> Any:
        return values[value.index] if type(value) is _Place else value

    calls = [
        (function, [fill(v) for v in args], {name: fill(v) for name, v in kwargs.items()})
        for function, args, kwargs in items
    ]
    with _threads_limited(environment):
        return BatchedCalls(calls, backend)()


@contextlib.contextmanager
def _threads_limited(environment: dict[str, str]) -> Iterator[None]:
    """The variables that limit threads, for what the batch starts or loads, and the limits."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        with _limits(environment):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_controller: tuple[int, Any] | None = None  # how many modules there were when it looked


def _limits(environment: dict[str, str]) -> Any:
    """Limits libraries that are loaded already, where threadpoolctl is there to do it.

    They have read the variables before, in the process that workers are forked from.
    """
    global _controller
    try:
        import threadpoolctl
    except ImportError:
        return contextlib.nullcontext()
    modules = len(sys.modules)
    if _controller is None or _controller[0] != modules:
        _controller = modules, threadpoolctl.ThreadpoolController()
    limits = {
        "blas": int(environment["OPENBLAS_NUM_THREADS"]),
        "openmp": int(environment["OMP_NUM_THREADS"]),
    }
    return _controller[1].limit(limits=limits)


register()
