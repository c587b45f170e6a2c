"""The result of a compiled graph's execution: for `get` or `await`, once.

Thread safety: one thread at a time.
"""

from __future__ import annotations

from .. import get
from ..exceptions import ActorDiedError, GetTimeoutError, RayChannelTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, NoReturn

    from .. import ObjectRef
    from .compiled_dag_node import CompiledDAG


class _Result:
    """What both kinds have in common: a reference that is given away once."""

    _once = ""

    __slots__ = ("_dag", "_ref")

    def __init__(self, dag: CompiledDAG, ref: ObjectRef) -> None:
        self._dag = dag
        self._ref: ObjectRef | None = ref

    def _pending(self) -> ObjectRef:
        if self._ref is None:
            raise ValueError(self._once)
        return self._ref

    def _take(self, error: Exception | None = None) -> None:
        self._ref = None
        self._dag._taken()
        if isinstance(error, ActorDiedError):
            self._dag._actor_died(error)

    def __copy__(self) -> NoReturn:
        raise ValueError(f"{type(self).__name__} cannot be copied.")

    def __deepcopy__(self, memo: Any) -> NoReturn:
        raise ValueError(f"{type(self).__name__} cannot be deep copied.")

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise ValueError(f"{kind} cannot be pickled: get it here and pass its value.")

    def __del__(self) -> None:
        if getattr(self, "_ref", None) is not None:
            self._dag._taken()


class CompiledDAGRef(_Result):
    """What `CompiledDAG.execute` returns. ``bolide.get`` takes it, also in a list, once.

    It is no ObjectRef: it can neither be waited for by `wait`, nor be an argument, nor be pickled.
    Follows Ray's page "CompiledDAGRef".
    """

    __slots__ = ()
    _once = "ray.get() can only be called once on a CompiledDAGRef, and it was already called."

    def get(self, timeout: float | None = None) -> Any:
        """The result; waits until it is there.

        Args:
            timeout: seconds to wait at most; None or -1: without limit.

        Raises:
            ValueError: it was got before.
            RayChannelTimeoutError: it did not come in time; it may be got later.
            RayTaskError, ActorDiedError: what became of one of the calls.
        """
        ref = self._pending()
        try:
            value = get(ref, timeout=None if timeout == -1 else timeout)
        except GetTimeoutError as error:
            raise RayChannelTimeoutError(
                f"an execution of a compiled graph was not over in {timeout} s; get it later."
            ) from error
        except Exception as error:
            self._take(error)
            raise
        self._take()
        return value

    def _ray_get(self, timeout: float | None) -> Any:
        """What ``bolide.get`` of one calls."""
        return self.get(timeout)

    @staticmethod
    def _ray_get_all(results: list[CompiledDAGRef], timeout: float | None) -> list[Any]:
        """What ``bolide.get`` of a list calls."""
        for result in results:
            if not isinstance(result, CompiledDAGRef):
                raise ValueError(
                    "get() takes a list of CompiledDAGRefs or one of ObjectRefs, and no mixture"
                )
        pending = [result._pending() for result in results]
        try:
            values = get(pending, timeout=timeout)
        except GetTimeoutError as error:
            raise RayChannelTimeoutError(
                f"not all executions were over in {timeout} s; get them later."
            ) from error
        except Exception:
            # One by one, so that each is taken as far as it came.
            return [result.get(timeout) for result in results]
        for result in results:
            result._take()
        return values


class CompiledDAGFuture(_Result):
    """What `CompiledDAG.execute_async` gives: to be awaited, once.

    Follows Ray's page "CompiledDAGFuture".
    """

    __slots__ = ()
    _once = "CompiledDAGFuture can only be awaited once, and it was already awaited."

    def __await__(self) -> Generator[Any, None, Any]:
        ref = self._pending()
        try:
            value = yield from ref.__await__()
        except Exception as error:
            self._take(error)
            raise
        self._take()
        return value
