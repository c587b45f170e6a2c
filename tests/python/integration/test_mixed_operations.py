"""Programs that hypothesis makes of puts, tasks, streams, actors and handles leave nothing behind.

What they get is checked against a model; when a program has let go of everything, the node's tables
hold the functions of this module and nothing else.
"""

from __future__ import annotations

import gc
import sys
import time

import numpy
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    rule,
)

import bolide
from bolide import _runtime

from .state_machine import run_machine

LARGE = 20_000  # an array of so many items lies in the store


@bolide.remote
def add(x, n):
    return x + n


@bolide.remote
def total(array):
    return int(array.sum())


@bolide.remote
def fail(x):
    raise ValueError(x)


@bolide.remote
def rebox(box, x):
    """Gives the references in the box, and one more."""
    return [*box, bolide.put(x)]


@bolide.remote(num_cpus=0)
def call_through(box, n):
    """Calls the actor whose handle is in the box."""
    return bolide.get(box["handle"].add.remote(n))


@bolide.remote
def count(n):
    yield from range(n)


@bolide.remote(num_cpus=0)
class Keeper:
    """Adds its base to numbers, and keeps what it is given."""

    def __init__(self, base):
        self.base = base
        self.kept = []

    def add(self, x):
        return self.base + x

    def count(self, n):
        for i in range(n):
            yield self.base + i

    def keep(self, box):
        self.kept += box

    def give(self):
        return self.kept


class AsyncKeeper(Keeper.__ray_actor_class__):
    async def add(self, x):
        return self.base + x

    async def keep(self, box):
        await box[0]
        self.kept += box


FUNCTIONS = add, total, fail, rebox, call_through, count
KEEPERS = {False: Keeper, True: bolide.remote(num_cpus=0)(AsyncKeeper)}


class Failed:
    """The model's value of a reference whose task raised."""


