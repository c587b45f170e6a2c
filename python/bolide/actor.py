"""Actors: what Ray has in ``ray.actor``. Only names; the work is in `bolide._actor`, the core."""

from ._actor import ActorClass, ActorClassInheritanceException, exit_actor
from ._hot import ActorHandle, ActorMethod

ActorProxy = ActorHandle

__all__ = [
    "ActorClass",
    "ActorClassInheritanceException",
    "ActorHandle",
    "ActorMethod",
    "ActorProxy",
    "exit_actor",
]
