"""Pool behaves as multiprocessing's: one body of tests over its ThreadPool and bolide's Pool."""

from __future__ import annotations

import multiprocessing
from itertools import count
from multiprocessing.pool import ThreadPool
from threading import Event

import numpy
import pytest

import bolide
from bolide.util.multiprocessing import JoinableQueue, Pool, TimeoutError

from . import calls

KINDS = {"threads": ThreadPool, "bolide": Pool}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def make(kind, gate):
    """Makes pools, which are ended when the test is over and the gate is open."""
    made = []

    def make(*args, **kwargs):
        made.append(KINDS[kind](*args, **kwargs))
        return made[-1]

    yield make
    gate.open()
    while made:
        pool = made.pop()
        pool.terminate()
        pool.join()


@pytest.fixture
def pool(make):
    return make(2)


def test_apply(pool):
    assert pool.apply(calls.square, (7,)) == 49
    assert pool.apply(calls.keywords, (1,), {"b": 2}) == ((1,), {"b": 2})
    assert pool.apply_async(calls.keywords, kwds={"a": 1}).get() == ((), {"a": 1})
    with pytest.raises(ValueError):
        pool.apply(calls.fail, (1,))


@pytest.mark.parametrize("chunksize", [None, 1, 3, 1000])
@pytest.mark.parametrize("kind_of_items", [range, list, tuple, set, iter])
def test_map(pool, kind_of_items, chunksize):
    items = range(50) if kind_of_items is range else kind_of_items(range(50))
    assert pool.map(calls.square, items, chunksize) == [i * i for i in range(50)]


def test_map_of_nothing(pool):
    assert pool.map(calls.square, []) == []
    assert pool.map_async(calls.square, []).get(0) == []


def test_starmap(pool):
    assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
    assert pool.starmap_async(pow, [(2, 3), (3, 2)], 1).get() == [8, 9]


@pytest.mark.parametrize("chunksize", [1, 4])
def test_imap(pool, chunksize):
    results = pool.imap(calls.square, range(30), chunksize)
    assert iter(results) is results
    assert next(results) == 0
    assert list(results) == [i * i for i in range(1, 30)]
    assert sorted(pool.imap_unordered(calls.square, range(30), chunksize)) == [
        i * i for i in range(30)
    ]


def test_imap_goes_on_after_an_exception(pool):
    results = pool.imap(calls.fail_at_two, range(4))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError):
        next(results)
    assert list(results) == [3]


def test_imap_has_a_timeout(pool, gate):
    results = pool.imap(calls.wait_at, [gate])
    with pytest.raises(TimeoutError):
        results.next(timeout=0.01)
    gate.open()
    assert results.next(timeout=45) is None
    with pytest.raises(StopIteration):
        results.next()


def test_a_slow_call_holds_back_no_other_in_imap_unordered(pool, gate):
    results = pool.imap_unordered(calls.wait_if, [(gate, 0), *((None, i) for i in range(1, 20))])
    assert sorted(next(results) for _ in range(19)) == list(range(1, 20))
    gate.open()
    assert list(results) == [0]


def test_an_async_result(pool, gate):
    result = pool.apply_async(calls.wait_at, (gate, 5))
    assert not result.ready()
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    with pytest.raises(multiprocessing.TimeoutError):
        result.get(timeout=0.01)
    result.wait(0.01)
    gate.open()
    assert result.get() == 5
    assert result.ready() and result.successful()
    failed = pool.map_async(calls.fail_at_two, range(4), 1)
    failed.wait()
    assert failed.ready() and not failed.successful()
    with pytest.raises(ValueError):
        failed.get()


def test_callbacks(pool):
    heard, done = [], Event()

    def hear(value):
        heard.append(value)
        done.set()

    for result, wanted in [
        (lambda: pool.apply_async(calls.square, (3,), callback=hear), "[9]"),
        (lambda: pool.map_async(calls.square, range(3), callback=hear), "[[0, 1, 4]]"),
        (lambda: pool.starmap_async(pow, [(2, 2)], callback=hear), "[[4]]"),
        (lambda: pool.apply_async(calls.fail, (3,), error_callback=hear), "[ValueError(3)]"),
        (lambda: pool.map_async(calls.fail_at_two, range(4), error_callback=hear),
         "[ValueError(2)]"),
    ]:  # fmt: skip
        result()
        assert done.wait(45)
        assert (
            str([repr(x) if isinstance(x, Exception) else x for x in heard]).replace("'", "")
            == wanted
        )
        heard.clear()
        done.clear()


