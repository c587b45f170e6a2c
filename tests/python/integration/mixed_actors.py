"""The rules of test_mixed_operations.py about actors and their handles. Not a test itself."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, multiple, rule

import bolide
from bolide.exceptions import WorkerCrashedError

from .mixed_objects import Objects
from .mixed_things import (
    KEEPERS,
    SHAPES,
    ActorModel,
    Carried,
    Failed,
    call_through,
    die_with,
    fail_with,
    make_keeper,
    unpacked,
)

shapes = st.sampled_from(sorted(SHAPES))


class Actors(Objects):
    numbers = Objects.numbers
    actors = Bundle("actors")

    def __init__(self):
        super().__init__()
        self.detached = {}  # name: what the model says of the actor

    def new_model(self, base, **fields):
        return ActorModel(base, self.next_key, **fields)

    def called(self, actor_model, x_model):
        """What `actor.add.remote(x)` gives."""
        fails = x_model is Failed or actor_model.dead
        return Failed if fails else actor_model.base + x_model

    def shape(self, kind, key, actor):
        """Carries a number and a handle; and what a call with both gives."""
        ref, model = self.things[key]
        handle, actor_model = self.things[actor]
        return SHAPES[kind](ref, handle), self.called(actor_model, model)

    @rule(target=actors, base=st.integers(0, 9), is_async=st.booleans(), restarts=st.booleans())
    def make_actor(self, base, is_async, restarts):
        self.operate()
        cls = KEEPERS[is_async].options(max_restarts=-1) if restarts else KEEPERS[is_async]
        return self.note(cls.remote(base), self.new_model(base, can_restart=restarts))

    @rule(target=actors, base=st.integers(0, 9), detached=st.booleans(), is_async=st.booleans())
    def make_named_actor(self, base, detached, is_async):
        self.operate()
        name = f"keeper {self.next_key}"
        model = self.new_model(base, name=name)
        lifetime = None
        if detached:
            lifetime = "detached"
            self.detached[name] = model
        cls = KEEPERS[is_async].options(name=name, lifetime=lifetime, get_if_exists=detached)
        return self.note(cls.remote(base), model)

    @rule(target=actors, base=st.integers(0, 9), is_async=st.booleans())
    def make_actor_in_a_task(self, base, is_async):
        self.operate()
        name = f"keeper {self.next_key}"
        model = self.detached[name] = self.new_model(base, name=name)
        return self.note(
            bolide.get(make_keeper.remote(KEEPERS[is_async], base, name))["handle"], model
        )

    @rule(target=actors, key=actors)
    def find_by_name(self, key):
        self.operate()
        model = self.things[key][1]
        if model.name is None or model.dead:
            return multiple()
        return self.note(bolide.get_actor(model.name), model)

    @rule(target=actors, which=st.integers(0, 9))
    def find_a_detached_actor(self, which):
        self.operate()
        found = [model for model in self.detached.values() if not model.dead]
        if not found:
            return multiple()
        model = found[which % len(found)]
        return self.note(bolide.get_actor(model.name), model)

    @rule(key=actors, n=st.integers(0, 9))
    def ask_it_for_itself(self, key, n):
        self.operate()
        actor, model = self.things[key]
        if not model.dead:
            itself = bolide.get(actor.me.remote()).handle  # which does not keep it alive
            assert bolide.get(itself.add.remote(n)) == model.base + n

    # ---- calls

    @rule(target=numbers, key=actors, x=numbers)
    def call(self, key, x):
        self.operate()
        actor, model = self.things[key]
        ref, x_model = self.things[x]
        return self.note(actor.add.remote(ref), self.called(model, x_model))

    @rule(key=actors, x=numbers)
    def cancelled_call(self, key, x):
        self.operate()
        bolide.cancel(self.things[key][0].add.remote(self.things[x][0]))

    @rule(target=numbers, key=actors, n=st.integers(0, 20), taken=st.integers(0, 20))
    def take_some_of_a_method(self, key, n, taken):
        self.operate()
        actor, model = self.things[key]
        if model.dead:
            return multiple()
        generator = actor.count.remote(n)
        refs = [next(generator) for _ in range(min(n, taken))]
        assert bolide.get(refs) == [model.base + i for i in range(len(refs))]
        return multiple(*(self.note(ref, model.base + i) for i, ref in enumerate(refs[:2])))

    # ---- references and handles in whatever can be sent

    @rule(target=numbers, kind=shapes, key=numbers, actor=actors)
    def call_from_a_task(self, kind, key, actor):
        self.operate()
        shape, result = self.shape(kind, key, actor)
        # Its caller is gone when it ends, so the driver may drop the actor before.
        return self.note(call_through.remote(shape), result)

    @rule(target=numbers, kind=shapes, key=numbers, actor=actors)
    def call_from_a_closure(self, kind, key, actor):
        self.operate()
        shape, result = self.shape(kind, key, actor)

        @bolide.remote(num_cpus=0)
        def captured():
            ref, handle = unpacked(shape)
            return bolide.get(handle.add.remote(ref))

        return self.note(captured.remote(), result)

    @rule(target=numbers, kind=shapes, key=numbers, actor=actors)
    def call_from_a_class_with_a_closure(self, kind, key, actor):
        self.operate()
        shape, result = self.shape(kind, key, actor)

        @bolide.remote(num_cpus=0)
        class Captures:
            def call(self):
                ref, handle = unpacked(shape)
                return bolide.get(handle.add.remote(ref))

        return self.note(Captures.remote().call.remote(), result)

    @rule(target=numbers, kind=shapes, key=numbers, by=actors, actor=actors)
    def call_from_an_actor(self, kind, key, by, actor):
        self.operate()
        caller, caller_model = self.things[by]
        if self.things[actor][1].age >= caller_model.age:
            return multiple()
        shape, result = self.shape(kind, key, actor)
        return self.note(caller.call_through.remote(shape), Failed if caller_model.dead else result)

    @rule(target=numbers, kind=shapes, key=numbers, actor=actors)
    def receive_in_an_exception(self, kind, key, actor):
        self.operate()
        shape, result = self.shape(kind, key, actor)
        with pytest.raises(Carried) as caught:
            bolide.get(fail_with.remote(shape))
        ref, handle = caught.value.both()
        return self.note(handle.add.remote(ref), result)

    @rule(kind=shapes, key=numbers, actor=actors, dies=st.integers(0, 4))
    def die_with_it(self, kind, key, actor, dies):
        if dies:
            return  # a new worker takes as long as many other operations
        self.operate()
        shape, _ = self.shape(kind, key, actor)
        with pytest.raises(WorkerCrashedError):
            bolide.get(die_with.remote(shape))

    # ---- what actors keep

    @rule(kind=shapes, key=actors, x=numbers, other=actors)
    def keep(self, kind, key, x, other):
        self.operate()
        actor, model = self.things[key]
        x_model, other_model = self.things[x][1], self.things[other][1]
        if model.dead or other_model.age >= model.age:
            return
        bolide.wait([self.things[x][0]])  # before it is dropped here, and its actor killed
        bolide.get(actor.keep.remote(self.shape(kind, x, other)[0]))
        model.kept.append((x_model, other_model))

    @rule(target=numbers, key=actors)
    def give(self, key):
        self.operate()
        actor, model = self.things[key]
        if model.dead:
            return multiple()
        given = bolide.get(actor.give.remote())
        assert len(given) == len(model.kept)
        made = []
        for (ref, handle), (number, other) in zip(given, model.kept):
            self.check(ref, number)
            if not other.dead:
                made.append(self.note(handle.add.remote(ref), self.called(other, number)))
        return multiple(*made)

    # ---- ends

    @rule(key=consumes(actors))
    def drop_an_actor(self, key):
        self.operate()
        del self.things[key]

    @rule(key=actors, restart=st.booleans())
    def kill(self, key, restart):
        self.operate()
        self.wait_for_all()  # a call that is killed has no value in the model
        actor, model = self.things[key]
        bolide.kill(actor, no_restart=not restart)
        if restart and model.can_restart:
            model.kept.clear()
        else:
            model.dead = True

    def wait_for_all(self):
        found = set()
        for thing, model in self.things.values():
            if isinstance(model, list):
                found.update(bolide.get(thing))
            elif not isinstance(model, ActorModel):
                found.add(thing)
        if found:
            bolide.wait(list(found), num_returns=len(found))

    def teardown(self):
        for name, model in self.detached.items():
            if not model.dead:
                bolide.kill(bolide.get_actor(name))
        self.things.clear()
