"""What `execute` is given, as a node. Thread safety: see `DAGNode`."""

from __future__ import annotations

from .dag_node import DAGNode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class InputNode(DAGNode):
    """Stands for the arguments of `execute`; used as a context manager.

    `node` is the one argument; `node[0]` and `node.name` are positional and keyword arguments or,
    where there is one positional argument only, an item or attribute of it.

    Example:
        >>> with InputNode() as x:
        ...     graph = add.bind(x[0], x.other)
        >>> graph.execute(1, other=2)

    Follows Ray's page "ray.dag.input_node.InputNode".
    """

    def __init__(self, *args: Any, input_type: Any = None, **kwargs: Any) -> None:
        if args or kwargs:
            raise ValueError("InputNode should not take any args or kwargs.")
        super().__init__((), {}, {})
        self._input_type = input_type

    def __enter__(self) -> InputNode:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __getattr__(self, name: str) -> InputAttributeNode:
        if name.startswith("_"):
            raise AttributeError(f"an InputNode has no attribute {name!r}")
        return InputAttributeNode(self, name, "__getattr__")

    def __getitem__(self, key: int | str) -> InputAttributeNode:
        if not isinstance(key, (int, str)):
            raise ValueError(
                "Please only use int index or str as first-level key to access fields of dag "
                f"input, not {key!r}."
            )
        return InputAttributeNode(self, key, "__getitem__")

    def _run(self, values: dict[int, Any], given: Any) -> Any:
        return given


class InputAttributeNode(DAGNode):
    """One of the arguments of `execute`, or a part of the only one."""

    def __init__(self, node: InputNode, key: int | str, accessor: str) -> None:
        super().__init__((node,), {}, {})
        self._key = key
        self._accessor = accessor

    def _run(self, values: dict[int, Any], given: Any) -> Any:
        return self.of(given)

    def of(self, given: Any) -> Any:
        """This part of what `execute` was given."""
        if isinstance(given, DAGInputData):
            return given[self._key]
        if self._accessor == "__getattr__":
            return getattr(given, self._key)
        return given[self._key]

    def _label(self) -> str:
        return f"{self._key!r}"


class DAGInputData:
    """Several arguments of `execute`: `data[0]` is a positional one, `data["name"]` another."""

    def __init__(self, args: tuple, kwargs: dict[str, Any]) -> None:
        self._args = list(args)
        self._kwargs = kwargs

    def __getitem__(self, key: int | str) -> Any:
        try:
            return self._args[key] if isinstance(key, int) else self._kwargs[key]
        except (IndexError, KeyError):
            raise ValueError(
                f"the graph takes the argument {key!r}, but execute() was given "
                f"{len(self._args)} positional arguments and the keywords "
                f"{sorted(self._kwargs)}; give it."
            ) from None
