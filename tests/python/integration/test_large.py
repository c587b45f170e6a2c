"""Many and much: thousands of references, tens of megabytes, and arguments beyond 2 and 4 GiB."""

from __future__ import annotations

import os
import select

import numpy
import psutil
import pytest

import bolide
from bolide import _runtime

GIB = 1 << 30


@pytest.fixture
def same(ray):
    @ray.remote
    def same(x):
        return x

    return same


def test_ten_thousand_references_as_arguments(ray):
    @ray.remote
    def total(*numbers):
        return sum(numbers)

    refs = [ray.put(i) for i in range(10_000)]
    assert ray.get(total.remote(*refs)) == sum(range(10_000))


def test_ten_thousand_results_as_arguments(ray, same):
    @ray.remote
    def total(*numbers):
        return sum(numbers)

    assert ray.get(total.remote(*[same.remote(i) for i in range(10_000)])) == sum(range(10_000))


def test_ten_thousand_nested_references(ray):
    @ray.remote
    def total(refs):
        return sum(bolide.get(refs))

    assert ray.get(total.remote([ray.put(i) for i in range(10_000)])) == sum(range(10_000))


def test_one_reference_a_thousand_times(ray):
    @ray.remote
    def count(*items):
        return len(items), len(items[0])

    ref = ray.put(b"x" * 100_000)
    assert ray.get(count.remote(*[ref] * 1000)) == (1000, 100_000)


def test_three_thousand_returns(ray):
    @ray.remote(num_returns=3000)
    def many():
        return range(3000)

    assert ray.get(many.remote()) == list(range(3000))


def test_three_hundred_large_returns(ray):
    @ray.remote(num_returns=300)
    def many():
        return [bytes([i % 256]) * 20_000 for i in range(300)]

    assert ray.get(many.remote()) == [bytes([i % 256]) * 20_000 for i in range(300)]


def test_get_of_ten_thousand_references(ray, same):
    assert ray.get([same.remote(i) for i in range(10_000)]) == list(range(10_000))


def test_a_wait_loop_over_ten_thousand(ray, same):
    pending, count = [same.remote(i) for i in range(10_000)], 0
    while pending:
        ready, pending = ray.wait(pending)
        count += len(ready)
    assert count == 10_000


def test_a_large_closure(ray):
    data = b"c" * 50_000_000

    @ray.remote
    def size():
        return len(data)

    assert ray.get([size.remote() for _ in range(4)]) == [50_000_000] * 4


def test_large_keyword_arguments(ray):
    @ray.remote
    def sizes(**named):
        return {name: len(value) for name, value in named.items()}

    named = {f"k{i}": b"v" * (i * 10_000) for i in range(60)}
    assert ray.get(sizes.remote(**named)) == {name: len(value) for name, value in named.items()}


def test_many_small_keyword_arguments(ray):
    @ray.remote
    def total(**named):
        return sum(named.values())

    assert ray.get(total.remote(**{f"k{i}": i for i in range(2000)})) == sum(range(2000))


def test_arguments_just_below_the_limit_add_up(ray):
    @ray.remote
    def total(*parts):
        return sum(map(len, parts))

    assert ray.get(total.remote(*[b"p" * 8000 for _ in range(500)])) == 4_000_000


def test_a_long_name(ray, same):
    assert ray.get(same.options(name="n" * 1024).remote(1)) == 1


def test_deeply_nested_values(ray, same):
    value = []
    for _ in range(200):
        value = [value, ()]
    assert ray.get(same.remote(value)) == value


def test_fifty_thousand_tasks(ray, same):
    refs = [same.remote(i) for i in range(50_000)]
    assert ray.get(refs) == list(range(50_000))


def test_a_hundred_megabytes_back_and_forth(ray, same):
    block = b"0123456789" * 10_000_000
    assert ray.get(same.remote(block)) == block


@pytest.fixture
def large():
    """`large(size)`: a runtime whose store has room for that; afterwards its workers are gone.

    The kernel takes its time for so many pages, more than the leak gate has patience.
    """

    def start(size):
        if psutil.virtual_memory().available < size + GIB:
            pytest.skip(f"needs {size / GIB:.0f} GiB of free memory")
        bolide.init(num_cpus=1, object_store_memory=size)
        return bolide

    bolide.shutdown()
    yield start
    watched = [os.pidfd_open(pid) for pid in _runtime._node.worker_pids()]
    bolide.shutdown()
    for fd in watched:
        select.select([fd], [], [], 60)
        os.close(fd)


@pytest.mark.parametrize("size", [2**31 + 1, 2**32 + 1])
def test_lengths_beyond_31_and_32_bits(large, size):
    """In place, so that nearly all of the pages are never touched."""
    ray = large(size + GIB)

    @ray.remote
    def ends(array):
        return len(array), array[[0, 2**31 - 1, size - 1]].tolist()

    draft = ray.zeros(size, numpy.uint8)
    draft[[0, 2**31 - 1, size - 1]] = 3, 5, 7
    ref = ray.put(draft)
    assert ray.get(ends.remote(ref)) == (size, [3, 5, 7])
    assert ray.get(ends.remote(draft)) == (size, [3, 5, 7])
    back = ray.get(ref)
    assert back.nbytes == size and back[size - 1] == 7


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_two_gigabytes_of_bytes(large):
    ray = large(6 * GIB)
    block = bytes(2**31 + 1)

    @ray.remote
    def measure(data):
        return len(data), data[-1]

    assert ray.get(measure.remote(block)) == (2**31 + 1, 0)
    assert len(ray.get(ray.put(block))) == 2**31 + 1


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_four_gigabytes_of_an_array_there_and_back(large):
    ray = large(9 * GIB)

    @ray.remote
    def one_more(array):
        return len(array), int(array[-1]), numpy.append(array, numpy.uint8(9))

    array = numpy.zeros(2**32 + 1, numpy.uint8)
    array[-1] = 7
    length, last, longer = ray.get(one_more.remote(array))
    assert (length, last) == (2**32 + 1, 7)
    assert len(longer) == 2**32 + 2 and longer[-2:].tolist() == [7, 9]
