"""What an actor knows of itself: Ray's page "Runtime Context", as far as it is about actors."""

from __future__ import annotations

import asyncio
import os

import pytest

import bolide
from bolide.exceptions import ActorUnavailableError


@bolide.remote(max_restarts=1)
class Asks:
    def __init__(self):
        self.in_constructor = bolide.get_runtime_context().get_actor_id()

    def ids(self):
        return self.in_constructor, bolide.get_runtime_context().get_actor_id()

    def name(self):
        context = bolide.get_runtime_context()
        return context.get_actor_name(), context.namespace

    def reconstructed(self):
        return bolide.get_runtime_context().was_current_actor_reconstructed

    def me(self):
        return bolide.get_runtime_context().current_actor

    def leave(self):
        os._exit(1)

    def hold_itself(self):
        self.handle = bolide.get_runtime_context().current_actor


def test_actor_id_and_name(ray):
    actor = Asks.remote()
    assert ray.get(actor.ids.remote()) == (actor._actor_id.hex(),) * 2
    namespace = ray.get_runtime_context().namespace
    assert ray.get(actor.name.remote()) == ("", namespace)
    named = Asks.options(name="ann").remote()
    assert ray.get(named.name.remote()) == ("ann", namespace)


def test_outside_of_actors(ray):
    context = ray.get_runtime_context()
    assert context.get_actor_id() is None and context.get_actor_name() is None
    for ask in (lambda: context.current_actor, lambda: context.was_current_actor_reconstructed):
        with pytest.raises(RuntimeError, match="this is not an actor"):
            ask()
    with pytest.raises(RuntimeError, match="can only be asked in a task"):
        context.is_canceled()


def test_was_current_actor_reconstructed(ray):
    actor = Asks.remote()
    assert ray.get(actor.reconstructed.remote()) is False
    with pytest.raises(ActorUnavailableError):
        ray.get(actor.leave.remote())
    assert ray.get(actor.reconstructed.remote()) is True


def test_current_actor_does_not_keep_the_actor_alive(ray, stats, eventually):
    actor = Asks.remote()
    me = ray.get(actor.me.remote())
    assert me == actor
    assert ray.get(me.ids.remote())[1] == actor._actor_id.hex()
    ray.get(actor.hold_itself.remote())
    del actor
    eventually(lambda: stats()["actors"], 0)
    with pytest.raises(bolide.exceptions.ActorDiedError, match="all handles that count had gone"):
        ray.get(me.ids.remote())


def test_is_canceled_in_a_method(ray, channel, latch):
    @ray.remote
    class Works:
        def work(self):
            channel.say("working")
            while not bolide.get_runtime_context().is_canceled():
                pass
            return "cleaned up"

        def next(self):
            return bolide.get_runtime_context().is_canceled()

    @ray.remote(max_concurrency=2)
    class Threads:
        def work(self, latch):
            channel.say("working")
            while not bolide.get_runtime_context().is_canceled():
                pass
            return "cleaned up"

        def other(self):
            return bolide.get_runtime_context().is_canceled()

    for actor, args in ((Works.remote(), ()), (Threads.remote(), (latch,))):
        ref = actor.work.remote(*args)
        channel.hear()
        ray.cancel(ref)
        with pytest.raises(bolide.exceptions.TaskCancelledError):  # whatever it returned
            ray.get(ref)
    assert ray.get(Works.remote().next.remote()) is False


def test_is_canceled_in_an_async_actor_is_a_runtime_error(ray):
    @ray.remote
    class Async:
        async def f(self):
            await asyncio.sleep(0)
            return bolide.get_runtime_context().is_canceled()

    with pytest.raises(RuntimeError, match="not supported in async actors"):
        ray.get(Async.remote().f.remote())
