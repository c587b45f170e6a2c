"""Several ends of a graph, as a node. Thread safety: see `DAGNode`."""

from __future__ import annotations

from .dag_node import DAGNode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class MultiOutputNode(DAGNode):
    """The end of a graph with several results: `execute` returns a list of them.

    Args:
        args: a list or tuple of nodes.

    Raises:
        ValueError: it is no list or tuple, or has something else than nodes.

    Follows Ray's page "ray.dag.output_node.MultiOutputNode".
    """

    def __init__(self, args: list[DAGNode] | tuple[DAGNode, ...]) -> None:
        if not isinstance(args, (list, tuple)):
            raise ValueError(f"Invalid input type for `args`, {type(args)}; give a list of nodes.")
        for node in args:
            if not isinstance(node, DAGNode):
                raise ValueError(f"MultiOutputNode has {node!r}, but takes nodes; make it by bind.")
        super().__init__(tuple(args), {}, {})

    def _run(self, values: dict[int, Any], given: Any) -> Any:
        return [values[id(node)] for node in self._args]
