"""ActorGroup: several actors of one class, called all at once.

Thread safety: a group belongs to one thread. Invariant: each call goes to every actor, and its
references are in the order of the actors.
"""

from __future__ import annotations

from collections.abc import Callable

from .._actor import kill
from .._hot import wait
from .._remote import remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ActorGroup"]


class ActorGroup:
    """Several actors of one class; a method of the group is called on each.

    Args:
        actor_cls: a class, not yet remote.
        num_actors: how many.
        num_cpus_per_actor, num_gpus_per_actor: what each holds.
        resources_per_actor: custom resources that each holds.
        init_args, init_kwargs: the arguments of the constructors.

    Raises:
        ValueError: `num_actors` is less than 1, or a resource is negative.

    Example:
        >>> group = ActorGroup(Counter, num_actors=2)
        >>> get(group.increment.remote())
        [1, 1]

    Follows Ray's `ray.util.actor_group.ActorGroup`.
    """

    def __init__(
        self,
        actor_cls: type,
        num_actors: int = 1,
        num_cpus_per_actor: float = 1,
        num_gpus_per_actor: float = 0,
        resources_per_actor: dict[str, float] | None = None,
        init_args: tuple[Any, ...] | None = None,
        init_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if num_actors <= 0:
            raise ValueError(
                "The provided `num_actors` must be greater than 0. Received "
                f"num_actors={num_actors} instead."
            )
        if num_cpus_per_actor < 0 or num_gpus_per_actor < 0:
            raise ValueError(
                "The number of CPUs and GPUs per actor must not be negative. Received "
                f"num_cpus_per_actor={num_cpus_per_actor} and "
                f"num_gpus_per_actor={num_gpus_per_actor}."
            )
        made = remote(
            num_cpus=num_cpus_per_actor,
            num_gpus=num_gpus_per_actor,
            resources=resources_per_actor or {},
        )(actor_cls)
        self._make: Callable[[], Any] = lambda: made.remote(
            *(init_args or ()), **(init_kwargs or {})
        )
        self._class = actor_cls
        self._num_actors = num_actors
        self._actors: list[Any] = []
        self.start()

    def start(self) -> None:
        """Makes the actors; `shutdown` has ended the last ones, if there were any.

        Raises:
            RuntimeError: they are there already.
        """
        if self._actors:
            raise RuntimeError(
                "The actors have already been started. Please call `shutdown` first if you want "
                "to restart them."
            )
        self._actors = [self._make() for _ in range(self._num_actors)]

    def shutdown(self, patience_s: float = 5) -> None:
        """Ends the actors.

        Args:
            patience_s: how many seconds to wait for the calls that they have begun.
        """
        actors, self._actors = self._actors, []
        if patience_s > 0:
            ended = [actor.__ray_terminate__.remote() for actor in actors]
            if ended:
                wait(ended, num_returns=len(ended), timeout=patience_s)
        for actor in actors:
            kill(actor)

    @property
    def actors(self) -> list[Any]:
        """The handles."""
        return list(self._actors)

    def __len__(self) -> int:
        return len(self._actors)

    def __getitem__(self, index: int) -> Any:
        return self._actors[index]

    def __getattr__(self, name: str) -> _GroupMethod:
        if name.startswith("_") or not callable(getattr(self._class, name, None)):
            raise AttributeError(f"{type(self).__name__} has no method {name!r}")
        if not self._actors:
            raise RuntimeError(
                "This ActorGroup has been shutdown. Please start it again with `start`."
            )
        return _GroupMethod([getattr(actor, name) for actor in self._actors])


class _GroupMethod:
    def __init__(self, methods: list[Any]) -> None:
        self._methods = methods

    def remote(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Calls the method of each actor; a reference for each."""
        return [method.remote(*args, **kwargs) for method in self._methods]