class Mixed(RuleBasedStateMachine):
    """The bundles hold keys, so that the machine can let go of what they name."""

    operations = 0

    numbers = Bundle("numbers")
    boxes = Bundle("boxes")
    actors = Bundle("actors")

    def __init__(self):
        super().__init__()
        self.things = {}  # key: (reference or handle, what the model says of it)
        self.next_key = 0

    def note(self, thing, model):
        Mixed.operations += 1
        self.next_key += 1
        self.things[self.next_key] = thing, model
        return self.next_key

    def check(self, ref, model):
        if model is Failed:
            with pytest.raises(ValueError):
                bolide.get(ref)
        else:
            assert bolide.get(ref) == model

    # ---- numbers

    @rule(target=numbers, x=st.integers(-1000, 1000))
    def put(self, x):
        return self.note(bolide.put(x), x)

    @rule(target=numbers, key=numbers, n=st.integers(0, 9))
    def task(self, key, n):
        ref, model = self.things[key]
        return self.note(add.remote(ref, n), Failed if model is Failed else model + n)

    @rule(target=numbers, n=st.integers(1, 9))
    def task_of_a_large_array(self, n):
        return self.note(total.remote(numpy.full(LARGE, n)), LARGE * n)

    @rule(target=numbers, n=st.integers(1, 9))
    def task_of_a_stored_array(self, n):
        return self.note(total.remote(bolide.put(numpy.full(LARGE, n))), LARGE * n)

    @rule(target=numbers, x=st.integers(0, 9))
    def task_that_fails(self, x):
        return self.note(fail.remote(x), Failed)

    @rule(target=numbers, key=numbers)
    def task_with_a_captured_reference(self, key):
        ref, model = self.things[key]

        @bolide.remote
        def captured():
            return bolide.get(ref) + 1

        return self.note(captured.remote(), Failed if model is Failed else model + 1)

    @rule(key=numbers, n=st.integers(0, 9))
    def cancelled_task(self, key, n):
        Mixed.operations += 1
        bolide.cancel(add.remote(self.things[key][0], n))

    @rule(key=numbers)
    def get(self, key):
        Mixed.operations += 1
        self.check(*self.things[key])

    @rule(keys=st.lists(numbers, min_size=1, max_size=5, unique=True))
    def wait(self, keys):
        Mixed.operations += 1
        refs = list({self.things[key][0] for key in keys})  # two keys may have one reference
        ready, pending = bolide.wait(refs, num_returns=len(refs))
        assert ready == refs and pending == []

    @rule(key=consumes(numbers))
    def drop_a_number(self, key):
        Mixed.operations += 1
        del self.things[key]

    # ---- references in objects

    @rule(target=boxes, keys=st.lists(numbers, max_size=3))
    def put_references(self, keys):
        found = [self.things[key] for key in keys]
        return self.note(bolide.put([ref for ref, _ in found]), [model for _, model in found])

    @rule(target=boxes, key=boxes, x=st.integers(0, 9))
    def task_that_returns_references(self, key, x):
        ref, models = self.things[key]
        return self.note(rebox.remote(ref, x), [*models, x])

    @rule(target=numbers, key=boxes)
    def open_box(self, key):
        ref, models = self.things[key]
        inner = bolide.get(ref)
        assert len(inner) == len(models)
        return multiple(*(self.note(ref, model) for ref, model in zip(inner, models)))

    @rule(key=consumes(boxes))
    def drop_a_box(self, key):
        Mixed.operations += 1
        del self.things[key]

    # ---- generators

    @rule(n=st.integers(0, 20), taken=st.integers(0, 20))
    def take_some_of_a_stream(self, n, taken):
        Mixed.operations += 1
        generator = count.remote(n)
        for i in range(min(n, taken)):
            assert bolide.get(next(generator)) == i

    @rule(key=actors, n=st.integers(0, 20), taken=st.integers(0, 20))
    def take_some_of_a_method(self, key, n, taken):
        Mixed.operations += 1
        actor, model = self.things[key]
        generator = actor.count.remote(n)
        for i in range(min(n, taken)):
            assert bolide.get(next(generator)) == model["base"] + i

    # ---- actors; one may keep older ones only, so that there is no cycle of handles

    @rule(target=actors, base=st.integers(0, 9), is_async=st.booleans())
    def make_actor(self, base, is_async):
        return self.note(KEEPERS[is_async].remote(base), {"base": base, "kept": []})

    @rule(target=numbers, key=actors, x=numbers)
    def call(self, key, x):
        actor, model = self.things[key]
        ref, x_model = self.things[x]
        result = Failed if x_model is Failed else model["base"] + x_model
        return self.note(actor.add.remote(ref), result)

    @rule(target=numbers, key=actors, n=st.integers(0, 9))
    def call_from_a_task(self, key, n):
        actor, model = self.things[key]
        # Its caller is gone when it ends, so the driver may drop the actor before.
        return self.note(call_through.remote({"handle": actor}, n), model["base"] + n)

    @rule(target=numbers, key=actors, n=st.integers(0, 9))
    def call_from_a_closure(self, key, n):
        actor, model = self.things[key]

        @bolide.remote(num_cpus=0)
        def captured():
            return bolide.get(actor.add.remote(n))

        return self.note(captured.remote(), model["base"] + n)

    @rule(key=actors, x=numbers, other=actors)
    def keep(self, key, x, other):
        Mixed.operations += 1
        actor, model = self.things[key]
        ref, x_model = self.things[x]
        if x_model is Failed or other >= key:
            return
        handle, other_model = self.things[other]
        bolide.get(actor.keep.remote([ref, handle]))
        model["kept"] += [x_model, other_model]

    @rule(key=actors)
    def give(self, key):
        Mixed.operations += 1
        actor, model = self.things[key]
        given = bolide.get(actor.give.remote())
        assert len(given) == len(model["kept"])
        for ref, number, handle, other in zip(
            given[::2], model["kept"][::2], given[1::2], model["kept"][1::2]
        ):
            assert bolide.get(ref) == number
            if not other.get("dead"):
                assert bolide.get(handle.add.remote(1)) == other["base"] + 1

    @rule(key=consumes(actors))
    def drop_an_actor(self, key):
        Mixed.operations += 1
        del self.things[key]

    @rule(key=consumes(actors))
    def kill(self, key):
        Mixed.operations += 1
        # What was called has ended by then: a call that is killed has no value in the model.
        numbers = {ref for ref, model in self.things.values() if isinstance(model, (int, type))}
        if numbers:
            bolide.wait(list(numbers), num_returns=len(numbers))
        actor, model = self.things.pop(key)
        model["dead"] = True
        bolide.kill(actor)

    def teardown(self):
        self.things.clear()
        if sys.exc_info()[0] is None:  # an operation that has failed holds what it was about
            check_nothing_is_left()


def check_nothing_is_left():
    """Within seconds there are no objects but the functions and classes of this module."""
    exported = len(FUNCTIONS) + len(KEEPERS)
    deadline = time.monotonic() + 20
    while (left := tables()) != (exported, exported, 0, 0, 0) and time.monotonic() < deadline:
        gc.collect()
    assert left == (exported, exported, 0, 0, 0)
    assert _runtime._node.audit()


def tables():
    stats = _runtime._node.stats()
    found = [stats[name] for name in ("objects", "functions", "tasks", "actors")]
    return (*found, stats["store"]["live"])


def use_everything_once():
    keepers = [cls.remote(1) for cls in KEEPERS.values()]
    calls = [keeper.add.remote(1) for keeper in keepers]
    calls += [call_through.remote({"handle": keepers[0]}, 1), add.remote(1, 1)]
    assert bolide.get(calls) == [2] * 4
    bolide.wait([total.remote(numpy.zeros(1)), fail.remote(1), rebox.remote([], 1)], num_returns=3)
    assert len(list(count.remote(2))) == 2


def run(ray, examples, number):
    use_everything_once()  # what is exported then lives as long as this module
    check_nothing_is_left()
    run_machine(Mixed, examples, 60, number)


@pytest.mark.slow
def test_mixed_operations_leave_the_tables_empty(ray):
    Mixed.operations = 0
    run(ray, examples=15, number=4711)
    assert Mixed.operations > 300


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_mixed_operations_leave_the_tables_empty(ray):
    Mixed.operations = 0
    number = 0
    while Mixed.operations < 100_000:
        number += 1
        run(ray, examples=100, number=number)
