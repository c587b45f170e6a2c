"""A graph of methods of living actors, prepared: an execution is a loop over bound calls.

Here an actor's queue in shared memory is what Ray makes a channel for, so a compiled graph needs no
loop of its own in the actor: references go from call to call, and the actor stays free for others.

Thread safety: any thread.
"""

from __future__ import annotations

from .. import put
from ..exceptions import RayCgraphCapacityExceeded, RayChannelError
from .class_node import ClassMethodNode, ClassNode
from .compiled_dag_ref import CompiledDAGFuture, CompiledDAGRef
from .dag_node import DAGNode, nodes_before, nodes_in
from .function_node import FunctionNode
from .input_node import DAGInputData, InputAttributeNode, InputNode
from .output_node import MultiOutputNode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_GIVEN = 0  # the slot of what execute() was given
_SMALL = (int, float, bool, type(None))


class _Plan:
    """The calls of a graph. Values have slots: what was given, its parts, constants, results.

    Fields: `slots`, with the constants in their places; `parts`, (slot, function of what was
    given); `calls`, (method.remote, slots of its arguments, slots by keyword, slot of the result);
    `outputs`, slots; `shared`, whether several calls take what was given as it is.
    """

    def __init__(self, root: DAGNode) -> None:
        self.slots: list[Any] = [None]
        self.parts: list[tuple[int, Callable[[Any], Any]]] = []
        self.calls: list[tuple[Any, tuple[int, ...], dict[str, int], int]] = []
        self._slot_of: dict[int, int] = {}
        self._takers = 0
        nodes = nodes_before(root)
        _check(nodes, root)
        for node in nodes:
            if isinstance(node, InputNode):
                self._slot_of[id(node)] = _GIVEN
            elif isinstance(node, InputAttributeNode):
                self.parts.append((self._new(node), node.of))
            elif isinstance(node, ClassMethodNode):
                args = tuple(self._slot(value) for value in node._args)
                kwargs = {name: self._slot(value) for name, value in node._kwargs.items()}
                self._takers += (*args, *kwargs.values()).count(_GIVEN) > 0
                self.calls.append((node._method.remote, args, kwargs, self._new(node)))
        ends = root._args if isinstance(root, MultiOutputNode) else (root,)
        self.outputs = [self._slot_of[id(node)] for node in ends]
        self.shared = self._takers > 1

    def _new(self, node: DAGNode | None, value: Any = None) -> int:
        self.slots.append(value)
        slot = len(self.slots) - 1
        if node is not None:
            self._slot_of[id(node)] = slot
        return slot

    def _slot(self, value: Any) -> int:
        if isinstance(value, DAGNode):
            return self._slot_of[id(value)]
        return self._new(None, value)


def _check(nodes: list[DAGNode], root: DAGNode) -> None:
    inputs = 0
    for node in nodes:
        if isinstance(node, FunctionNode):
            raise NotImplementedError(
                f"Compiled DAGs currently only support actor method nodes, but this one has "
                f"{node!r}; use execute() of the graph itself, or make it a method of an actor."
            )
        if isinstance(node, ClassNode):
            raise ValueError(
                "Compiled DAGs can only bind methods to an actor that is already created with "
                f"Actor.remote(), but this one has {node!r}; create the actor first."
            )
        if isinstance(node, MultiOutputNode) and node is not root:
            raise ValueError("a MultiOutputNode can only be the end of a graph")
        inputs += isinstance(node, InputNode)
        if isinstance(node, ClassMethodNode):
            _check_arguments(node)
    if inputs != 1:
        raise NotImplementedError(
            f"Compiled DAGs currently require exactly one InputNode, but this one has {inputs}; "
            "take the arguments of execute() from one."
        )
    ends = root._args if isinstance(root, MultiOutputNode) else (root,)
    for node in ends:
        if not isinstance(node, ClassMethodNode):
            raise ValueError(f"a compiled graph ends with methods of actors, and not with {node!r}")


