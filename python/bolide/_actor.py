"""What programs do about actors beside making and calling them: names, kill, options, exit_actor.

Follows Ray's pages "Named actors" and "Terminating actors". Thread safety: any thread.
"""

from __future__ import annotations

from . import _hot, _job, _runtime
from ._actor_class import name_key
from ._hot import ActorHandle
from ._option_checks import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def get_actor(name: str, namespace: str | None = None) -> ActorHandle:
    """A handle to the living actor of that name.

    Args:
        name: as given with ``Class.options(name=...)``.
        namespace: where the name counts; None: the namespace of this job (`init`).

    Returns:
        An ActorHandle, which keeps the actor alive as any other.

    Raises:
        ValueError: there is no such actor.
        TypeError: a name is no text (it is a ValueError too).

    Example:
        >>> Counter.options(name="counter", lifetime="detached").remote()
        >>> get_actor("counter").increment.remote()

    Follows Ray's page "Named actors".
    """
    if not name:
        raise ValueError(f"Please supply a non-empty name to get_actor, not {name!r}.")
    check_name("name", name)
    if namespace == "":
        raise ValueError('"" is not a valid namespace. Pass None to not specify a namespace.')
    if namespace is not None:
        check_name("namespace", namespace)
    _runtime.ensure_started()
    handle = _hot.find_actor(name_key(name, namespace))
    if handle is None:
        raise ValueError(
            f"Failed to look up actor with name '{name}'. This could because 1. You are trying to "
            "look up a named actor you didn't create. 2. The named actor died. 3. You did not use "
            "a namespace matching the namespace of the actor."
        )
    return handle


def list_named_actors(all_namespaces: bool = False) -> list[Any]:
    """The names of living actors.

    Args:
        all_namespaces: those of all namespaces, not only of this job's.

    Returns:
        A list of names; with `all_namespaces` of dicts with the keys "name" and "namespace".

    Example:
        >>> bolide.util.list_named_actors()
        ['counter']

    Follows Ray's page "ray.util.list_named_actors".
    """
    _runtime.ensure_started()
    found = sorted(key.decode().split("\0", 1) for key in _hot.actor_names())
    if all_namespaces:
        return [{"name": name, "namespace": namespace} for namespace, name in found]
    return [name for namespace, name in found if namespace == _job.current.namespace]


def kill(actor: ActorHandle, *, no_restart: bool = True) -> None:
    """Ends an actor's process at once; calls that it has not answered fail with ActorDiedError.

    Args:
        actor: its handle.
        no_restart: False: it is started again if its max_restarts allows it.

    Raises:
        ValueError: `actor` is no handle.

    Follows Ray's page "ray.kill".
    """
    if not isinstance(actor, ActorHandle):
        raise ValueError(f"ray.kill() only supported for actors. Got: {type(actor)}.")
    _hot.kill_actor(actor, bool(no_restart))


def method(*args: Any, **options: Any) -> Any:
    """Sets options of one method of an actor.

    Args:
        **options: num_returns, concurrency_group, max_task_retries, retry_exceptions.

    Returns:
        The method, or with options a decorator.

    Raises:
        ValueError, TypeError: an option is unknown or its value out of range.

    Example:
        >>> @remote
        ... class Halves:
        ...     @method(num_returns=2)
        ...     def of(self, x):
        ...         return x // 2, x - x // 2

    Follows Ray's page "ray.method".
    """
    from ._actor_options import MethodOptionError, check_method_options

    if len(args) == 1 and not options and callable(args[0]):
        return args[0]
    if args or not options:
        raise MethodOptionError(
            "The @ray.method decorator must be applied to a method, or with some of its options, "
            "for example '@ray.method(num_returns=2)'."
        )
    checked = check_method_options(options)

    def annotate(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__ray_method_options__ = checked  # type: ignore[attr-defined]
        return function

    return annotate


def exit_actor() -> None:
    """Ends the actor in one of whose methods this is called, in peace.

    The call that does it, and those that wait, fail with ActorDiedError; it is not started again.
    ``__ray_shutdown__`` and exit handlers run.

    Raises:
        TypeError: it is called elsewhere than in an actor.

    Follows Ray's page "ray.actor.exit_actor".
    """
    from . import _actor_worker

    actor = _actor_worker.current_actor()
    if actor is None:
        raise TypeError(
            "exit_actor API is called on a non-actor worker. Call this API inside an actor method "
            "if you'd like to exit the actor gracefully."
        )
    if actor.is_async:
        from .exceptions import AsyncioActorExit

        raise AsyncioActorExit("exit_actor() was called in it")
    raise _actor_worker.ActorExit("exit_actor() was called in it")
