"""put and what an ObjectRef is: identity, text, equality, travel."""

from __future__ import annotations

import copy

import pytest

import bolide
from bolide import _hot


def test_put_and_get(ray):
    refs = [ray.put(i) for i in range(100)]
    assert len(set(refs)) == 100
    assert ray.get(refs) == list(range(100))
    assert [ray.get(ref) for ref in refs] == list(range(100))
    assert ray.get([]) == []


def test_a_reference_is_hashable_comparable_and_shown(ray):
    one, other = ray.put(1), ray.put(1)
    assert one == one
    assert one != other
    assert one != 1
    assert {one: "a", other: "b"}[one] == "a"
    assert hash(one) == hash(one)
    assert repr(one) == f"ObjectRef({one.hex()})"
    assert len(one.hex()) == 56
    assert one.binary().hex() == one.hex()
    assert isinstance(one, bolide.ObjectRef)


def test_a_reference_that_comes_back_is_the_same(ray):
    @ray.remote
    def same(refs):
        return refs[0]

    ref = ray.put("x")
    back = ray.get(same.remote([ref]))
    assert back is ref
    assert ray.get(back) == "x"


def test_a_reference_made_in_a_task(ray):
    @ray.remote
    def make(size):
        return [bolide.put("y" * size)]

    for size in (10, 200_000):
        (inner,) = ray.get(make.remote(size))
        assert ray.get(inner) == "y" * size


def test_a_task_that_returns_a_reference_returns_a_reference(ray):
    @ray.remote
    def make():
        return bolide.put(5)

    inner = ray.get(make.remote())
    assert isinstance(inner, bolide.ObjectRef)
    assert ray.get(inner) == 5


def test_references_pass_through_three_tasks(ray):
    @ray.remote
    def wrap(items):
        return [items]

    @ray.remote
    def unwrap(items):
        ((ref,),) = items
        return bolide.get(ref)

    ref = ray.put("z" * 50_000)
    assert ray.get(unwrap.remote(wrap.remote([ref]))) == "z" * 50_000


def test_get_many_of_the_same(ray):
    ref = ray.put([1])
    first, second = ray.get([ref, ref])
    assert first == second == [1]
    assert first is not second


def test_objects_of_every_size(ray):
    @ray.remote
    def same(data):
        return data

    @ray.remote
    def sizes(*data):
        return [len(d) for d in data]

    lengths = [0, 1, 4095, 4096, 8180, 8191, 8192, 8193, 65_535, 65_536, 1 << 18, (1 << 20) - 1,
               1 << 20, (1 << 20) + 1, 5_000_000]  # fmt: skip
    blocks = [bytes([n % 251]) * n for n in lengths]
    assert ray.get(sizes.remote(*blocks)) == lengths
    for block in blocks:
        assert ray.get(same.remote(block)) == block
        assert ray.get(ray.put(block)) == block


def test_put_of_a_reference_is_refused(ray):
    ref = ray.put(1)
    with pytest.raises(TypeError, match="Calling 'put' on an .*ObjectRef is not allowed"):
        ray.put(ref)
    assert ray.get(ray.get(ray.put([ref]))[0]) == 1


def test_a_reference_cannot_be_made_or_copied_by_hand(ray):
    with pytest.raises(TypeError, match="cannot be made by hand"):
        bolide.ObjectRef()
    ref = ray.put(1)
    with pytest.warns(RuntimeWarning, match="pickled outside bolide"):
        assert copy.copy(ref) is ref
    _hot.drop_pinned()


def test_put_in_a_task_outlives_its_worker(ray, channel, eventually, stats):
    import os
    import signal

    @ray.remote
    def make():
        return os.getpid(), [bolide.put(b"q" * 300_000), bolide.put("small")]

    pid, refs = ray.get(make.remote())
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: pid in bolide._runtime._node.worker_pids(), False)
    assert ray.get(refs) == [b"q" * 300_000, "small"]
