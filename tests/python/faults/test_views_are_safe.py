"""A write through a view, past Python's checks: the process dies, or nothing has changed, wherever
it is tried; everybody else sees the object as it was. ("In the producer" too: a view there is of a
second mapping, which is read-only as well.)
"""

from __future__ import annotations

import ctypes
import os
import signal

import numpy
import pytest

import bolide
from bolide import exceptions

TIMES = [5, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
ITEMS = 1 << 18  # of 8 bytes: in a chunk of its own; a tenth of it shares one with others
SIZES = (ITEMS, ITEMS // 10)


def overwrite(array):
    """Writes the first and the last byte, after it asked the system for leave to write there."""
    first = array.ctypes.data
    page = os.sysconf("SC_PAGE_SIZE")
    begin = first // page * page
    end = first + array.nbytes
    libc = ctypes.CDLL(None)
    libc.mprotect(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), 3)  # READ | WRITE
    ctypes.memset(first, 0xFF, 1)
    ctypes.memset(end - 1, 0xFF, 1)


def is_as_made(array, seed, items):
    return len(array) == items and bool((array == seed).all())


@bolide.remote(max_retries=0)
def writes_as_consumer(array):
    overwrite(array)


@bolide.remote(max_retries=0)
def writes_as_producer(box, seed, items):
    """The object is made here, and its reference outlives this process."""
    ref = bolide.put(numpy.full(items, seed))
    bolide.get(box[0].keep.remote([ref]))
    overwrite(bolide.get(ref))


@bolide.remote(num_cpus=0)
class Keeper:
    def keep(self, box):
        self.ref = box[0]

    def give(self):
        return [self.ref]


@bolide.remote
def sees(array, seed, items):
    return is_as_made(array, seed, items)


def dies_of_it(ref):
    """Whether the task was killed by its write; else it returned, and nothing may have changed."""
    try:
        bolide.get(ref)
    except exceptions.WorkerCrashedError as error:
        assert "SIGSEGV" in str(error)
        return True
    return False


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("items", SIZES)
def test_in_a_consumer(two, items, times):
    died = 0
    for seed in range(times):
        ref = two.put(numpy.full(items, seed))
        died += dies_of_it(writes_as_consumer.remote(ref))
        assert is_as_made(two.get(ref), seed, items)
        assert two.get(sees.remote(ref, seed, items))
    assert died == times


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("items", SIZES)
def test_in_the_producer(two, items, times):
    keeper = Keeper.remote()
    died = 0
    for seed in range(times):
        died += dies_of_it(writes_as_producer.remote([keeper], seed, items))
        ref = two.get(keeper.give.remote())[0]
        assert is_as_made(two.get(ref), seed, items)
        assert two.get(sees.remote(ref, seed, items))
    assert died == times


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("items", SIZES)
def test_in_a_forked_child_of_the_driver(two, items, times):
    """The driver is the producer, and its child has its mappings."""
    died = 0
    for seed in range(times):
        ref = two.put(numpy.full(items, seed))
        view = two.get(ref)
        child = os.fork()
        if child == 0:
            try:
                signal.signal(signal.SIGSEGV, signal.SIG_DFL)
                overwrite(view)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        died += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV
        assert is_as_made(view, seed, items)
        assert two.get(sees.remote(ref, seed, items))
    assert died == times


@pytest.mark.parametrize("items", SIZES)
def test_in_the_driver_itself(program, items):
    driver = program(f"""
import ctypes, numpy, sys
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
import bolide
from test_views_are_safe import overwrite
bolide.init(num_cpus=1)
ref = bolide.put(numpy.full({items}, 7))
view = bolide.get(ref)
print("WRITES", flush=True)
overwrite(view)
print("WROTE", flush=True)
""")
    driver.expect("WRITES")
    code, out, _ = driver.finish()
    assert code == -signal.SIGSEGV and "WROTE" not in out
    driver.family_gone()