def test_the_initializer_runs_in_each_worker(make):
    pool = make(2, calls.set_state, ("ready",))
    assert set(pool.map(calls.get_state, range(20))) == {"ready"}


def test_close_and_join(pool, journal):
    result = pool.map_async(calls.note_in(journal), range(20), 1)
    with pytest.raises(ValueError, match="Pool is still running"):
        pool.join()
    pool.close()
    pool.join()
    assert result.ready() and len(journal.lines()) == 40
    with pytest.raises(ValueError, match="Pool not running"):
        pool.map(calls.square, [1])
    with pytest.raises(ValueError, match="Pool not running"):
        pool.__enter__()


def test_bad_arguments(make, pool):
    with pytest.raises(ValueError):
        make(0)
    with pytest.raises(TypeError, match="initializer must be a callable"):
        make(1, 5)
    with pytest.raises(ValueError, match=r"Chunksize must be 1\+, not 0"):
        pool.imap(calls.square, [1], 0)
    with pytest.raises(NotImplementedError, match="pool objects cannot be passed between proc"):
        pool.__reduce__()


def test_terminate_ends_calls_that_run(ray, channel):
    with Pool(2) as pool:
        results = [pool.apply_async(calls.say_and_sleep, (channel,)) for _ in range(5)]
        channel.hear(2)
    pool.join()
    for result in results:
        with pytest.raises(RuntimeError, match="the pool was terminated before this call"):
            result.get()


def test_terminate_ends_actors(ray, channel, eventually):
    with Pool(2, calls.set_state, (1,)) as pool:
        result = pool.apply_async(calls.say_and_sleep, (channel,))
        channel.hear()
    with pytest.raises(RuntimeError, match="the pool was terminated"):
        result.get()


def test_anything_can_be_mapped(ray):
    offset = [100]
    with Pool(2) as pool:
        for _ in range(2):
            assert pool.map(lambda x: x + offset[0], range(3)) == [offset[0] + i for i in range(3)]
            offset[0] += 1
        assert list(pool.imap(lambda x: -x, range(3))) == [0, -1, -2]
        assert pool.map(float, numpy.arange(10.0), 3) == list(range(10))
        rows = pool.map(sum, numpy.ones((6, 4)))
        assert rows == [4.0] * 6


def test_imap_of_endless_items(ray):
    with Pool(2) as pool:
        results = pool.imap(calls.square, count())
        assert [next(results) for _ in range(1000)] == [i * i for i in range(1000)]


def test_a_worker_ends_after_its_chunks(ray):
    with Pool(1, maxtasksperchild=2) as pool:
        pids = pool.map(calls.pid, range(6), 1)
    assert len(set(pids)) == 3 and pids[0] == pids[1] != pids[2]
    with pytest.raises(ValueError, match="maxtasksperchild must be a positive int or None"):
        Pool(1, maxtasksperchild=0)


def test_a_worker_that_dies_fails_its_call_alone(ray):
    with Pool(2) as pool:
        with pytest.raises(ray.exceptions.WorkerCrashedError):
            pool.apply(calls.die)
        assert pool.apply(calls.square, (3,)) == 9
    with Pool(2, calls.set_state, (1,)) as pool:
        with pytest.raises(ray.exceptions.ActorDiedError):
            pool.apply(calls.die)
        assert pool.apply(calls.get_state) == 1


def test_it_starts_the_runtime_with_as_many_cpus():
    with Pool(3) as pool:
        assert pool.apply(calls.square, (3,)) == 9
        assert bolide.cluster_resources()["CPU"] == 3
    with pytest.warns(UserWarning, match="Pool takes no notice of its argument context"):
        Pool(1, context=object()).terminate()


def test_options_of_actors(ray):
    ray.shutdown()
    ray.init(num_cpus=1, resources={"seat": 1})
    with Pool(1, ray_remote_args={"resources": {"seat": 1}}) as pool:
        assert pool.apply(calls.assigned)["seat"] == 1


def test_other_names_are_multiprocessings():
    assert TimeoutError is multiprocessing.TimeoutError
    assert JoinableQueue == multiprocessing.JoinableQueue
