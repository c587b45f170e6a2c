"""max_calls: a worker ends after so many calls, and nothing is lost by that."""

from __future__ import annotations

import os
from collections import Counter

import pytest

import bolide


def test_a_worker_runs_at_most_so_many_calls(ray):
    @ray.remote(max_calls=3)
    def where():
        return os.getpid()

    pids = Counter(ray.get([where.remote() for _ in range(30)]))
    assert sum(pids.values()) == 30
    assert max(pids.values()) <= 3


def test_one_call_a_worker(ray):
    @ray.remote(max_calls=1)
    def where(i):
        return os.getpid(), i

    results = ray.get([where.remote(i) for i in range(12)])
    assert len({pid for pid, _ in results}) == 12
    assert [i for _, i in results] == list(range(12))


def test_failed_calls_count(ray):
    @ray.remote(max_calls=1)
    def fail():
        raise ValueError(os.getpid())

    pids = set()
    for _ in range(4):
        with pytest.raises(ValueError) as caught:
            ray.get(fail.remote())
        pids.add(caught.value.args[0])
    assert len(pids) == 4


def test_retried_calls_count(ray, journal):
    @ray.remote(max_calls=1, retry_exceptions=True)
    def flaky():
        journal.note(os.getpid())
        if len(journal.lines()) < 3:
            raise ValueError
        return "done"

    assert ray.get(flaky.remote()) == "done"
    assert len(set(journal.lines())) == 3


def test_no_retry_is_burnt_by_a_worker_that_leaves(ray, stats):
    @ray.remote(max_calls=2, max_retries=0)
    def same(i):
        return i

    assert ray.get([same.remote(i) for i in range(200)]) == list(range(200))
    assert stats()["retries"] == 0


def test_other_functions_share_the_workers(ray):
    @ray.remote(max_calls=5, max_retries=0)
    def limited(i):
        return i

    @ray.remote(max_retries=0)
    def free(i):
        return -i

    refs = [f.remote(i) for i in range(300) for f in (limited, free)]
    assert ray.get(refs) == [x for i in range(300) for x in (i, -i)]


def test_a_task_below_is_not_ended_by_one_that_ran_on_top(ray):
    @ray.remote(max_calls=1)
    def leaf(i):
        return i

    @ray.remote
    def tree(depth):
        if depth == 0:
            return ray.get(leaf.remote(1))
        return sum(ray.get([tree.remote(depth - 1) for _ in range(2)]))

    assert ray.get(tree.remote(5)) == 32


def test_objects_of_a_worker_that_left_stay(ray):
    @ray.remote(max_calls=1)
    def make(i):
        return bytes([i]) * 300_000, ray.put(bytes([i + 1]) * 300_000)

    for i, (value, ref) in enumerate(ray.get([make.remote(i) for i in range(5)])):
        assert value == bytes([i]) * 300_000
        assert ray.get(ref) == bytes([i + 1]) * 300_000


def test_tasks_with_a_gpu_get_a_fresh_worker_each():
    bolide.init(num_cpus=2, num_gpus=1)

    @bolide.remote(num_gpus=1)
    def where():
        return os.getpid()

    @bolide.remote(num_gpus=1, max_calls=0)
    def reused():
        return os.getpid()

    assert len(set(bolide.get([where.remote() for _ in range(3)]))) == 3
    assert len(set(bolide.get([reused.remote() for _ in range(3)]))) == 1


def test_output_of_the_last_call_is_printed(ray, capsys):
    @ray.remote(max_calls=1)
    def speak(i):
        print("word", i)

    ray.get([speak.remote(i) for i in range(3)])
    out = capsys.readouterr().out
    assert all(f"word {i}" in out for i in range(3))
