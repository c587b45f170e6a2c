"""`init(local_mode=True)`: calls run in this process, in order, and mean the same."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import numpy as np
import pytest

import bolide
from bolide import _runtime
from bolide.exceptions import (
    RayTaskError,
    StreamingGeneratorReplayInconsistentError,
    TaskCancelledError,
)


@bolide.remote
def add(a, b=1):
    return a + b


def test_tasks_run_at_once_in_this_process_and_thread(local):
    order = []

    @local.remote
    def note(word):
        sys.modules[__name__].seen.append(word)
        return os.getpid(), threading.get_ident()

    sys.modules[__name__].seen = order
    refs = [note.remote(word) for word in "abc"]
    assert order == ["a", "b", "c"]
    assert local.get(refs) == [(os.getpid(), threading.get_ident())] * 3
    stats = _runtime._node.stats()
    assert (stats["workers"], stats["started_workers"]) == (0, 0)
    assert _runtime._node.template_pid() <= 0


def test_references_are_replaced_by_values_and_calls_nest(local):
    @local.remote
    def outer(x):
        return local.get(add.remote(x, b=add.remote(1)))

    assert local.get(outer.remote(add.remote(1))) == 4


def test_arguments_and_results_are_copies(local):
    given = [1]

    @local.remote
    def change(values):
        values.append(2)
        return values

    ref = change.remote(given)
    assert given == [1]
    local.get(ref).append(3)
    assert local.get(ref) == [1, 2]
    array = local.get(add.remote(np.zeros(100_000)))
    assert not array.flags.writeable and array[0] == 1


def test_a_captured_variable_is_a_copy(local):
    counts = [0]

    @local.remote
    def count():
        counts[0] += 1
        return counts[0]

    assert local.get([count.remote(), count.remote()]) == [1, 2]
    assert counts == [0]


@pytest.mark.parametrize("value", [threading.Lock(), sys._getframe()])
def test_what_cannot_be_sent_to_a_worker_is_refused_here_too(local, value):
    with pytest.raises(TypeError, match="argument 'a' of 'add'"):
        add.remote(value)

    @local.remote
    def give():
        return threading.Lock()

    with pytest.raises(TypeError, match="the result of"):
        local.get(give.remote())


def test_wrong_arguments_are_told_before_the_call(local):
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        add.remote()


def test_exceptions_come_out_of_get_with_their_type_and_reach_dependents(local):
    @local.remote
    def fail():
        raise KeyError("k")

    ref = fail.remote()
    for each in (ref, add.remote(ref), add.remote(1, b=add.remote(ref))):
        with pytest.raises(KeyError) as caught:
            local.get(each)
        assert isinstance(caught.value, RayTaskError) and "fail" in str(caught.value)


def test_retries_are_fresh_attempts(local, journal):
    @local.remote(max_retries=2, retry_exceptions=[ValueError])
    def fail(values):
        values.append(1)
        journal.note(len(values))
        raise ValueError(len(journal.lines()))

    with pytest.raises(ValueError, match="3"):
        local.get(fail.remote([]))
    assert journal.lines() == ["1", "1", "1"]


def test_several_returns(local):
    @local.remote(num_returns=2)
    def two():
        return 1, 2

    @local.remote(num_returns=0)
    def none():
        pass

    @local.remote(num_returns="dynamic")
    def dynamic():
        yield from range(3)

    assert local.get(two.remote()) == [1, 2]
    assert none.remote() is None
    assert [local.get(ref) for ref in local.get(dynamic.remote())] == [0, 1, 2]
    with pytest.raises(ValueError, match="must return 3 values"):
        local.get(two.options(num_returns=3).remote()[0])


def test_everything_is_ready_when_it_is_waited_for(local):
    refs = [add.remote(i) for i in range(3)]
    assert local.wait(refs, num_returns=2, timeout=0) == (refs[:2], refs[2:])
    local.cancel(refs[0], force=True)
    assert local.get(refs[0], timeout=0) == 1


def test_a_generator_runs_as_far_as_it_may(local, journal):
    @local.remote(_generator_backpressure_num_objects=2)
    def count(n):
        for i in range(n):
            journal.note(i)
            yield [i]

    generator = count.remote(4)
    assert journal.lines() == ["0", "1"]
    assert local.get(next(generator)) == [0]
    assert journal.lines() == ["0", "1", "2"]
    assert [local.get(ref) for ref in generator] == [[1], [2], [3]]
    assert generator.is_finished()
    assert local.get(generator.completed()) is None


def test_a_generator_that_fails_gives_its_exception_last(local):
    @local.remote
    def fail():
        yield 1
        raise ValueError("after one")

    generator = fail.remote()
    assert local.get(next(generator)) == 1
    with pytest.raises(ValueError, match="after one"):
        local.get(next(generator))
    with pytest.raises(StopIteration):
        next(generator)


def test_an_endless_generator_is_cancelled(local):
    @local.remote(_generator_backpressure_num_objects=1)
    def count():
        while True:
            yield 1

    generator = count.remote()
    assert local.wait([generator], timeout=0) == ([generator], [])
    local.cancel(generator)
    with pytest.raises(TaskCancelledError):
        for ref in generator:
            local.get(ref)


def test_async_iteration_of_a_generator(local):
    @local.remote
    def count():
        yield from range(3)

    async def main():
        return [await ref async for ref in count.remote()]

    assert asyncio.run(main()) == [0, 1, 2]


def test_breakpoints_stop_in_tasks(local, monkeypatch):
    stopped = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: stopped.append(sys._getframe(1).f_lineno))

    @local.remote
    def task():
        breakpoint()

    task.remote()
    assert stopped == [task._function.__code__.co_firstlineno + 2]


def test_a_profiler_sees_the_code_of_tasks(local):
    import cProfile
    import pstats

    profile = cProfile.Profile()
    profile.enable()
    add.remote(1)
    profile.disable()
    seen = {(os.path.basename(file), name) for file, _, name in pstats.Stats(profile).stats}
    assert ("test_local_mode.py", "add") in seen


def test_ctrl_c_ends_the_program_and_not_the_task(local):
    @local.remote
    def task():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        task.remote()
    assert local.get_runtime_context().get_task_id() is None


def test_what_a_task_knows_of_itself(local):
    @local.remote
    def ask():
        context = local.get_runtime_context()
        return context.get_task_id(), context.get_task_name(), context.is_canceled()

    task_id, name, cancelled = local.get(ask.options(name="n").remote())
    assert len(task_id) == 48 and (name, cancelled) == ("n", False)


def test_the_usual_mode_follows_after_it():
    bolide.init(local_mode=True)
    assert bolide.get(add.remote(1)) == 2
    bolide.shutdown()
    bolide.init(num_cpus=1)
    assert bolide.get(bolide.remote(os.getpid).remote()) != os.getpid()


def test_an_exception_that_went_to_the_disk_reaches_dependents(tmp_path):
    mib = 1 << 20
    bolide.init(
        local_mode=True, object_store_memory=64 * mib, object_spilling_directory=str(tmp_path)
    )

    @bolide.remote
    def fail():
        raise ValueError("x" * (8 * mib))

    failed = fail.remote()
    kept = [bolide.put(np.zeros(mib)) for _ in range(16)]  # twice what there is room for
    assert _runtime._node.stats()["store"]["spilled_objects"] > 0
    with pytest.raises(ValueError, match="ValueError: xxx"):
        bolide.get(add.remote(failed))
    del kept


def test_a_generator_that_is_retried_repeats_no_item(local, journal):
    @local.remote(
        max_retries=2, retry_exceptions=[ValueError], _generator_backpressure_num_objects=1
    )
    def count(n, until):
        journal.note("began")
        yield from range(n)
        if len(journal.lines()) < until:
            raise ValueError("not yet")
        yield n

    assert [local.get(ref) for ref in count.remote(3, 3)] == [0, 1, 2, 3]
    assert journal.lines() == ["began"] * 3
    with pytest.raises(ValueError, match="not yet"):
        for ref in count.remote(3, 9):
            local.get(ref)


def test_a_generator_that_yields_less_when_it_is_retried_is_inconsistent(local, journal):
    @local.remote(max_retries=1, retry_exceptions=True)
    def shrink():
        journal.note("began")
        if len(journal.lines()) == 1:
            yield from range(3)
            raise ValueError
        yield 0

    items = shrink.remote()
    assert [local.get(next(items)) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StreamingGeneratorReplayInconsistentError, match="yielded 1 items when it"):
        local.get(next(items))