def _check_arguments(node: ClassMethodNode) -> None:
    values = (*node._args, *node._kwargs.values())
    if not any(isinstance(value, DAGNode) for value in values):
        raise ValueError(
            "Compiled DAGs require each task to take a ray.dag.InputNode or at least one other "
            f"DAGNode as an input, but {node!r} takes none; bind it to the InputNode."
        )
    for value in values:
        if not isinstance(value, DAGNode) and any(True for _ in nodes_in(value)):
            raise ValueError(
                f"{node!r} has a node inside of {value!r}, but a compiled graph takes nodes only "
                "as arguments themselves; bind them one by one."
            )


class CompiledDAG:
    """A prepared graph, made by `DAGNode.experimental_compile`.

    Follows Ray's page "Ray Compiled Graph".
    """

    def __init__(self, root: DAGNode, enable_asyncio: bool, most: int | None) -> None:
        self._plan = _Plan(root)
        self._root = root
        self._asyncio = enable_asyncio
        self._most = most
        self._in_flight = 0
        many = isinstance(root, MultiOutputNode)
        self._single = None if many else self._plan.outputs[0]
        self._ended: str | None = None

    def execute(self, *args: Any, **kwargs: Any) -> CompiledDAGRef | list[CompiledDAGRef]:
        """Makes the calls of the graph; returns at once.

        Args:
            *args, **kwargs: what the InputNode stands for.

        Returns:
            A CompiledDAGRef, for a MultiOutputNode a list of them: for one `get` each.

        Raises:
            RayChannelError: the graph was torn down, or one of its actors died.
            RayCgraphCapacityExceeded: more executions than `_max_inflight_executions` wait.
            ValueError: the graph was compiled with enable_asyncio.
        """
        if self._asyncio:
            raise ValueError("Use execute_async if enable_asyncio=True")
        values = self._execute(args, kwargs)
        if self._single is not None:
            return CompiledDAGRef(self, values[self._single])
        return [CompiledDAGRef(self, values[slot]) for slot in self._plan.outputs]

    async def execute_async(self, *args: Any, **kwargs: Any) -> Any:
        """As `execute`, for graphs that were compiled with ``enable_asyncio=True``.

        Returns:
            A CompiledDAGFuture, for a MultiOutputNode a list of them: to be awaited, each once.
        """
        if not self._asyncio:
            raise ValueError("Use execute if enable_asyncio=False")
        values = self._execute(args, kwargs)
        if self._single is not None:
            return CompiledDAGFuture(self, values[self._single])
        return [CompiledDAGFuture(self, values[slot]) for slot in self._plan.outputs]

    def teardown(self, kill_actors: bool = False) -> None:
        """Ends the graph: it is not executed any more. What runs already can still be had.

        Args:
            kill_actors: the actors of the graph are killed too.
        """
        self._ended = "it was torn down"
        if kill_actors:
            from .. import kill

            for node in nodes_before(self._root):
                if isinstance(node, ClassMethodNode):
                    kill(node._method._actor)

    def _execute(self, args: tuple, kwargs: dict[str, Any]) -> list[Any]:
        """Makes the calls; the values of all slots."""
        if self._ended is not None:
            raise RayChannelError(
                f"the compiled graph cannot be executed: {self._ended}. Compile it again."
            )
        if self._most is not None and self._in_flight >= self._most * self._ends():
            raise RayCgraphCapacityExceeded(
                f"{self._in_flight // self._ends()} executions of the compiled graph wait for "
                "their get(), as many as _max_inflight_executions allows. Get some of them first."
            )
        plan = self._plan
        values = plan.slots.copy()
        given = args[0] if len(args) == 1 and not kwargs else DAGInputData(args, kwargs)
        for slot, part in plan.parts:
            values[slot] = part(given)
        values[_GIVEN] = put(given) if plan.shared and not isinstance(given, _SMALL) else given
        for remote, slots, names, result in plan.calls:
            if names:
                named = {name: values[slot] for name, slot in names.items()}
                values[result] = remote(*[values[slot] for slot in slots], **named)
            elif len(slots) == 1:
                values[result] = remote(values[slots[0]])
            else:
                values[result] = remote(*[values[slot] for slot in slots])
        self._in_flight += len(plan.outputs)
        return values

    def _ends(self) -> int:
        """How many results an execution has."""
        return len(self._plan.outputs)

    def _taken(self) -> None:
        """One result has been got, or dropped."""
        self._in_flight -= 1

    def _actor_died(self, error: Exception) -> None:
        self._ended = f"an actor of it died ({error})"
