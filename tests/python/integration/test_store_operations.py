"""Random puts, gets, drops, nestings and deaths of eight clients leave nothing anywhere.

The store is so small that most objects go to the disk and come back. Each client is an actor that
holds references; hypothesis says who does what, and a model knows what every object is.
"""

from __future__ import annotations

import gc
import time

import numpy
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import bolide
from bolide import _runtime

from .state_machine import run_machine

CLIENTS = 8
STORE = 32 << 20
SIZES = (10, 2_000, 40_000, 150_000, 500_000)  # items of 8 bytes: in messages, in chunks, alone


def is_value(value, number):
    return bool((value == number).all())


@bolide.remote(num_cpus=0)
class Holder:
    """A client: keeps references by name, makes objects, and reads those of others."""

    def __init__(self):
        self.refs = {}

    def put(self, key, size, number):
        self.refs[key] = bolide.put(numpy.full(size, number))

    def nest(self, key, boxed):
        """An object that holds a reference, which the client does not keep."""
        self.refs[key] = bolide.put(boxed)

    def give(self, key):
        return [self.refs[key]]

    def take(self, key, boxed):
        self.refs[key] = boxed[0]

    def reads(self, key, number, depth):
        value = bolide.get(self.refs[key])
        for _ in range(depth):
            value = bolide.get(value[0])
        return is_value(value, number)

    def drop(self, key):
        del self.refs[key]


@bolide.remote(num_cpus=0)
def reads(value, number, depth):
    for _ in range(depth):
        value = bolide.get(value[0])
    return is_value(value, number)


class Store(RuleBasedStateMachine):
    operations = 0

    @initialize()
    def begin(self):
        self.holders = [Holder.remote() for _ in range(CLIENTS)]
        self.held = [{} for _ in range(CLIENTS)]  # of each client: key -> (number, depth)
        self.next = 0

    def key(self):
        Store.operations += 1
        self.next += 1
        return self.next

    def pick(self, client, choice):
        """A key that the client holds, or None."""
        keys = list(self.held[client])
        return keys[choice % len(keys)] if keys else None

    clients = st.integers(0, CLIENTS - 1)
    choices = st.integers(0, 1000)

    @rule(client=clients, size=st.sampled_from(SIZES))
    def put(self, client, size):
        key = self.key()
        bolide.get(self.holders[client].put.remote(key, size, key))
        self.held[client][key] = key, 0

    @rule(client=clients, to=clients, choice=choices)
    def nest(self, client, to, choice):
        old = self.pick(client, choice)
        if old is None:
            return
        key = self.key()
        number, depth = self.held[client][old]
        boxed = self.holders[client].give.remote(old)
        bolide.get(self.holders[to].nest.remote(key, boxed))
        self.held[to][key] = number, depth + 1

    @rule(client=clients, to=clients, choice=choices)
    def share(self, client, to, choice):
        old = self.pick(client, choice)
        if old is None:
            return
        key = self.key()
        bolide.get(self.holders[to].take.remote(key, self.holders[client].give.remote(old)))
        self.held[to][key] = self.held[client][old]

    @rule(client=clients, choice=choices)
    def get(self, client, choice):
        key = self.pick(client, choice)
        if key is None:
            return
        Store.operations += 1
        assert bolide.get(self.holders[client].reads.remote(key, *self.held[client][key]))

    @rule(client=clients, choice=choices)
    def pass_to_a_task(self, client, choice):
        key = self.pick(client, choice)
        if key is None:
            return
        Store.operations += 1
        ref = bolide.get(self.holders[client].give.remote(key))[0]
        assert bolide.get(reads.remote(ref, *self.held[client][key]))

    @rule(client=clients, choice=choices)
    def drop(self, client, choice):
        key = self.pick(client, choice)
        if key is None:
            return
        Store.operations += 1
        bolide.get(self.holders[client].drop.remote(key))
        del self.held[client][key]

    @rule(client=clients, dies=st.integers(0, 4))
    def kill(self, client, dies):
        if dies:
            return
        Store.operations += 1
        bolide.kill(self.holders[client])
        self.holders[client] = Holder.remote()
        self.held[client] = {}

    def teardown(self):
        self.holders = self.held = None
        check_nothing_is_left()


def check_nothing_is_left():
    """Within seconds no bytes are stored, and no objects exist but this module's exports."""
    deadline = time.monotonic() + 20
    while any((left := tables()).values()) and time.monotonic() < deadline:
        gc.collect()
    assert not any(left.values()), left
    assert _runtime._node.audit()


def tables():
    stats = _runtime._node.stats()
    left = {name: stats["store"][name] for name in ("live", "spilled_objects", "spilled")}
    left |= {name: stats[name] for name in ("tasks", "actors")}
    return {**left, "objects": stats["objects"] - stats["functions"]}


@pytest.fixture
def small(leaves_nothing, tmp_path):
    bolide.init(num_cpus=2, object_store_memory=STORE, object_spilling_directory=str(tmp_path))
    return bolide


def run(examples, number):
    run_machine(Store, examples, 400, number)


@pytest.mark.slow
def test_operations_of_eight_clients_leave_nothing(small):
    Store.operations = 0
    run(examples=5, number=4712)
    assert Store.operations > 200
    assert _runtime._node.stats()["store"]["written"] > 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_operations_of_eight_clients_leave_nothing(small, capsys):
    Store.operations = 0
    number = 0
    started = time.monotonic()
    while Store.operations < 100_000:
        number += 1
        run(examples=20, number=number)
    store = _runtime._node.stats()["store"]
    with capsys.disabled():
        print(
            f"\n{Store.operations} operations in {time.monotonic() - started:.0f} s, "
            f"{store['written'] >> 20} MiB written to the disk and {store['read'] >> 20} MiB read "
            f"back; left: {tables()}"
        )
