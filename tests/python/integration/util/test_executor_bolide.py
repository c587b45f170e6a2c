"""What bolide's Executor does beyond CPython's, and how it gets on with the rest of bolide."""

from __future__ import annotations

import functools
import os
import sys
import threading

import pytest

import bolide

from . import calls


@pytest.fixture
def executor(ray):
    with bolide.Executor() as executor:
        yield executor


def test_it_has_as_many_workers_as_the_node_has_cpus(executor):
    assert executor._max_workers == 2


def test_it_starts_the_runtime_by_itself():
    with bolide.Executor(2) as executor:
        assert executor.submit(calls.square, 2).result() == 4
    assert bolide.is_initialized()


def test_many_short_calls(executor):
    futures = [executor.submit(calls.square, i) for i in range(20_000)]
    assert [future.result() for future in futures] == [i * i for i in range(20_000)]
    assert all(future.done() for future in futures)


def test_results_need_no_one_who_waits(executor, channel):
    for i in range(30):
        executor.submit(channel.say, i)
    assert sorted(map(int, channel.hear(30))) == list(range(30))


def test_what_pickle_refuses_is_sent_too(executor):
    offset = [100]
    assert list(executor.map(lambda x: x + offset[0], range(3))) == [100, 101, 102]
    future = executor.submit(lambda: offset[0])
    assert future.result() == 100
    offset[0] = 200  # a closure is sent as it is at the call
    read = executor.submit(lambda: offset[0])
    assert read.result() == 200


@pytest.mark.parametrize(
    "function, args, result",
    [
        (abs, (-3,), 3),
        (dict, ([(1, 2)],), {1: 2}),
        (functools.partial(pow, 2), (5,), 32),
        ("{}-{}".format, (1, 2), "1-2"),
    ],
)  # fmt: skip
def test_anything_that_can_be_called(executor, function, args, result):
    assert executor.submit(function, *args).result() == result
    assert list(executor.map(function, *zip(args))) == [result]


def test_a_generator_is_no_result(executor):
    def numbers():
        yield 1

    with pytest.raises(TypeError, match="generator"):
        executor.submit(numbers).result()


def test_many_calls_that_cannot_be_sent(ray, gate):
    with bolide.Executor(1) as executor:
        executor.submit(calls.wait_at, gate)
        futures = [executor.submit(calls.square, threading.Lock()) for _ in range(3000)]
        gate.open()
        assert {type(future.exception()) for future in futures} == {TypeError}


def test_references_are_arguments(ray, executor):
    assert executor.submit(calls.square, ray.put(5)).result() == 25


def test_map_reads_only_what_the_buffer_holds(executor):
    read = []
    items = (read.append(i) or i for i in range(1000))
    results = executor.map(calls.square, items, buffersize=3)
    assert len(read) == 3
    assert [next(results) for _ in range(10)] == [i * i for i in range(10)]
    assert len(read) == 13
    results.close()
    with pytest.raises(ValueError, match="buffersize must be None or > 0, but it is 0"):
        executor.map(calls.square, [], buffersize=0)
    with pytest.raises(TypeError, match="buffersize must be an integer or None"):
        executor.map(calls.square, [], buffersize=1.5)


def test_a_worker_ends_after_its_calls():
    with bolide.Executor(1, max_tasks_per_child=3) as executor:
        pids = list(executor.map(calls.pid, range(9)))
    assert len(set(pids)) == 3 and pids[0] == pids[2] != pids[3]
    with pytest.raises(ValueError, match="max_tasks_per_child must be >= 1, not 0"):
        bolide.Executor(1, max_tasks_per_child=0)
    with pytest.raises(TypeError, match="max_tasks_per_child must be an integer, but it is '1'"):
        bolide.Executor(1, max_tasks_per_child="1")


def test_workers_with_an_initializer_are_its_own(ray):
    with bolide.Executor(1, initializer=calls.set_state, initargs=("one",)) as one:
        with bolide.Executor(1, initializer=calls.set_state, initargs=("two",)) as two:
            assert one.submit(calls.get_state).result() == "one"
            assert two.submit(calls.get_state).result() == "two"
            assert ray.get(ray.remote(calls.get_state).remote()) == "none"


def test_its_actors_end_with_it(ray, eventually):
    executor = bolide.Executor(1, initializer=calls.set_state, initargs=("one",))
    pid = executor.submit(calls.pid).result()
    executor.shutdown()
    eventually(lambda: os.path.exists(f"/proc/{pid}"), False)
    executor = bolide.Executor(1, initializer=calls.set_state, initargs=("one",))
    pid = executor.submit(calls.pid).result()
    del executor
    eventually(lambda: os.path.exists(f"/proc/{pid}"), False)


def test_a_broken_executor_says_what_happened(ray):
    with bolide.Executor(2) as executor:
        future = executor.submit(calls.die)
        with pytest.raises(Exception, match="A worker process terminated abruptly") as caught:
            future.result()
        assert isinstance(caught.value.__cause__, ray.exceptions.WorkerCrashedError)
        with pytest.raises(type(caught.value), match="exit code 3"):
            executor.map(calls.square, [1])
    assert ray.get(ray.remote(calls.square).remote(3)) == 9


def test_exceptions_that_end_a_process_do_not(executor):
    with pytest.raises(SystemExit):
        executor.submit(sys.exit, 3).result()
    assert executor.submit(calls.square, 3).result() == 9


def test_an_exception_that_is_returned_is_no_failure(executor):
    assert type(executor.submit(ValueError, 1).result()) is ValueError


def test_a_task_may_have_an_executor():
    bolide.init(num_cpus=1)

    @bolide.remote
    def outer(n):
        with bolide.Executor() as executor:
            futures = [executor.submit(calls.square, i) for i in range(n)]
            return sum(future.result() for future in futures)

    assert bolide.get([outer.remote(20), outer.remote(3)]) == [sum(i * i for i in range(20)), 5]


def test_futures_end_when_bolide_stops(ray, gate):
    executor = bolide.Executor(1)
    futures = [executor.submit(calls.wait_at, gate) for _ in range(3)]
    ray.shutdown()
    for future in futures:
        assert "the runtime was shut down" in str(future.exception())
    executor.shutdown()
    assert not ray.is_initialized()


def test_in_local_mode(local):
    with bolide.Executor() as executor:
        assert list(executor.map(calls.square, range(10))) == [i * i for i in range(10)]
        assert executor.submit(calls.pid).result() == os.getpid()
        with pytest.raises(ValueError):
            executor.submit(calls.fail, 1).result()


def test_the_interpreter_waits_for_what_was_submitted(run_script):
    done = run_script(
        "import bolide, time\n"
        "def work(x):\n"
        "    time.sleep(0.01)\n"
        "    print('did', x, flush=True)\n"
        "executor = bolide.Executor(1)\n"
        "for i in range(5): executor.submit(work, i)\n"
        "print('end')\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line[-5:] for line in lines if "did" in line] == [f"did {i}" for i in range(5)]
