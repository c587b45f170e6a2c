"""A call of a remote function in a graph. Thread safety: see `DAGNode`."""

from __future__ import annotations

from .dag_node import DAGNode, resolved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FunctionNode(DAGNode):
    """``f.bind(...)``: executed as the task ``f.remote(...)``."""

    def __init__(self, function: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        super().__init__(args, kwargs, dict(function._options.given))
        self._function = function

    def _run(self, values: dict[int, Any], given: Any) -> Any:
        args, kwargs = resolved((self._args, self._kwargs), values)
        return self._function.remote(*args, **kwargs)

    def _label(self) -> str:
        return self._function.exported.name
