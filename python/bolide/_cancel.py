"""`cancel`: ending tasks. What it does is in cpp/node/node_cancel.cpp and `_hot_cancel.pxi`.

Thread safety: may be called from any thread.
"""

from __future__ import annotations

from . import _hot
from ._hot import ObjectRef, ObjectRefGenerator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def broke_an_import(error: BaseException) -> bool:
    """In a worker: whether a KeyboardInterrupt within an import is behind this exception."""
    link: BaseException | None = error
    seen = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, KeyboardInterrupt):
            return _passed_an_import(error) or _passed_an_import(link)
        link = link.__cause__ or link.__context__
    return False


def _passed_an_import(error: BaseException) -> bool:
    """Whether code of a module's top level raised it; Python leaves importlib's own frames out."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "<module>":
            return True
        trace = trace.tb_next
    return False


def force_error() -> ValueError:
    """What `cancel` with `force` raises for a call of an actor."""
    return ValueError(
        "force=True is not supported for actor tasks: it would end the actor with its state and "
        "other calls; leave it out, or use kill()"
    )


def cancel(ref: Any, *, force: bool = False, recursive: bool = True) -> None:
    """Cancels the task that makes an object; returns at once.

    A task that has not begun never runs. One that runs gets a KeyboardInterrupt in its main thread,
    also while it sleeps; with `force` its worker is killed instead. One that has ended stays as it
    is. A cancelled task is not retried.

    Args:
        ref: an ObjectRef, or the generator of a task that streams.
        force: kill the worker of a task that runs, for code that holds off the interrupt.
        recursive: also cancel the tasks that this one has started, and theirs.

    After that `get` raises TaskCancelledError; WorkerCrashedError if the worker was killed; or
    gives what the task returned or raised in spite of the interrupt.

    Raises:
        TypeError: `ref` is something else.
        ValueError: `force`, and it is a call of an actor.

    Example:
        >>> ref = search.remote(problem)
        >>> cancel(ref)

    Follows Ray's page "ray.cancel".
    """
    if isinstance(ref, ObjectRefGenerator):
        if ref._source is not None:
            ref._source.cancel(force)
            return
        ref = ref.completed()
    if not isinstance(ref, ObjectRef):
        raise TypeError(
            "ray.cancel() only supported for object refs. For actors, try ray.kill. Got: "
            f"{type(ref)}"
        )
    _hot.cancel_object(ref, force, recursive)
