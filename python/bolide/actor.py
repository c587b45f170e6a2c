"""Actors: what Ray has in ``ray.actor``. Only names; the work is in `bolide._actor`, the core."""

from ._actor import exit_actor
from ._actor_class import ActorClass, ActorClassInheritanceException
from ._hot import ActorHandle, ActorMethod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, TypeVar

    _S = TypeVar("_S")
    ActorProxy = Annotated[_S, "the handle of an actor, which has the methods of its class"]
else:
    ActorProxy = ActorHandle

__all__ = [
    "ActorClass",
    "ActorClassInheritanceException",
    "ActorHandle",
    "ActorMethod",
    "ActorProxy",
    "exit_actor",
]
