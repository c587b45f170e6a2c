"""The class of an actor in the process that makes actors: ``Class.remote(...)``.

It is not the handle and not the call (`_hot_actor.pxi`), and not the worker's side
(`bolide._actor_worker`). Follows Ray's page "Actors".

Thread safety: an ActorClass never changes, but for what it works out once.
"""

from __future__ import annotations

from . import _hot, _job, _runtime
from ._actor_methods import (
    check_call,
    encode_actor,
    info_of,
    is_async_class,
    key_of,
    methods_of,
    parameters_of,
)
from ._actor_options import MAX_CONCURRENCY_ASYNC, ActorOptions, normalize_actor_options
from ._hot import ActorHandle, Exported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ActorClassInheritanceException(TypeError):
    """A class was derived from an actor class. Derive from the plain class and make that remote."""


class _Metadata:
    """What libraries for Ray look up as ``Class.__ray_metadata__``."""

    def __init__(self, class_name: str, modified_class: type | None) -> None:
        self.class_name = class_name
        self.modified_class = modified_class


class ActorClass:
    """A class whose instances are actors: ``Class.remote(...)`` makes one in a worker of its own.

    Made by `@remote`; `.options(...)` gives one with other options. Attributes of the class itself,
    such as static methods, can be used directly. Follows Ray's page "Actors".
    """

    __ray_metadata__: _Metadata
    # Set by _make; __getattr__ must find it before, as when copy makes one without __init__.
    _ray_exported: Exported = None  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Python calls this for `class Derived(Actor):`, with the name, the bases and the body.
        if len(args) == 3 and isinstance(args[1], tuple):
            for base in args[1]:
                if isinstance(base, ActorClass):
                    raise ActorClassInheritanceException(
                        f"Attempted to define subclass {args[0]!r} of actor class "
                        f"{base._ray_exported.name!r}. Inheriting from actor classes is not "
                        "currently supported. You can instead inherit from a non-actor base class "
                        "and make the derived class an actor class (with @ray.remote)."
                    )
        raise TypeError("an ActorClass cannot be made by hand; use the @ray.remote decorator")

    def __class_getitem__(cls, item: Any) -> type:
        return cls  # ActorClass[Counter], in annotations

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self._ray_exported.name
        raise TypeError(
            f"Actors cannot be instantiated directly. Instead of '{name}()', use '{name}.remote()'."
        )

    def __getattr__(self, name: str) -> Any:
        cls = self.__dict__["_ray_exported"].function
        if cls is None or name.startswith("_ray_"):
            raise AttributeError(f"the actor class has no attribute {name!r} here")
        return getattr(cls, name)

    def __repr__(self) -> str:
        return f"ActorClass({self._ray_exported.name})"

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle:
        """Makes an actor; returns at once.

        Args:
            *args, **kwargs: of the constructor. An ObjectRef among them is replaced by its value.

        Returns:
            An ActorHandle. If the constructor raises, the calls of its methods do.

        Raises:
            ValueError: the name is taken, or an option does not fit the class.
            TypeError: the arguments do not fit the constructor, or one cannot be sent.
        """
        return _create(self, args, kwargs)

    def options(self, **options: Any) -> ActorClass:
        """The same class with other options, e.g. ``Class.options(name="x").remote(...)``.

        Args:
            **options: those of ``@remote`` for actors; they override the decorator's one by one.

        Returns:
            An ActorClass.

        Raises:
            ValueError, TypeError: an option is unknown or its value out of range.
        """
        return _make(
            self._ray_exported,
            normalize_actor_options(options, self._ray_options),
            self._ray_methods,
            self._ray_async,
            self._ray_init,
        )

    def _remote(
        self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any
    ) -> ActorHandle:
        """As ``.options(**options).remote(*args, **kwargs)``; libraries for Ray use it."""
        made = self.options(**options) if options else self
        return made.remote(*(args or ()), **(kwargs or {}))

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """A node of a graph that makes an actor when the graph is executed: see bolide.dag.

        Args:
            *args, **kwargs: of the constructor; nodes among them stand for their values.

        Returns:
            A bolide.dag.ClassNode.

        Follows Ray's page "ray.actor.ActorClass.bind".
        """
        from .dag import ClassNode

        return ClassNode(self, args, kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        from ._export import reduce_actor_class

        return reduce_actor_class(self)

    def _argument_subject(self, where: Any) -> str:
        """How to name an argument of the constructor in a sentence."""
        parameters = self._ray_init
        if isinstance(where, int) and parameters and where < len(parameters):
            where = parameters[where][0]
        return f"argument {where!r} of '{self._ray_exported.name}'"


def make_actor_class(cls: type, options: ActorOptions) -> ActorClass:
    """The ActorClass of a class (``@remote``)."""
    init = cls.__init__  # type: ignore[misc]  # of the class itself, which is what is asked for
    parameters = () if init is object.__init__ else parameters_of(init)
    if init is object.__init__ and cls.__new__ is not object.__new__:
        parameters = None
    methods = methods_of(cls)
    made = _make(Exported(cls, cls.__name__), options, methods, is_async_class(cls), parameters)
    if options.concurrency_groups or any(method.group for method in methods):
        info_of(cls.__name__, methods, options)  # a wrong group is told at once
    return made


def _make(
    exported: Exported, options: ActorOptions, methods: list, is_async: bool, init: tuple | None
) -> ActorClass:
    made = ActorClass.__new__(ActorClass)
    made._ray_exported = exported
    made._ray_options = options
    made._ray_methods = methods
    made._ray_async = is_async
    made._ray_init = init
    made._ray_made = None  # what _create works out once
    cls = exported.function
    made.__ray_metadata__ = _Metadata(exported.name, cls)
    if cls is not None:
        made.__ray_actor_class__ = cls
        for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
            setattr(made, attribute, getattr(cls, attribute, None))
    return made


class _Plan:
    """What all actors of an ActorClass have in common."""

    def __init__(self, cls: ActorClass) -> None:
        from ._remote import class_of

        options = cls._ray_options
        name = cls._ray_exported.name
        self.info = info_of(name, cls._ray_methods, options)
        most = options.max_concurrency
        if most is None:
            most = MAX_CONCURRENCY_ASYNC if cls._ray_async else 1
        self.limits = [most, *options.concurrency_groups.values()]
        out_of_order = options.out_of_order
        if out_of_order is None:
            out_of_order = cls._ray_async or most > 1
        self.in_order = not out_of_order
        if options.place is not None:
            from ._place import check_fits

            check_fits(options.place, f"the actor '{name}'", options.placement, options.kept)
        self.needs = (("actor", 1), *options.placement, *options.kept)
        self.scheduling_class = class_of(self.needs, options.place)
        self.methods = tuple(method.name for method in cls._ray_methods)


def _create(cls: ActorClass, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ActorHandle:
    options: ActorOptions = cls._ray_options
    exported: Exported = cls._ray_exported
    check_call(exported.name, cls._ray_init, args, kwargs)
    if _hot.captures():
        from ._placement import captured

        in_group = captured(cls, options)
        if in_group is not cls:
            return in_group.remote(*args, **kwargs)
    plan = cls._ray_made
    if plan is None:
        plan = cls._ray_made = _Plan(cls)
    _runtime.ensure_started()
    key = b""
    if options.name is not None:
        key = name_key(options.name, options.namespace)
        if options.get_if_exists and (handle := _hot.find_actor(key)) is not None:
            return handle
    value = encode_actor(plan.info, options, plan.limits, plan.in_order, key)
    spec = exported.name, plan.methods, plan.limits, cls._ray_async, key, plan.info.data
    try:
        handle = _hot.create_actor(
            value, exported.reference(), plan.info, _class_in_session(plan, options),
            options.placement, options.kept, options.place, spec, args, kwargs, cls,
        )  # fmt: skip
    except ValueError:
        # Another thread may have made it meanwhile.
        handle = _hot.find_actor(key) if options.get_if_exists else None
        if handle is None:
            raise
        return handle
    if key and _hot.current_session().is_worker:
        return _check_name(handle, key, options)
    return handle


def _class_in_session(plan: _Plan, options: ActorOptions) -> tuple[int, int, bytes]:
    """The scheduling class; the key and the description of its environment."""
    if options.runtime_env is None and _job.current.environment == 0:
        return plan.scheduling_class, 0, b""
    from ._remote import class_of
    from ._runtime_env import of_task

    environment, description = of_task(options.runtime_env)
    return class_of(plan.needs, options.place, environment), environment, description


def _check_name(handle: ActorHandle, key: bytes, options: ActorOptions) -> ActorHandle:
    """In a worker, the node tells who has a name only after the actor was sent."""
    owner = _hot.find_actor(key)
    if owner == handle:
        return handle
    if owner is not None and options.get_if_exists:
        return owner
    if owner is None:
        return handle  # it has ended already
    from .exceptions import ActorAlreadyExistsError

    raise ActorAlreadyExistsError(
        f"The name {options.name!r} is already taken by a living actor. Use a different name, or "
        "get that actor with get_actor or the option get_if_exists."
    )


def name_key(name: str, namespace: str | None) -> bytes:
    """The key of a name in a namespace; None: this job's."""
    return key_of(_job.current.namespace if namespace is None else namespace, name)
