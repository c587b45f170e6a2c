"""Actors in a graph: a class that is made when the graph is executed, and calls of methods.

Thread safety: see `DAGNode`; the methods of one ClassNode are to be bound by one thread.
"""

from __future__ import annotations

from .dag_node import DAGNode, nodes_in, resolved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class ClassNode(DAGNode):
    """``Class.bind(...)``: each execution makes an actor.

    Its methods run in the order in which they were bound, also those that nothing else needs.
    """

    def __init__(self, cls: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        super().__init__(args, kwargs, dict(cls._ray_options.given))
        self._cls = cls
        self._last_call: ClassMethodNode | None = None

    def __getattr__(self, name: str) -> _UnboundMethod:
        if name.startswith("_") or not callable(getattr(self._cls.__ray_actor_class__, name, None)):
            raise AttributeError(f"{self!r} has no method {name!r}")
        return _UnboundMethod(self, name, {})

    def _run(self, values: dict[int, Any], given: Any) -> Any:
        args, kwargs = resolved((self._args, self._kwargs), values)
        return self._cls.remote(*args, **kwargs)

    def _label(self) -> str:
        return self._cls._ray_exported.name


class _UnboundMethod:
    """``node.method``, to be bound."""

    def __init__(self, node: ClassNode, name: str, options: dict[str, Any]) -> None:
        self._node = node
        self._name = name
        self._options = options

    def options(self, **options: Any) -> _UnboundMethod:
        """The same method with options of `ActorMethod.options`."""
        return _UnboundMethod(self._node, self._name, {**self._options, **options})

    def bind(self, *args: Any, **kwargs: Any) -> ClassMethodNode:
        """A node that calls the method of the actor which the graph makes."""
        node = self._node
        method = ClassMethodNode(None, args, kwargs, (node, self._name, self._options))
        node._last_call = method
        return method


class ClassMethodNode(DAGNode):
    """``handle.method.bind(...)``, or a method of a ClassNode: executed as a call of the actor."""

    def __init__(
        self, method: Any, args: tuple, kwargs: dict[str, Any], of: tuple | None = None
    ) -> None:
        self._method = method  # an ActorMethod, or None
        self._node: ClassNode | None = None
        self._earlier: ClassMethodNode | None = None  # the call bound before on the same ClassNode
        options = {} if method is None else method._options
        if of is not None:
            self._node, self._name, options = of
            self._earlier = self._node._last_call
        super().__init__(args, kwargs, options)

    def _before(self) -> Iterator[DAGNode]:
        yield from nodes_in((self._args, self._kwargs))
        if self._node is not None:
            yield self._node
        if self._earlier is not None:
            yield self._earlier

    def _run(self, values: dict[int, Any], given: Any) -> Any:
        args, kwargs = resolved((self._args, self._kwargs), values)
        method = self._method
        if self._node is not None:
            method = getattr(values[id(self._node)], self._name)
            if self._options:
                method = method.options(**self._options)
        return method.remote(*args, **kwargs)

    def _label(self) -> str:
        if self._node is not None:
            return f"{self._node._label()}.{self._name}"
        return self._method._argument_subject(None)
