"""Executor behaves as CPython's: one body of tests over threads, processes and bolide."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor, wait
from threading import Thread

import pytest

import bolide

from . import calls

KINDS = {
    "threads": concurrent.futures.ThreadPoolExecutor,
    "processes": ProcessPoolExecutor,
    "bolide": bolide.Executor,
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """What is logged of callbacks that raise is not kept by pytest: it holds their executor."""
    monkeypatch.setattr(logging.getLogger("concurrent.futures"), "disabled", True)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def make(kind, gate):
    """Makes executors, which are shut down when the test is over and the gate is open."""
    made = []

    def make(*args, **kwargs):
        made.append(KINDS[kind](*args, **kwargs))
        return made[-1]

    yield make
    gate.open()
    while made:
        made.pop().shutdown()


@pytest.fixture
def executor(make):
    return make(max_workers=2)


def test_submit_gives_a_future(executor):
    future = executor.submit(calls.square, 7)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result() == 49
    assert future.exception() is None
    assert future.done() and not future.running() and not future.cancelled()
    assert future.result(timeout=0) == 49


def test_arguments_of_any_name_are_passed_on(executor):
    future = executor.submit(calls.keywords, 1, self=2, fn=3, function=4)
    assert future.result() == ((1,), {"self": 2, "fn": 3, "function": 4})


def test_a_wrong_call_fails_in_its_future(executor):
    with pytest.raises(TypeError):
        executor.submit(calls.square, 1, 2, 3).result()
    assert executor.submit(calls.square, 3).result() == 9


def test_an_exception_comes_out_of_the_future(executor, kind):
    future = executor.submit(calls.fail, 123)
    with pytest.raises(ValueError) as caught:
        future.result()
    assert type(caught.value) is ValueError and caught.value.args == (123,)
    assert future.exception() is caught.value
    if kind != "threads":
        assert "raise ValueError(x)" in str(caught.value.__cause__)


def test_result_has_a_timeout(executor, gate):
    future = executor.submit(calls.wait_at, gate, 5)
    for timeout in (0, 0.01):
        with pytest.raises(concurrent.futures.TimeoutError):
            future.result(timeout)
        with pytest.raises(concurrent.futures.TimeoutError):
            future.exception(timeout)
    assert not future.done()
    gate.open()
    assert future.result() == 5


def test_as_many_run_at_a_time_as_there_are_workers(make, channel, gate):
    executor = make(max_workers=4)  # more than the node has CPUs
    futures = [executor.submit(calls.say_and_wait, channel, gate, i) for i in range(4)]
    assert channel.hear(4) == ["in"] * 4
    gate.open()
    assert [future.result() for future in futures] == [0, 1, 2, 3]


def test_one_worker_runs_one_at_a_time_in_order(make, journal):
    executor = make(max_workers=1)
    assert list(executor.map(calls.stay, [journal] * 40, range(40))) == list(range(40))
    assert journal.highest() == 1


def test_map_keeps_the_order(executor):
    assert list(executor.map(calls.square, range(100))) == [i * i for i in range(100)]
    assert list(executor.map(pow, [2, 3, 4], [5, 2])) == [32, 9]
    assert list(executor.map(calls.square, [])) == []


@pytest.mark.parametrize("chunksize", [1, 2, 7, 1000])
def test_map_in_chunks(executor, chunksize):
    results = executor.map(calls.square, range(50), chunksize=chunksize)
    assert list(results) == [i * i for i in range(50)]


def test_map_raises_where_the_result_would_be(executor):
    results = executor.map(calls.fail_at, range(4), [2] * 4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError):
        next(results)


def test_map_has_a_timeout(executor, gate):
    results = executor.map(calls.wait_at, [gate], timeout=0.01)
    with pytest.raises(concurrent.futures.TimeoutError):
        next(results)
    gate.open()


def test_bad_arguments_are_refused(make, executor, kind):
    with pytest.raises(ValueError, match="max_workers must be greater than 0"):
        make(max_workers=0)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        make(initializer=1)
    if kind != "threads":
        with pytest.raises(ValueError, match="chunksize must be >= 1"):
            executor.map(calls.square, [1], chunksize=0)


def test_cancel_what_has_not_begun(make, channel, gate):
    executor = make(max_workers=1)
    running = executor.submit(calls.say_and_wait, channel, gate, 1)
    channel.hear()
    more = [executor.submit(calls.square, i) for i in range(8)]
    assert not running.cancel() and running.running()
    assert more[-1].cancel() and more[-1].cancelled() and more[-1].done()
    gate.open()
    assert running.result() == 1 and not running.cancel()
    with pytest.raises(CancelledError):
        more[-1].result()
    with pytest.raises(CancelledError):
        more[-1].exception()
    assert [future.result() for future in more[:-1]] == [i * i for i in range(7)]


def test_shutdown_waits(executor, journal):
    futures = [executor.submit(calls.note, journal, i) for i in range(20)]
    executor.shutdown()
    assert len(journal.lines()) == 40
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(calls.square, 1)


def test_shutdown_without_waiting(executor, gate):
    futures = [executor.submit(calls.wait_at, gate, i) for i in range(10)]
    executor.shutdown(wait=False)
    assert not futures[0].done()
    gate.open()
    assert [future.result() for future in futures] == list(range(10))


def test_shutdown_cancels_what_has_not_begun(make, channel, gate, eventually):
    executor = make(max_workers=2)
    futures = [executor.submit(calls.say_and_wait, channel, gate, i) for i in range(50)]
    channel.hear(2)
    executor.shutdown(wait=False, cancel_futures=True)
    eventually(futures[-1].cancelled, True)
    gate.open()
    executor.shutdown()
    cancelled = [future for future in futures if future.cancelled()]
    assert len(cancelled) >= 40
    assert [f.result() for f in futures if not f.cancelled()] == list(range(50 - len(cancelled)))


def test_an_executor_that_is_dropped_ends_its_calls(make, kind, gate):
    executor = KINDS[kind](max_workers=1)
    futures = [executor.submit(calls.wait_at, gate, i) for i in range(6)]
    del executor
    gate.open()
    assert [future.result() for future in futures] == list(range(6))


def test_the_context_manager_waits(kind, journal):
    with KINDS[kind](max_workers=2) as executor:
        executor.submit(calls.note, journal, 1)
    assert journal.lines() == ["+", "-"]


def test_wait_for_all(executor):
    futures = [executor.submit(calls.square, i) for i in range(10)]
    done, not_done = wait(futures)
    assert done == set(futures) and not not_done


def test_wait_for_the_first(executor, gate):
    slow, fast = executor.submit(calls.wait_at, gate), executor.submit(calls.square, 2)
    done, not_done = wait([slow, fast], return_when=concurrent.futures.FIRST_COMPLETED)
    assert (done, not_done) == ({fast}, {slow})
    done, not_done = wait([slow, fast], timeout=0.01)
    assert (done, not_done) == ({fast}, {slow})
    gate.open()


def test_wait_for_the_first_exception(executor, gate):
    slow, bad = executor.submit(calls.wait_at, gate), executor.submit(calls.fail, 2)
    done, not_done = wait([slow, bad], return_when=concurrent.futures.FIRST_EXCEPTION)
    assert (done, not_done) == ({bad}, {slow})
    gate.open()


def test_as_completed(executor, gate):
    slow = executor.submit(calls.wait_at, gate, "slow")
    fast = [executor.submit(calls.square, i) for i in range(5)]
    coming = concurrent.futures.as_completed([slow, *fast])
    assert sorted(next(coming).result() for _ in range(5)) == [0, 1, 4, 9, 16]
    gate.open()
    assert [future.result() for future in coming] == ["slow"]


def test_callbacks_are_called_once(executor, gate):
    heard = []
    future = executor.submit(calls.wait_at, gate, 3)
    future.add_done_callback(lambda f: heard.append(f.result()))
    future.add_done_callback(lambda f: 1 / 0)  # logged, and holds nobody off
    future.add_done_callback(lambda f: heard.append(f.result() + 1))
    gate.open()
    wait([future])
    executor.shutdown()
    assert heard == [3, 4]
    future.add_done_callback(lambda f: heard.append("late"))
    assert heard == [3, 4, "late"]


def test_the_initializer_runs_in_each_worker(make):
    executor = make(max_workers=2, initializer=calls.set_state, initargs=("ready",))
    assert set(executor.map(calls.get_state, range(20))) == {"ready"}


def test_an_initializer_that_fails_breaks_the_executor(make):
    executor = make(max_workers=2, initializer=calls.fail, initargs=(1,))
    with pytest.raises(BrokenExecutor):
        executor.submit(calls.square, 1).result()
    with pytest.raises(BrokenExecutor):
        executor.submit(calls.square, 1)


@pytest.mark.parametrize("kind", ["processes", "bolide"])
def test_a_worker_that_dies_breaks_the_executor(make, kind, gate):
    executor = make(max_workers=2)
    futures = [executor.submit(calls.wait_at, gate), executor.submit(calls.die)]
    futures += [executor.submit(calls.wait_at, gate) for _ in range(6)]
    for future in futures:
        with pytest.raises(concurrent.futures.process.BrokenProcessPool):
            future.result()
    with pytest.raises(concurrent.futures.process.BrokenProcessPool):
        executor.submit(calls.square, 1)
    executor.shutdown()


def test_what_cannot_be_sent_fails_alone(make):
    executor = make(max_workers=2)
    if isinstance(executor, concurrent.futures.ThreadPoolExecutor):
        pytest.skip("threads send nothing")
    with pytest.raises(Exception, match="(?i)pickle|serializ"):
        executor.submit(calls.square, Thread()).result()
    assert executor.submit(calls.square, 3).result() == 9


def test_many_threads_submit(executor):
    results = {}

    def run(first):
        futures = [executor.submit(calls.square, first + i) for i in range(200)]
        results[first] = [future.result() for future in futures]

    threads = [Thread(target=run, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {
        1000 * t: [(1000 * t + i) ** 2 for i in range(200)] for t in range(4)
    }  # fmt: skip


def test_asyncio_runs_calls_on_it(executor):
    async def main():
        loop = asyncio.get_running_loop()
        parts = [loop.run_in_executor(executor, calls.square, i) for i in range(5)]
        return await asyncio.gather(*parts)

    assert asyncio.run(main()) == [0, 1, 4, 9, 16]
