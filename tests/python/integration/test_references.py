"""Automatic reference counting: what is held lives, what is not goes, at once."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import warnings

import pytest

import bolide
from bolide import _hot

LARGE = 300_000  # lies in the store


@pytest.fixture
def alive(ray, stats):
    """`alive()` is how many objects there are; the exported functions count too."""
    return lambda: stats()["objects"]


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_dropped_reference_frees_its_object(ray, alive, stats, eventually, size):
    refs = [ray.put(b"x" * size) for _ in range(20)]
    assert alive() == 20
    del refs[5:]
    eventually(alive, 5)
    del refs
    eventually(alive, 0)
    eventually(lambda: stats()["store"]["live"], 0)


def test_results_that_nobody_wants_are_freed(ray, alive, eventually):
    @ray.remote
    def make(i):
        return b"x" * (LARGE if i % 2 else 1)

    refs = [make.remote(i) for i in range(40)]
    keep = refs[-1]
    del refs
    ray.get(keep)
    del keep
    eventually(alive, 1)  # the function


def test_a_reference_dropped_before_its_task_ran(ray, alive, latch, eventually):
    @ray.remote
    def wait_then(x):
        latch.wait()
        return b"x" * LARGE

    for _ in range(5):
        wait_then.remote(1)
    latch.open()
    eventually(alive, 1)


def test_a_container_keeps_what_it_contains(ray, alive, eventually):
    inner = [ray.put(b"i" * LARGE), ray.put("small")]
    outer = ray.put({"deep": [(inner,)]})
    del inner
    gc.collect()
    assert alive() == 3
    (back,) = ray.get(outer)["deep"][0]
    assert ray.get(back) == [b"i" * LARGE, "small"]
    del outer
    eventually(alive, 2)
    assert ray.get(back[1]) == "small"
    del back
    eventually(alive, 0)


def test_containers_in_containers(ray, alive, eventually):
    ref = ray.put("core")
    for _ in range(200):
        ref = ray.put([ref])
    assert alive() == 201
    for _ in range(200):
        (ref,) = ray.get(ref)
    assert ray.get(ref) == "core"
    eventually(alive, 1)
    del ref
    eventually(alive, 0)


def test_a_long_chain_is_freed_without_recursion(ray, alive, eventually):
    ref = ray.put("core")
    for _ in range(50_000):
        ref = ray.put([ref])
    del ref
    eventually(alive, 0)


def test_arguments_are_held_until_the_task_ends(ray, alive, latch, channel, eventually):
    @ray.remote
    def use(top, nested):
        channel.say("runs")
        latch.wait()
        return len(top) + len(bolide.get(nested[0]))

    top, nested = ray.put(b"t" * LARGE), ray.put(b"n" * LARGE)
    ref = use.remote(top, [nested])
    del top, nested
    channel.hear()
    gc.collect()
    assert alive() == 4  # with the result and the function
    latch.open()
    assert ray.get(ref) == 2 * LARGE
    eventually(alive, 2)


def test_a_large_argument_goes_with_its_task(ray, alive, stats, eventually):
    @ray.remote
    def size(data):
        return len(data)

    assert ray.get(size.remote(b"a" * LARGE)) == LARGE
    eventually(alive, 1)
    eventually(lambda: stats()["store"]["live"], 0)


def test_what_a_task_put_lives_as_long_as_its_result(ray, alive, eventually):
    @ray.remote
    def make():
        return [bolide.put(b"m" * LARGE) for _ in range(3)]

    refs = ray.get(make.remote())
    eventually(alive, 4)
    assert ray.get(refs) == [b"m" * LARGE] * 3
    del refs
    eventually(alive, 1)


def test_what_a_task_put_and_did_not_return_is_freed(ray, alive, eventually):
    @ray.remote
    def waste():
        for _ in range(10):
            bolide.put(b"w" * LARGE)

    ray.get(waste.remote())
    eventually(alive, 1)


@pytest.mark.parametrize("size", [10, LARGE])
def test_what_a_worker_keeps_lives_as_long_as_the_worker(ray, alive, eventually, size):
    @ray.remote
    def keep(items):
        import builtins

        builtins.kept = items
        return os.getpid()

    ref = ray.put(b"k" * size)
    pid = ray.get(keep.remote([ref]))
    del ref
    gc.collect()
    assert alive() == 2
    os.kill(pid, signal.SIGKILL)
    eventually(alive, 1)


def test_subtasks_hold_their_arguments(ray, alive, eventually):
    @ray.remote
    def inner(data):
        return len(data)

    @ray.remote
    def outer():
        return [inner.remote(bolide.put(b"s" * LARGE)) for _ in range(4)]

    refs = ray.get(outer.remote())
    assert ray.get(refs) == [LARGE] * 4
    del refs
    eventually(alive, 2)


def test_references_captured_by_a_function_live_with_it(ray, alive, eventually):
    captured = ray.put("held")

    @ray.remote
    def use():
        return bolide.get(captured)  # noqa: F821  (deleted below, but not for the closure)

    ref = use.remote()
    del captured
    assert ray.get(ref) == "held"
    assert ray.get(use.remote()) == "held"
    assert alive() == 3  # the value, the function, the first result
    del use, ref
    eventually(alive, 0)


def test_a_function_lives_until_its_last_task_ends(ray, alive, latch, eventually):
    captured = ray.put("still here")

    @ray.remote
    def use():
        latch.wait()
        return bolide.get(captured)  # noqa: F821  (deleted below, but not for the closure)

    refs = [use.remote() for _ in range(4)]
    del use, captured
    gc.collect()
    latch.open()
    assert ray.get(refs) == ["still here"] * 4
    del refs
    eventually(alive, 0)


def test_a_recursive_function_is_freed(ray, alive, eventually):
    @ray.remote
    def count(n):
        return 0 if n == 0 else 1 + bolide.get(count.remote(n - 1))  # noqa: F821  (as above)

    assert ray.get(count.remote(3)) == 3
    del count
    eventually(alive, 0)


def test_an_exception_that_holds_references(ray, alive, eventually):
    class Carrier(Exception):
        pass

    @ray.remote
    def fail():
        raise Carrier([bolide.put("inside")])

    ref = fail.remote()
    with pytest.raises(Carrier) as caught:
        ray.get(ref)
    (inner,) = caught.value.args[0]
    del ref, caught
    assert ray.get(inner) == "inside"
    del inner
    eventually(alive, 1)


def test_a_cycle_of_python_objects_frees_its_references(ray, alive, eventually):
    class Holder:
        pass

    holder = Holder()
    holder.me, holder.ref = holder, ray.put("x")
    del holder
    eventually(alive, 0)  # collects


def test_a_failed_call_leaves_nothing(ray, alive, eventually):
    import threading

    @ray.remote
    def use(*args):
        return args

    before = ray.get(use.remote(1))
    with pytest.raises(TypeError):
        use.remote([ray.put(1)], b"x" * LARGE, threading.Lock())
    del before
    eventually(alive, 1)


def test_a_reference_pickled_outside_is_kept_and_warns_once(ray, alive, monkeypatch):
    refs = [ray.put(1), ray.put(2)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = [pickle.dumps(ref) for ref in refs]
    texts = [str(w.message) for w in caught if w.category is RuntimeWarning]
    assert len(texts) <= 1  # once a process, and an earlier test may have had it
    assert all("pickled outside bolide" in text for text in texts)
    del refs
    gc.collect()
    assert alive() == 2
    assert ray.get([pickle.loads(d) for d in data]) == [1, 2]
    _hot.drop_pinned()


def test_a_reference_of_another_session_says_so(ray):
    ref = ray.put(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pickle.dumps(ref)
    ray.shutdown()
    ray.init(num_cpus=1)
    with pytest.raises(ValueError, match="another bolide session"):
        pickle.loads(data)

    @ray.remote
    def same(x):
        return x

    with pytest.raises(ValueError, match="session that was shut down"):
        same.remote(ref)
    with pytest.raises(ValueError, match="session that was shut down"):
        same.remote([ref])
