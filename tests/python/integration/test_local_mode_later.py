"""`init(local_mode=True)`: what cannot run at once runs later, in another thread."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading

import numpy as np
import pytest

import bolide
from bolide import _runtime
from bolide.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    PendingCallsLimitExceeded,
    TaskCancelledError,
)


@bolide.remote
class Signal:
    """Coroutines that wait for a later call."""

    def __init__(self):
        self.event = asyncio.Event()
        self.seen = []

    async def wait(self, value=None):
        await self.event.wait()
        return value

    def send(self):
        self.event.set()

    async def note(self, word):
        self.seen.append(word)
        return list(self.seen)

    async def count(self, n):
        for i in range(n):
            self.seen.append(i)
            yield i
            await asyncio.sleep(0)

    async def leave(self):
        bolide.actor.exit_actor()

    async def exit(self, status):
        sys.exit(status)


@bolide.remote
def add(a, b=1):
    return a + b


@pytest.fixture
def signal(local):
    return Signal.remote()


def test_a_coroutine_waits_for_a_later_call(local, signal):
    refs = [signal.wait.remote(i) for i in range(100)]
    assert local.wait(refs, num_returns=1, timeout=0) == ([], refs)
    signal.send.remote()
    assert local.get(refs) == list(range(100))


def test_a_task_whose_argument_is_not_there_runs_when_it_has_come(local, signal):
    first = add.remote(signal.wait.remote(1))
    second = add.remote(first, b=first)
    assert not second.is_ready()
    signal.send.remote()
    assert local.get([first, second]) == [2, 4]


def test_large_values_and_references_keep_promises_too(local, signal):
    inner = local.put([1])
    refs = [signal.wait.remote(np.arange(300_000)), signal.wait.remote([inner])]
    del inner
    signal.send.remote()
    array, (inner,) = local.get(refs)
    assert array.sum() == np.arange(300_000).sum() and local.get(inner) == [1]


def test_a_call_of_an_actor_waits_for_its_argument_and_holds_back_those_after_it(local, signal):
    @local.remote
    class Log:
        def __init__(self):
            self.seen = []

        def note(self, word):
            self.seen.append(word)
            return list(self.seen)

    log = Log.remote()
    first, second = log.note.remote(signal.wait.remote("a")), log.note.remote("b")
    assert not second.is_ready()
    signal.send.remote()
    assert local.get([first, second]) == [["a"], ["a", "b"]]
    free = Log.options(allow_out_of_order_execution=True).remote()
    late = free.note.remote(Signal.remote().wait.remote("never"))
    assert local.get(free.note.remote("b")) == ["b"]
    local.cancel(late)


def test_a_failed_argument_fails_the_call_that_waited(local):
    @local.remote
    class Fails:
        async def fail(self, event):
            await asyncio.sleep(0)
            raise KeyError("k")

    with pytest.raises(KeyError):
        local.get(add.remote(add.remote(Fails.remote().fail.remote(1))))


def test_threads_of_an_actor_wait_for_each_other(local):
    @local.remote(max_concurrency=2)
    class Threads:
        def __init__(self):
            self.event = threading.Event()

        def wait(self):
            assert self.event.wait(30)
            return threading.current_thread().name

        def send(self):
            self.event.set()

    threads = Threads.remote()
    first = threads.wait.remote()
    local.get(threads.send.remote())
    assert local.get(first).startswith("bolide-call")


def test_groups_have_their_own_limits(local):
    @local.remote(concurrency_groups={"io": 1, "free": 4})
    class Groups:
        def __init__(self):
            self.event = threading.Event()

        @bolide.method(concurrency_group="io")
        def wait(self):
            assert self.event.wait(30)

        @bolide.method(concurrency_group="free")
        def send(self):
            self.event.set()

    groups = Groups.remote()
    waiting = [groups.wait.remote() for _ in range(3)]
    local.get([*waiting, groups.send.remote()])


def test_coroutines_of_actors_below_a_running_loop(local, signal):
    async def main():
        ref = signal.wait.remote(5)
        await signal.send.remote()
        return await ref

    assert asyncio.run(main()) == 5


def test_actors_call_each_other_from_coroutines(local, signal):
    @local.remote
    class Chain:
        async def step(self, n, signal):
            if n == 0:
                return await signal.wait.remote(0)
            return 1 + await Chain.remote().step.remote(n - 1, signal)

    Chain = local.remote(Chain.__ray_metadata__.modified_class)
    ref = Chain.remote().step.remote(3, signal)
    signal.send.remote()
    assert local.get(ref) == 3


def test_items_of_an_async_generator_come_as_they_are_taken(local, signal):
    items = signal.count.options(_generator_backpressure_num_objects=2).remote(5)
    assert local.get(next(items)) == 0
    assert [local.get(ref) for ref in items] == [1, 2, 3, 4]
    assert local.get(items.completed()) is None
    assert local.get(signal.note.remote("x")) == [0, 1, 2, 3, 4, "x"]


def test_a_generator_that_nobody_takes_from_ends(local, signal):
    items = signal.count.options(_generator_backpressure_num_objects=1).remote(1 << 40)
    local.get(next(items))
    ended = items.completed()
    del items
    gc.collect()
    with pytest.raises(TaskCancelledError):
        local.get(ended)


def test_a_task_that_yields_waits_for_its_argument(local, signal):
    @local.remote
    def count(n):
        yield from range(n)

    items = count.remote(signal.wait.remote(3))
    assert local.wait([items], timeout=0) == ([], [items])
    signal.send.remote()
    assert [local.get(ref) for ref in items] == [0, 1, 2]


def test_cancelling_what_runs_and_what_has_not_begun(local, signal):
    running = signal.wait.remote()
    waits = add.remote(running)
    other = add.remote(waits)
    local.cancel(waits)
    for ref in (waits, other):
        with pytest.raises(TaskCancelledError, match="'add' that had not begun"):
            local.get(ref)
    assert not running.is_ready()
    local.cancel(running)
    with pytest.raises(TaskCancelledError):
        local.get(running)


def test_a_thread_may_ask_whether_it_was_cancelled(local):
    @local.remote(max_concurrency=2)
    class Works:
        def __init__(self):
            self.began = threading.Event()

        def work(self):
            self.began.set()
            while not bolide.get_runtime_context().is_canceled():
                pass

        def has_begun(self):
            return self.began.wait(30)

    works = Works.remote()
    ref = works.work.remote()
    local.get(works.has_begun.remote())
    local.cancel(ref)
    with pytest.raises(TaskCancelledError):
        local.get(ref)


def test_killing_fails_what_runs_and_what_waits(local, signal):
    refs = [signal.wait.remote(), signal.note.remote(signal.wait.remote())]
    local.kill(signal)
    for ref in refs:
        with pytest.raises(ActorDiedError, match="killed by kill"):
            local.get(ref)


@pytest.mark.parametrize("retries", [0, 1])
def test_calls_that_ran_when_their_actor_began_again(local, retries):
    signal = Signal.options(max_restarts=1, max_task_retries=retries).remote()
    ref = signal.wait.remote(7)
    local.kill(signal, no_restart=False)
    signal.send.remote()
    if retries:
        assert local.get(ref) == 7
    else:
        with pytest.raises(ActorUnavailableError, match="killed.*being started again"):
            local.get(ref)
        assert local.get(signal.wait.remote(8)) == 8


def test_what_has_begun_ends_when_the_actor_leaves(local, signal):
    ref = signal.wait.remote(7)
    local.get(signal.send.remote())
    with pytest.raises(ActorDiedError, match="exit_actor"):
        local.get(signal.leave.remote())
    assert local.get(ref) == 7
    with pytest.raises(ActorDiedError):
        local.get(signal.note.remote(1))


def test_max_pending_calls_counts_those_that_have_not_ended(local):
    signal = Signal.options(max_pending_calls=2).remote()
    refs = [signal.wait.remote(i) for i in range(2)]
    with pytest.raises(PendingCallsLimitExceeded, match="2 pending calls.*max_pending_calls"):
        signal.wait.remote(2)
    local.kill(signal)
    del refs


def test_a_busy_actor_takes_calls_of_other_threads_afterwards(local):
    steps = {name: threading.Event() for name in ("in", "go")}
    sys.modules[__name__].steps = steps

    @local.remote
    class Busy:
        def __init__(self):
            self.seen = []

        def work(self):
            steps = sys.modules[__name__].steps
            steps["in"].set()
            assert steps["go"].wait(30)
            self.seen.append("work")

        def note(self):
            self.seen.append("note")
            return self.seen

    busy = Busy.remote()
    thread = threading.Thread(target=lambda: busy.work.remote())
    thread.start()
    assert steps["in"].wait(30)
    ref = busy.note.remote()
    assert not ref.is_ready()
    steps["go"].set()
    assert local.get(ref) == ["work", "note"]
    thread.join()


def test_what_a_coroutine_knows_of_itself(local):
    @local.remote
    class Asks:
        async def ask(self, n):
            await asyncio.sleep(0)
            context = bolide.get_runtime_context()
            inner = add.remote(n)  # runs at once, and knows itself
            assert await inner == n + 1
            return context.get_actor_id(), context.get_task_function_name(), context.get_task_name()

    asks = Asks.remote()
    found = local.get([asks.ask.options(name=f"n{i}").remote(i) for i in range(5)])
    assert found == [(asks._actor_id.hex(), "Asks.ask", f"n{i}") for i in range(5)]
    assert local.get_runtime_context().get_task_id() is None


def test_the_runtime_shuts_down_while_calls_wait(local, signal):
    refs = [signal.wait.remote(), add.remote(signal.wait.remote())]
    local.shutdown()
    with pytest.raises(Exception, match="shut down"):
        local.get(refs[1])


def test_a_coroutine_is_cancelled_also_right_after_its_call(local, signal):
    for _ in range(200):
        ref = signal.wait.remote()
        local.cancel(ref)
        with pytest.raises(TaskCancelledError):
            local.get(ref, timeout=30)


def test_what_ran_later_leaves_no_objects(local, signal, stats, eventually):
    local.get([signal.note.remote(0), add.remote(1)])
    gc.collect()
    before = stats()["objects"]
    waiting = [signal.wait.remote(np.zeros(100_000)) for _ in range(20)]
    sums = [add.remote(ref, b=ref) for ref in waiting]
    items = signal.count.options(_generator_backpressure_num_objects=3).remote(50)
    taken = [local.get(ref) for ref in items]
    assert taken == list(range(50))
    for ref in waiting[:5]:
        local.cancel(ref)
    signal.send.remote()
    local.wait(sums, num_returns=20)
    abandoned = signal.count.options(_generator_backpressure_num_objects=1).remote(1 << 40)
    next(abandoned)
    del waiting, sums, items, ref, abandoned
    eventually(lambda: stats()["objects"], before)
    assert _runtime._node.audit()
