"""What all nodes of a graph have in common: their arguments, the order in which they run, execute.

Thread safety: a node never changes after it was bound, but for the calls that a ClassNode has seen
and the references of the last `execute`; a graph may be executed by several threads.
"""

from __future__ import annotations

import itertools
import uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .compiled_dag_node import CompiledDAG

_bound = itertools.count()


class DAGNode:
    """A node of a graph. Its arguments may be nodes, also inside of lists, tuples and dicts.

    Follows Ray's page "ray.dag.DAGNode".
    """

    def __init__(self, args: tuple, kwargs: dict[str, Any], options: dict[str, Any]) -> None:
        self._args = args
        self._kwargs = kwargs
        self._options = options
        self._number = next(_bound)  # arguments are bound before what they are arguments of
        self._uuid = uuid.uuid4().hex
        self._last: Any = None

    def get_args(self) -> tuple:
        """The positional arguments that were bound."""
        return self._args

    def get_kwargs(self) -> dict[str, Any]:
        """The keyword arguments that were bound."""
        return dict(self._kwargs)

    def get_options(self) -> dict[str, Any]:
        """The options that were bound."""
        return dict(self._options)

    def get_stable_uuid(self) -> str:
        """A text that no other node has."""
        return self._uuid

    def get_object_refs_from_last_execute(self) -> Any:
        """What this node gave in the last ``execute(_ray_cache_refs=True)``, None before."""
        return self._last

    def execute(self, *args: Any, _ray_cache_refs: bool = False, **kwargs: Any) -> Any:
        """Makes the calls of the graph up to this node, each of them once; returns at once.

        Args:
            *args, **kwargs: what the InputNode stands for.
            _ray_cache_refs: each node keeps what it gave, for `get_object_refs_from_last_execute`.

        Returns:
            Of a function or method an ObjectRef, of a class an ActorHandle, of a MultiOutputNode a
            list.

        Raises:
            TypeError, ValueError: a call was refused, as by ``.remote(...)``.

        Example:
            >>> with InputNode() as x:
            ...     graph = double.bind(increment.bind(x))
            >>> bolide.get(graph.execute(3))
            8
        """
        from .input_node import DAGInputData

        given = args[0] if len(args) == 1 and not kwargs else DAGInputData(args, kwargs)
        values: dict[int, Any] = {}
        for node in nodes_before(self):
            value = values[id(node)] = node._run(values, given)
            if _ray_cache_refs:
                node._last = value
        return values[id(self)]

    def experimental_compile(
        self,
        _submit_timeout: float | None = None,
        _buffer_size_bytes: int | None = None,
        enable_asyncio: bool = False,
        _max_inflight_executions: int | None = None,
        _max_buffered_results: int | None = None,
        _overlap_gpu_communication: bool | None = None,
        _default_communicator: Any = "create",
    ) -> CompiledDAG:
        """Prepares a graph of methods of living actors, so that an execution costs little.

        Args:
            enable_asyncio: executions are awaited: see `CompiledDAG.execute_async`.
            _max_inflight_executions: how many executions may wait for their `get`; more are refused
                with RayCgraphCapacityExceeded. None: any number.
            _submit_timeout, _buffer_size_bytes, _max_buffered_results, _overlap_gpu_communication,
                _default_communicator: of Ray's channels; there are none here, so they do nothing.

        Returns:
            A CompiledDAG.

        Raises:
            ValueError, NotImplementedError: the graph has something else than methods of actors, or
                not exactly one InputNode, or a method has no node for an argument.

        Follows Ray's page "DAGNode.experimental_compile".
        """
        from .compiled_dag_node import CompiledDAG

        return CompiledDAG(self, enable_asyncio, _max_inflight_executions)

    def _before(self) -> Iterator[DAGNode]:
        """The nodes that run before this one."""
        return nodes_in((self._args, self._kwargs))

    def _run(self, values: dict[int, Any], given: Any) -> Any:
        """What this node gives, where `values` has what earlier ones gave, by their id()."""
        raise NotImplementedError

    def __getstate__(self) -> Any:
        raise ValueError(
            f"{self!r} cannot be pickled: a graph is executed in the process that bound it. Pass "
            "what `execute` returns, or bind it where it is used."
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._label()})"

    def _label(self) -> str:
        return ""


def nodes_in(value: Any) -> Iterator[DAGNode]:
    """The nodes in an argument, lists, tuples and dicts looked into."""
    if isinstance(value, DAGNode):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from nodes_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from nodes_in(item)


def resolved(value: Any, values: dict[int, Any]) -> Any:
    """An argument with what its nodes gave in their place."""
    if isinstance(value, DAGNode):
        return values[id(value)]
    if isinstance(value, (list, tuple)) and any(True for _ in nodes_in(value)):
        items = [resolved(item, values) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict) and any(True for _ in nodes_in(value)):
        return {key: resolved(item, values) for key, item in value.items()}
    return value


def nodes_before(root: DAGNode) -> list[DAGNode]:
    """All nodes that `root` needs, and itself, in the order in which they were bound."""
    found = {id(root): root}
    todo = [root]
    while todo:
        for node in todo.pop()._before():
            if id(node) not in found:
                found[id(node)] = node
                todo.append(node)
    return sorted(found.values(), key=lambda node: node._number)
