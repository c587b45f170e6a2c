"""Random puts, gets, drops, nestings and deaths of eight clients leave nothing anywhere.

The store is so small that many objects go to the disk and come back. Each client is an actor that
holds references; hypothesis says who does what, and a model knows what every object is. Operations
are in flight together, so a client dies in the middle of what it and others do; what was in flight
then may fail, but may not give a wrong answer.
"""

from __future__ import annotations

import collections
import gc
import select
import time

import numpy
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import bolide
from bolide import _runtime, exceptions

from .state_machine import run_machine

CLIENTS = 8
STORE = 32 << 20
SMALLEST, DOUBLINGS = 4 << 10, 11  # bytes: objects have 4 KiB to 8 MiB
CHOICES = 1000
IN_FLIGHT = 12
OFTEN = {"put": 6, "get": 5, "nest": 3, "share": 3, "pass_to_a_task": 3, "drop": 6, "kill": 1}
OPERATIONS = [name for name, times in OFTEN.items() for _ in range(times)]
LOST = exceptions.ActorDiedError, exceptions.RayTaskError  # of a dead client; of who needed that


def is_value(value, number):
    return bool((value == number).all())


def innermost(value, depth):
    for _ in range(depth):
        value = bolide.get(value[0])
    return value


@bolide.remote(num_cpus=0)
class Holder:
    """A client: keeps references by name, makes objects, and reads those of others."""

    def __init__(self):
        self.refs = {}

    def put(self, key, size, number):
        self.refs[key] = bolide.put(numpy.full(size // 8, number))

    def put_in_place(self, key, size, number):
        draft = bolide.empty(size // 8, dtype=numpy.int64)
        draft[:] = number
        self.refs[key] = bolide.put(draft)

    def nest(self, key, boxed):
        """An object that holds a reference, which the client does not keep."""
        self.refs[key] = bolide.put(boxed)

    def give(self, key):
        return [self.refs[key]]

    def take(self, key, boxed):
        self.refs[key] = boxed[0]

    def reads(self, key, number, depth):
        return is_value(innermost(bolide.get(self.refs[key]), depth), number)

    def drop(self, key):
        del self.refs[key]

    def drop_if_held(self, key):
        self.refs.pop(key, None)


@bolide.remote(num_cpus=0)
def reads(value, number, depth):
    return is_value(innermost(value, depth), number)


class Operation:
    """One that was started: its result is True, or None, unless a client died meanwhile."""

    def __init__(self, ref, to=None, key=None):
        self.ref = ref
        self.made = to, key  # the client and the name that it gives a reference, if it does
        self.may_fail = False

    def settle(self):
        try:
            assert bolide.get(self.ref) in (None, True)
        except LOST:
            if not self.may_fail:
                raise


class Store(RuleBasedStateMachine):
    operations = 0
    kills = 0
    ratios: list[float] = []

    @initialize()
    def begin(self):
        self.holders = [Holder.remote() for _ in range(CLIENTS)]
        self.held = [{} for _ in range(CLIENTS)]  # of each client: key -> (number, depth)
        self.in_flight = collections.deque()
        self.next = 0
        # Twice as much as the store has, so that every program goes on with objects on the disk.
        for client in range(CLIENTS):
            self.put(client, client, CHOICES - 1 - client % 2)
        self.settle()

    def key(self):
        self.next += 1
        return self.next

    def pick(self, client, choice):
        """A key that the client holds; it makes one if there is none."""
        if not self.held[client]:
            self.put(client, client, choice)
        keys = list(self.held[client])
        return keys[choice % len(keys)]

    def start(self, *operation):
        Store.operations += 1
        self.in_flight.append(Operation(*operation))
        while len(self.in_flight) > IN_FLIGHT:
            self.in_flight.popleft().settle()
        if Store.operations % 20 == 0:
            note_ratio()

    # One rule, not seven: hypothesis leaves out some of the rules in each program.
    @rule(
        operation=st.sampled_from(OPERATIONS),
        client=st.integers(0, CLIENTS - 1),
        to=st.integers(0, CLIENTS - 1),
        choice=st.integers(0, CHOICES - 1),
    )
    def do(self, operation, client, to, choice):
        getattr(self, operation)(client, to, choice)

    def put(self, client, to, choice):
        key, size = self.key(), int(SMALLEST * 2 ** (DOUBLINGS * choice / CHOICES))
        holder = self.holders[client]
        put = holder.put_in_place if choice % 2 else holder.put
        self.held[client][key] = key, 0
        self.start(put.remote(key, size, key), client, key)

    def nest(self, client, to, choice):
        old, key = self.pick(client, choice), self.key()
        number, depth = self.held[client][old]
        self.held[to][key] = number, depth + 1
        boxed = self.holders[client].give.remote(old)
        self.start(self.holders[to].nest.remote(key, boxed), to, key)

    def share(self, client, to, choice):
        old, key = self.pick(client, choice), self.key()
        self.held[to][key] = self.held[client][old]
        boxed = self.holders[client].give.remote(old)
        self.start(self.holders[to].take.remote(key, boxed), to, key)

    def get(self, client, to, choice):
        key = self.pick(client, choice)
        self.start(self.holders[client].reads.remote(key, *self.held[client][key]))

    def pass_to_a_task(self, client, to, choice):
        key = self.pick(client, choice)
        ref = bolide.get(self.holders[client].give.remote(key))[0]
        self.start(reads.remote(ref, *self.held[client][key]))

    def drop(self, client, to, choice):
        key = self.pick(client, choice)
        del self.held[client][key]
        self.start(self.holders[client].drop.remote(key))

    def kill(self, client, to, choice):
        Store.operations += 1
        Store.kills += 1
        bolide.kill(self.holders[client])
        self.holders[client] = Holder.remote()
        self.held[client] = {}
        # Nobody knows which of these came to their end: the names that they give are used no more.
        for operation in list(self.in_flight):
            operation.may_fail = True
            maker, key = operation.made
            if maker is not None and self.held[maker].pop(key, None):
                self.start(self.holders[maker].drop_if_held.remote(key))

    def settle(self):
        while self.in_flight:
            self.in_flight.popleft().settle()

    def teardown(self):
        self.settle()
        self.holders = self.held = None
        check_nothing_is_left()


def note_ratio():
    """How much of the memory in use is live; empty chunks that are kept are not in use."""
    store = _runtime._node.stats()["store"]
    if store["live"] >= STORE // 4:
        Store.ratios.append(store["live"] / (store["touched"] - store["warm"]))


def check_nothing_is_left():
    """Within seconds no bytes are stored, and no objects exist but this module's exports."""
    deadline = time.monotonic() + 20
    while any((left := tables()).values()) and time.monotonic() < deadline:
        gc.collect()
        select.select([], [], [], 0.01)  # the processes that end need the CPU, too
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
    Store.operations = Store.kills = 0
    Store.ratios = []
    return bolide


def run(examples, number):
    run_machine(Store, examples, 400, number)


@pytest.mark.slow
def test_operations_of_eight_clients_leave_nothing(small):
    run(examples=3, number=4712)
    assert Store.operations > 200
    assert Store.kills > 0
    assert _runtime._node.stats()["store"]["written"] > 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_operations_of_eight_clients_leave_nothing(small, capsys):
    number = 0
    started = time.monotonic()
    while Store.operations < 100_000:
        number += 1
        run(examples=20, number=number)
        report(f"seed {number}: {Store.operations} operations so far", capsys)
    store = _runtime._node.stats()["store"]
    mean = sum(Store.ratios) / len(Store.ratios)
    report(
        f"{Store.operations} operations and {Store.kills} kills in "
        f"{time.monotonic() - started:.0f} s, {store['written'] >> 20} MiB written to the disk and "
        f"{store['read'] >> 20} MiB read back; live/used: mean {mean:.3f}, least "
        f"{min(Store.ratios):.3f} of {len(Store.ratios)}; left: {tables()}",
        capsys,
    )
    assert mean >= 0.8


def report(sentence, capsys):
    with capsys.disabled():
        print("\n" + sentence, flush=True)
