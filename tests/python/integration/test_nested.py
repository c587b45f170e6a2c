"""Tasks that submit tasks, wait in tasks, and call themselves: to any depth, without deadlock."""

from __future__ import annotations

import os
import sys
import time

import pytest

import bolide


@bolide.remote
def factorial(n):
    return 1 if n <= 1 else n * bolide.get(factorial.remote(n - 1))


@bolide.remote
def is_even(n):
    return True if n == 0 else bolide.get(is_odd.remote(n - 1))


@bolide.remote
def is_odd(n):
    return False if n == 0 else bolide.get(is_even.remote(n - 1))


def test_depth_twenty_on_one_cpu():
    bolide.init(num_cpus=1)

    @bolide.remote
    def down(n):
        return n if n == 0 else 1 + bolide.get(down.remote(n - 1))

    assert bolide.get(down.remote(20)) == 20


def test_a_module_function_that_calls_itself(ray):
    assert ray.get(factorial.remote(12)) == 479_001_600


def test_mutual_recursion_of_module_functions(ray):
    assert ray.get([is_even.remote(10), is_odd.remote(9), is_even.remote(7)]) == [True, True, False]


def test_mutual_recursion_of_local_functions(ray):
    @ray.remote
    def even(n):
        return True if n == 0 else bolide.get(odd.remote(n - 1))

    @ray.remote
    def odd(n):
        return False if n == 0 else bolide.get(even.remote(n - 1))

    assert ray.get([even.remote(8), odd.remote(8)]) == [True, False]


def test_nested_tasks_start_while_the_driver_does_something_else(ray, channel, stats):
    """More workers are idle than CPUs, so the node's next look is a second away."""

    @ray.remote
    def down(n):
        return n if n == 0 else ray.get(down.remote(n - 1))

    @ray.remote
    def inner():
        channel.say("in")

    @ray.remote
    def outer():
        ray.get(inner.remote())

    ray.get(down.remote(6))
    assert stats()["workers"] > 2
    for _ in range(5):
        ray.get(down.remote(0))
        began = time.monotonic()
        ref = outer.remote()
        channel.hear()  # not in the node
        assert time.monotonic() - began < 0.5
        ray.get(ref)


def test_fib_needs_few_processes(ray, stats, journal):
    @ray.remote
    def fib(n):
        if n == 0:
            journal.note(os.getpid())
        if n < 2:
            return n
        return sum(bolide.get([fib.remote(n - 1), fib.remote(n - 2)]))

    assert ray.get(fib.remote(14)) == 377
    assert len(set(journal.lines())) <= 32
    assert stats()["workers"] <= 32


def test_tasks_that_submit_and_return_references(ray):
    @ray.remote
    def leaf(i):
        return i * i

    @ray.remote
    def branch(i):
        return [leaf.remote(10 * i + j) for j in range(10)]

    inner = [ref for refs in ray.get([branch.remote(i) for i in range(10)]) for ref in refs]
    assert ray.get(inner) == [i * i for i in range(100)]


def test_wait_in_a_task(ray):
    @ray.remote
    def leaf(i):
        return i

    @ray.remote
    def collect(n):
        pending, seen = [leaf.remote(i) for i in range(n)], []
        while pending:
            ready, pending = bolide.wait(pending)
            seen += bolide.get(ready)
        return sorted(seen)

    assert ray.get(collect.remote(200)) == list(range(200))


def test_wait_with_a_timeout_in_a_task(ray, latch):
    @ray.remote
    def long():
        latch.wait()

    @ray.remote
    def look(refs):
        return [len(part) for part in bolide.wait(refs, timeout=0)]

    ref = long.remote()
    assert ray.get(look.remote([ref])) == [0, 1]
    latch.open()
    ray.get(ref)


def test_get_with_a_timeout_in_a_task(ray, latch):
    @ray.remote
    def long():
        latch.wait()
        return 5

    @ray.remote
    def look(refs):
        try:
            bolide.get(refs[0], timeout=0.05)
        except bolide.exceptions.GetTimeoutError:
            latch_is_closed = True
        return latch_is_closed

    ref = long.remote()
    assert ray.get(look.remote([ref])) is True
    latch.open()
    assert ray.get(ref) == 5


def test_an_error_goes_up_through_tasks(ray):
    class Special(Exception):
        pass

    @ray.remote
    def leaf():
        raise Special("deep down")

    @ray.remote
    def middle():
        return bolide.get(leaf.remote())

    @ray.remote
    def catches():
        try:
            bolide.get(leaf.remote())
        except Special as error:
            return f"caught {error.args[0]}"

    with pytest.raises(Special, match="deep down"):
        ray.get(middle.remote())
    assert ray.get(catches.remote()) == "caught deep down"


def test_many_blocked_tasks_wait_for_one(ray, latch):
    @ray.remote
    def source():
        latch.wait()
        return 7

    @ray.remote
    def reader(refs):
        return bolide.get(refs[0])

    ref = source.remote()
    readers = [reader.remote([ref]) for _ in range(10)]
    latch.open()
    assert ray.get(readers) == [7] * 10


def test_a_task_waits_for_a_later_one(ray, channel):
    @ray.remote
    def waits(refs):
        return bolide.get(refs[0])

    @ray.remote
    def quick():
        return 3

    first = [waits.remote([quick.remote()]) for _ in range(50)]
    assert ray.get(first) == [3] * 50


def test_threads_of_a_task_submit_and_wait(ray):
    @ray.remote
    def leaf(i):
        return i + 1

    @ray.remote
    def many():
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda i: bolide.get(leaf.remote(i)), range(64)))

    assert ray.get(many.remote()) == list(range(1, 65))


def test_large_values_between_nested_tasks(ray):
    @ray.remote
    def double(data):
        return data + data

    @ray.remote
    def chain(data):
        return bolide.get(double.remote(bolide.get(double.remote(data))))

    assert len(ray.get(chain.remote(b"x" * 200_000))) == 800_000


def test_init_in_a_task_is_refused(ray):
    @ray.remote
    def attempt():
        running = bolide.is_initialized()
        try:
            bolide.init()
        except RuntimeError as error:
            return running, str(error)

    running, text = ray.get(attempt.remote())
    assert running is True
    assert "runs already" in text or "twice" in text


def test_deep_python_recursion_in_a_task(ray):
    @ray.remote
    def deep():
        def down(n):
            return 0 if n == 0 else 1 + down(n - 1)

        try:
            down(10**6)
        except RecursionError:
            return sys.getrecursionlimit()

    assert ray.get(deep.remote()) > 0
