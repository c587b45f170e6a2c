"""The rules of test_mixed_operations.py about tasks, objects and streams. Not a test itself."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule

import bolide
from bolide.exceptions import ActorDiedError

from .mixed_things import (
    LARGE,
    Failed,
    add,
    count,
    count_into_one,
    fail,
    rebox,
    total,
    twice,
)


class Objects(RuleBasedStateMachine):
    """The bundles hold keys, so that the machine can let go of what they name."""

    operations = 0

    numbers = Bundle("numbers")
    boxes = Bundle("boxes")

    def __init__(self):
        super().__init__()
        self.things = {}  # key: (reference or handle, what the model says of it)
        self.next_key = 0

    def note(self, thing, model):
        self.next_key += 1
        self.things[self.next_key] = thing, model
        return self.next_key

    def operate(self):
        type(self).operations += 1

    def check(self, ref, model):
        if model is Failed:
            with pytest.raises((ValueError, ActorDiedError)):
                bolide.get(ref)
        else:
            assert bolide.get(ref) == model

    # ---- numbers

    @rule(target=numbers, x=st.integers(-1000, 1000))
    def put(self, x):
        self.operate()
        return self.note(bolide.put(x), x)

    @rule(target=numbers, key=numbers, n=st.integers(0, 9))
    def task(self, key, n):
        self.operate()
        ref, model = self.things[key]
        return self.note(add.remote(ref, n), Failed if model is Failed else model + n)

    @rule(target=numbers, key=numbers)
    def task_with_two_returns(self, key):
        self.operate()
        ref, model = self.things[key]
        models = (Failed, Failed) if model is Failed else (model, model + 1)
        return multiple(*map(self.note, twice.remote(ref), models))

    @rule(target=numbers, n=st.integers(1, 9))
    def task_of_a_large_array(self, n):
        self.operate()
        return self.note(total.remote(numpy.full(LARGE, n)), LARGE * n)

    @rule(target=numbers, n=st.integers(1, 9))
    def task_of_a_stored_array(self, n):
        self.operate()
        return self.note(total.remote(bolide.put(numpy.full(LARGE, n))), LARGE * n)

    @rule(target=numbers, x=st.integers(0, 9))
    def task_that_fails(self, x):
        self.operate()
        return self.note(fail.remote(x), Failed)

    @rule(target=numbers, key=numbers)
    def task_with_a_captured_reference(self, key):
        self.operate()
        ref, model = self.things[key]

        @bolide.remote
        def captured():
            return bolide.get(ref) + 1

        return self.note(captured.remote(), Failed if model is Failed else model + 1)

    @rule(key=numbers, n=st.integers(0, 9))
    def cancelled_task(self, key, n):
        self.operate()
        bolide.cancel(add.remote(self.things[key][0], n))

    @rule(key=numbers)
    def get(self, key):
        self.operate()
        self.check(*self.things[key])

    @rule(keys=st.lists(numbers, min_size=1, max_size=5, unique=True))
    def wait(self, keys):
        self.operate()
        refs = list({self.things[key][0] for key in keys})  # two keys may have one reference
        ready, pending = bolide.wait(refs, num_returns=len(refs))
        assert ready == refs and pending == []

    @rule(keys=st.lists(numbers, min_size=1, max_size=5))
    def await_them(self, keys):
        self.operate()
        refs = [self.things[key][0] for key in keys]

        async def values():
            return await asyncio.gather(*refs, return_exceptions=True)

        for value, key in zip(asyncio.run(values()), keys):
            model = self.things[key][1]
            if model is Failed:
                assert isinstance(value, (ValueError, ActorDiedError))
            else:
                assert value == model

    @rule(key=numbers)
    def use_in_threads(self, key):
        self.operate()
        ref, model = self.things[key]
        with ThreadPoolExecutor(3) as threads:
            for i, made in enumerate(threads.map(lambda i: add.remote(ref, i), range(3))):
                self.check(made, Failed if model is Failed else model + i)

    @rule(key=consumes(numbers))
    def drop_a_number(self, key):
        self.operate()
        del self.things[key]

    # ---- references in objects

    @rule(target=boxes, keys=st.lists(numbers, max_size=3))
    def put_references(self, keys):
        self.operate()
        found = [self.things[key] for key in keys]
        return self.note(bolide.put([ref for ref, _ in found]), [model for _, model in found])

    @rule(target=boxes, key=boxes, x=st.integers(0, 9))
    def task_that_returns_references(self, key, x):
        self.operate()
        ref, models = self.things[key]
        return self.note(rebox.remote(ref, x), [*models, x])

    @rule(target=numbers, key=boxes)
    def open_box(self, key):
        self.operate()
        ref, models = self.things[key]
        inner = bolide.get(ref)
        assert len(inner) == len(models)
        return multiple(*map(self.note, inner, models))

    @rule(key=consumes(boxes))
    def drop_a_box(self, key):
        self.operate()
        del self.things[key]

    # ---- generators

    @rule(target=numbers, n=st.integers(0, 20), taken=st.integers(0, 20))
    def take_some_of_a_stream(self, n, taken):
        self.operate()
        generator = count.remote(n)
        refs = [next(generator) for _ in range(min(n, taken))]
        assert bolide.get(refs) == list(range(len(refs)))
        return multiple(*map(self.note, refs[:2], range(2)))

    @rule(n=st.integers(0, 20), taken=st.integers(0, 20))
    def cancel_a_stream(self, n, taken):
        self.operate()
        generator = count.remote(n)
        for i in range(min(n, taken)):
            assert bolide.get(next(generator)) == i
        bolide.cancel(generator)

    @rule(target=numbers, n=st.integers(0, 5))
    def dynamic_generator(self, n):
        self.operate()
        refs = list(bolide.get(count_into_one.remote(n)))
        assert len(refs) == n
        return multiple(*map(self.note, refs, range(n)))
