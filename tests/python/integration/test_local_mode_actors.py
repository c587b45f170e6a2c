"""`init(local_mode=True)`: actors keep their state, know themselves and end as with workers."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading

import pytest

import bolide
from bolide.exceptions import ActorDiedError, ActorUnavailableError, RayActorError


@bolide.remote
def add(a, b=1):
    return a + b


@bolide.remote
class Counter:
    def __init__(self, start=0):
        self.value = start

    def add(self, n=1):
        self.value += n
        return self.value

    def fail(self):
        raise ValueError(self.value)

    def leave(self):
        bolide.actor.exit_actor()

    def items(self, n):
        yield from range(n)

    def me(self):
        context = bolide.get_runtime_context()
        return context.get_actor_id(), context.get_task_function_name(), context.current_actor


def test_actors_keep_their_state_and_go_on_after_an_exception(local):
    counter = Counter.remote(add.remote(9))
    refs = [counter.add.remote() for _ in range(3)]
    with pytest.raises(ValueError, match="13"):
        local.get(counter.fail.remote())
    assert local.get(refs) == [11, 12, 13]
    assert [local.get(ref) for ref in counter.items.remote(2)] == [0, 1]
    actor_id, function, handle = local.get(counter.me.remote())
    assert (actor_id, function) == (counter._actor_id.hex(), "Counter.me")
    assert local.get(handle.add.remote()) == 14
    assert local.get_runtime_context().get_actor_id() is None


def test_handles_can_be_passed_on_and_looked_up(local):
    @local.remote
    def use(counters):
        return local.get(counters[0].add.remote(5))

    counter = Counter.options(name="the counter").remote()
    assert local.get(use.remote([counter])) == 5
    assert local.get(local.get_actor("the counter").add.remote()) == 6
    with pytest.raises(ValueError, match="already taken"):
        Counter.options(name="the counter").remote()
    same = Counter.options(name="the counter", get_if_exists=True).remote()
    assert same == counter
    local.kill(counter)
    with pytest.raises(ValueError, match="Failed to look up"):
        local.get_actor("the counter")
    with pytest.raises(ActorDiedError, match="was killed by kill"):
        local.get(counter.add.remote())


def test_an_actor_that_is_killed_starts_again_if_it_may(local):
    counter = Counter.options(max_restarts=1).remote(5)
    assert local.get(counter.add.remote()) == 6
    local.kill(counter, no_restart=False)
    assert local.get(counter.add.remote()) == 6
    local.kill(counter, no_restart=False)
    with pytest.raises(RayActorError):
        local.get(counter.add.remote())


def test_an_actor_whose_constructor_fails_is_dead(local):
    @local.remote
    class Broken:
        def __init__(self):
            raise ValueError("no")

        def call(self):
            pass

    broken = Broken.remote()
    with pytest.raises(ActorDiedError, match="no"):
        local.get(broken.call.remote())


def test_an_actor_leaves_and_its_shutdown_is_called(local, journal):
    class Base:
        def leave(self):
            bolide.actor.exit_actor()

        def __ray_shutdown__(self):
            journal.note("bye")

    for leave in (True, False):
        actor = local.remote(Base).remote()
        if leave:
            with pytest.raises(ActorDiedError, match="exit_actor"):
                local.get(actor.leave.remote())
        del actor
        gc.collect()
        local.get(add.remote(1))
    assert journal.lines() == ["bye", "bye"]


def test_coroutines_of_actors_run_to_their_end_also_below_a_running_loop(local):
    @local.remote
    class Async:
        async def twice(self, x):
            await asyncio.sleep(0)
            return await add.remote(x, x)

    async def main():
        return await Async.remote().twice.remote(2)

    assert local.get(Async.remote().twice.remote(1)) == 2
    assert asyncio.run(main()) == 4


def test_a_handle_is_useless_in_the_session_that_follows(local):
    counter = Counter.remote()
    bolide.shutdown()
    bolide.init(num_cpus=1)
    with pytest.raises(Exception, match="shut down"):
        counter.add.remote()


@bolide.remote
class Falls:
    def call(self):
        return 1

    def leave(self):
        bolide.actor.exit_actor()

    def __ray_shutdown__(self):
        raise ValueError("while it cleaned up")


def test_an_exception_in_shutdown_is_printed_and_breaks_no_other_call(local, capfd):
    falls = Falls.remote()
    assert local.get(falls.call.remote()) == 1
    del falls
    gc.collect()
    assert local.get(add.remote(1)) == 2
    with pytest.raises(ActorDiedError, match="exit_actor"):
        local.get(Falls.remote().leave.remote())
    left = Falls.remote()
    local.shutdown()
    assert not local.is_initialized()
    said = capfd.readouterr().err
    assert said.count("__ray_shutdown__ of Falls raised") == 3
    assert "ValueError: while it cleaned up" in said
    del left


def test_a_session_is_closed_also_if_ctrl_c_comes_while_actors_are_shut_down(local):
    @local.remote
    class Interrupted:
        def __ray_shutdown__(self):
            raise KeyboardInterrupt

    actor = Interrupted.remote()
    with pytest.raises(KeyboardInterrupt):
        local.shutdown()
    assert not local.is_initialized()
    del actor
    local.init(local_mode=True)
    assert local.get(add.remote(1)) == 2


def test_each_thread_knows_its_own_actor(local):
    """The task begins while the method runs, and ends after it."""
    steps = {name: threading.Event() for name in ("method", "task", "method is over")}
    sys.modules[__name__].steps = steps

    @local.remote
    class Actor:
        def ask(self):
            steps = sys.modules[__name__].steps
            steps["method"].set()
            assert steps["task"].wait(30)
            actor_id = bolide.get_runtime_context().get_actor_id()
            bolide.actor.exit_actor()
            return actor_id

    @local.remote
    def task():
        steps = sys.modules[__name__].steps
        steps["task"].set()
        assert steps["method is over"].wait(30)
        return bolide.get_runtime_context().get_actor_id()

    actor = Actor.remote()
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(actor.ask.remote()))
    thread.start()
    assert steps["method"].wait(30)
    other = threading.Thread(target=lambda: outcomes.append(task.remote()))
    other.start()
    thread.join()
    steps["method is over"].set()
    other.join()
    with pytest.raises(ActorDiedError, match="exit_actor"):
        local.get(outcomes[0])
    assert local.get(outcomes[1]) is None
    assert local.get_runtime_context().get_actor_id() is None


def test_a_handle_that_does_not_count_finds_a_dead_actor(local):
    counter = Counter.remote()
    itself = local.get(counter.me.remote())[2]
    assert local.get(itself.add.remote()) == 1
    del counter
    gc.collect()
    add.remote(1)
    with pytest.raises(ActorDiedError, match=r"\(id \w{32}\) is dead: all handles that count had"):
        local.get(itself.add.remote())
    with pytest.raises(ActorDiedError):
        local.get(next(itself.items.remote(2)))
    local.kill(itself)


def test_a_constructor_that_ctrl_c_interrupts_ends_the_actor(local):
    @local.remote
    class Interrupted:
        def __init__(self):
            raise KeyboardInterrupt

        def call(self):
            pass

    @local.remote(max_restarts=1)
    class InterruptedLater:
        def __init__(self):
            if bolide.get_runtime_context().was_current_actor_reconstructed:
                raise KeyboardInterrupt

        def call(self):
            return 1

    with pytest.raises(KeyboardInterrupt):
        Interrupted.options(name="detached", lifetime="detached").remote()
    with pytest.raises(ValueError, match="Failed to look up"):
        local.get_actor("detached")
    actor = InterruptedLater.remote()
    assert local.get(actor.call.remote()) == 1
    with pytest.raises(KeyboardInterrupt):
        local.kill(actor, no_restart=False)
    with pytest.raises(ActorDiedError, match="is dead: its constructor was interrupted"):
        local.get(actor.call.remote())


def test_a_call_that_waited_for_one_that_ended_the_actor_finds_it_dead(local):
    steps = {name: threading.Event() for name in ("leaving", "leave")}
    sys.modules[__name__].steps = steps

    @local.remote
    class Actor:
        def leave(self):
            steps = sys.modules[__name__].steps
            steps["leaving"].set()
            assert steps["leave"].wait(30)
            bolide.actor.exit_actor()

        def call(self):
            pass

    actor = Actor.remote()
    outcomes = []
    threads = [
        threading.Thread(target=lambda method=method: outcomes.append(method.remote()))
        for method in (actor.leave, actor.call)
    ]
    threads[0].start()
    assert steps["leaving"].wait(30)
    threads[1].start()
    steps["leave"].set()
    for thread in threads:
        thread.join()
    for ref in outcomes:
        with pytest.raises(ActorDiedError, match="exit_actor"):
            local.get(ref)


def test_calls_of_actors_cannot_be_cancelled_by_force(local):
    counter = Counter.remote()
    limited = counter.items.options(_generator_backpressure_num_objects=1).remote(3)
    for made in (counter.add.remote(), limited):
        with pytest.raises(ValueError, match="force=True is not supported for actor tasks"):
            local.cancel(made, force=True)
        local.cancel(made)
    local.cancel(add.remote(1), force=True)


def test_which_calls_were_of_actors_is_forgotten_with_their_results(local):
    counter = Counter.remote()
    kept = counter.add.remote()
    for _ in range(5000):
        counter.add.remote()
    assert len(bolide._hot.current_session().engine._of_actors) < 2000
    with pytest.raises(ValueError, match="force=True"):
        local.cancel(kept, force=True)


@bolide.remote
class Exits:
    def __init__(self, journal):
        self.journal = journal
        journal.note("began")

    def exit(self, status):
        if len(self.journal.lines()) == 1:
            sys.exit(status)
        return len(self.journal.lines())

    def __ray_shutdown__(self):
        self.journal.note("shut down")


def test_an_exit_with_a_status_counts_a_restart(local, journal):
    actor = Exits.options(max_restarts=1).remote(journal)
    with pytest.raises(ActorUnavailableError, match="exited with status 3.*being started again"):
        local.get(actor.exit.remote(3))
    assert local.get(actor.exit.remote(3)) == 2
    assert journal.lines() == ["began", "began"]


def test_a_call_that_exited_with_a_status_is_retried_if_it_may(local, journal):
    actor = Exits.options(max_restarts=-1, max_task_retries=1).remote(journal)
    assert local.get(actor.exit.remote(3)) == 2


@pytest.mark.parametrize(
    ("restarts", "status", "sentence"),
    [(0, 3, "it exited with status 3"), (1, 0, r"called sys.exit\(0\)")],
)
def test_other_exits_are_the_end(local, journal, restarts, status, sentence):
    actor = Exits.options(max_restarts=restarts, max_task_retries=1).remote(journal)
    with pytest.raises(ActorDiedError, match=sentence):
        local.get(actor.exit.remote(status))
    assert journal.lines() == ["began"] + ["shut down"] * (status == 0)


def test_a_generator_keeps_its_actor_until_the_last_item(local, journal):
    @local.remote
    class Items:
        def items(self, n):
            yield from range(n)

        def __ray_shutdown__(self):
            journal.note("shut down")

    items = Items.remote().items.options(_generator_backpressure_num_objects=1).remote(3)
    assert local.get(next(items)) == 0
    local.get(add.remote(1))
    gc.collect()
    assert journal.lines() == []
    assert [local.get(ref) for ref in items] == [1, 2]
    local.get(add.remote(1))
    assert journal.lines() == ["shut down"]


def test_arguments_are_packed_before_there_is_an_actor(local):
    class CannotBeSent:
        def __reduce__(self):
            raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one") as caught:
        Counter.options(name="counter", get_if_exists=True).remote(CannotBeSent())
    with pytest.raises(ValueError, match="Failed to look up"):
        local.get_actor("counter")
    assert caught.tb is not None  # and with it the frames of the call
