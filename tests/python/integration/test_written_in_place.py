"""bolide.empty, zeros and array: written in the store, then put, returned or passed as they are.

That nothing is copied is told by addresses and by how much the store and Python hold; the clock is
that of `benchmarks/micro/test_store.py`.
"""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

import bolide

from .store_memory import in_store, peak_of, rights_at

N = 200_000  # elements
SMALL = 1000  # elements of an array that is not worth a mapping of its own


def written(elements=N):
    draft = bolide.empty(elements, dtype=np.int64)
    draft[:] = range(elements)
    return draft


def is_written(array, elements=N):
    return np.array_equal(array, np.arange(elements))


def test_put_copies_nothing_and_leaves_the_array_readable(ray, stats):
    draft = written()
    assert rights_at(draft.ctypes.data) == "rw-s"
    ref, peak = peak_of(lambda: ray.put(draft))
    assert peak < draft.nbytes / 4
    assert draft.nbytes <= stats()["store"]["live"] < 1.1 * draft.nbytes
    assert in_store(draft.ctypes.data) and is_written(draft)
    back = ray.get(ref)
    assert in_store(back.ctypes.data) and is_written(back)
    assert (back.dtype, back.shape) == (draft.dtype, draft.shape)


def test_put_again_it_is_another_object_on_the_same_memory(ray, stats):
    draft = written()
    refs = [ray.put(draft) for _ in range(3)]
    assert all(is_written(ray.get(ref)) for ref in refs)
    assert stats()["store"]["live"] < 1.1 * draft.nbytes


def test_what_a_task_returns_is_what_it_wrote(ray, stats):
    @ray.remote
    def make(alone):
        draft = bolide.zeros(N, dtype=np.int64)
        draft += range(N)
        return draft if alone else {"the array": draft}

    for alone in (True, False):
        result = ray.get(make.remote(alone))
        back = result if alone else result["the array"]
        assert is_written(back) and in_store(back.ctypes.data)
        assert stats()["store"]["live"] < 1.1 * back.nbytes  # in a dict it is not copied either
        del result, back


def test_an_argument_is_passed_as_it_is(ray, stats):
    @ray.remote
    def checks(array, boxed):
        return is_written(array) and is_written(boxed[0]) and in_store(array.ctypes.data)

    draft = written()
    assert ray.get(checks.remote(draft, [draft]))
    assert stats()["store"]["live"] < 1.1 * draft.nbytes
    assert not draft.flags.writeable


@pytest.mark.parametrize("wrap", [lambda x: x.reshape(400, -1), lambda x: x[:]], ids=["2D", "[:]"])
def test_a_view_of_all_of_it_is_as_good_as_itself(ray, wrap):
    draft = written()
    ref, peak = peak_of(lambda: ray.put(wrap(draft)))
    assert peak < draft.nbytes / 4
    back = ray.get(ref)
    assert back.shape == wrap(draft).shape and is_written(back.ravel())
    assert not draft.flags.writeable


def test_a_part_is_copied_while_the_rest_is_written(ray):
    draft = written()
    ref = ray.put(draft[: N // 2])
    draft[:] = 7
    assert is_written(ray.get(ref), N // 2) and (draft == 7).all()


def test_afterwards_it_is_read_only(ray):
    draft = written()
    view = draft[10:]
    ref = ray.put(draft)
    for array in (draft, draft[3:]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True"):
            array.flags.writeable = True
    assert memoryview(draft.base).readonly
    assert is_written(ray.get(ref)) and view[0] == 10


def test_a_write_through_an_older_view_ends_that_process_and_changes_nothing(run_script):
    done = run_script(
        """
import os, signal, sys
import numpy as np
import bolide

bolide.init(num_cpus=1)

@bolide.remote(max_retries=0)
def writes_late():
    draft = bolide.zeros(200_000)
    view = draft[5:]  # has the flag still when the array's is gone
    box = [bolide.put(draft)]
    assert bolide.get(keeper.keep.remote(box))
    view[0] = 1

@bolide.remote
class Keeper:
    def keep(self, box):
        self.ref = box[0]
        return True
    def is_zero(self):
        return bool((bolide.get(self.ref) == 0).all())

keeper = Keeper.remote()
try:
    bolide.get(writes_late.remote())
except bolide.exceptions.WorkerCrashedError as error:
    print("SIGSEGV" in str(error), bolide.get(keeper.is_zero.remote()))
"""
    )
    assert (done.stdout, done.returncode) == ("True True\n", 0), done.stderr


def test_zeros_are_zeros_also_where_others_were(ray, eventually, stats):
    for round in range(3):
        ref = ray.put(np.full(N, 9))
        assert ray.get(ref)[0] == 9
        del ref
        eventually(lambda: stats()["store"]["live"], 0)
        draft = ray.zeros(N, dtype=np.int64)
        assert not draft.any(), round
        draft[:] = 5
        del draft


def test_array_copies_what_it_is_given(ray):
    source = np.arange(N)[::-1].astype("f4")
    made = ray.array(source)
    source[:] = 0
    assert in_store_or_written(made) and made[0] == N - 1 and made.flags.c_contiguous
    assert ray.array([[1, 2], [3, 4]], dtype="i2").tolist() == [[1, 2], [3, 4]]
    assert ray.array([True, False]).dtype == bool


def in_store_or_written(array):
    return rights_at(array.ctypes.data) in ("rw-s", "r--s")


@pytest.mark.parametrize(
    "dtype", ["?", "i1", ">u4", "f2", "c16", "M8[ns]", "m8[s]", "S7", "U3", "V9",
              [("a", "i4"), ("b", "f8", (2,))]], ids=str,
)  # fmt: skip
@pytest.mark.parametrize("shape", [(N,), (250, 800), (0,), (3, 0, 2), ()], ids=str)
def test_dtypes_and_shapes_are_those_of_numpy(ray, dtype, shape):
    expected = np.zeros(shape, dtype)
    for draft in (ray.zeros(shape, dtype), ray.array(expected)):
        assert (draft.dtype, draft.shape) == (expected.dtype, expected.shape)
        assert draft.flags.c_contiguous and draft.flags.writeable
        back = ray.get(ray.put(draft))
        assert (back.dtype, back.shape) == (expected.dtype, expected.shape)
        assert back.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["empty", "zeros"])
def test_shapes_that_numpy_refuses(ray, name):
    make = getattr(ray, name)
    with pytest.raises(ValueError, match="non-negative"):
        make(-1)
    with pytest.raises(ValueError, match="non-negative"):
        make((3, -1))
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        make(1.5)
    with pytest.raises(ValueError, match="too big|too large"):
        make((1 << 40, 1 << 40))
    assert ray.get(ray.put(1)) == 1


def test_small_arrays_are_ordinary_ones(ray):
    draft = ray.empty(SMALL)
    assert rights_at(draft.ctypes.data) is None
    ray.put(draft)
    assert draft.flags.writeable


def test_what_is_never_put_gives_its_memory_back(ray, stats, eventually):
    chunks = stats()["store"]["chunks"]
    for _ in range(20):
        draft = written()
        del draft
    assert stats()["store"]["chunks"] <= chunks + 1  # one was used again and again
    assert stats()["store"]["live"] == 0


def test_beyond_128_of_them_they_are_ordinary_arrays(ray):
    """Each has a descriptor in the node's process, and there are few of those."""
    drafts = [ray.empty(SMALL * 9) for _ in range(140)]
    in_place = [rights_at(draft.ctypes.data) is not None for draft in drafts]
    assert in_place == [True] * 128 + [False] * 12
    refs = []
    for number, draft in enumerate(drafts):
        draft[:] = number
        refs.append(ray.put(draft))
    assert all((ray.get(ref) == number).all() for number, ref in enumerate(refs))


def test_a_forked_child_has_its_own_copy_of_what_is_being_written(ray):
    draft = written()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def child():
        before = is_written(draft)
        draft[:] = 9
        there.send((before, bool((draft == 9).all())))

    process = context.Process(target=child)
    process.start()
    assert here.recv() == (True, True)
    process.join()
    assert process.exitcode == 0
    assert is_written(draft)
    assert is_written(ray.get(ray.put(draft)))


def test_it_outlives_the_runtime(ray):
    written_only, put = written(), written()
    ref = ray.put(put)
    bolide.shutdown()
    assert is_written(written_only) and is_written(put)
    written_only[:] = 1
    assert (written_only == 1).all()
    bolide.init(num_cpus=1)
    assert (bolide.get(bolide.put(written_only)) == 1).all()  # copied: it lies in no store that is
    assert is_written(bolide.get(bolide.put(put)))
    del ref


def test_without_numpy_there_is_nothing_to_make(run_script):
    done = run_script(
        """
import sys
sys.modules["numpy"] = None
import bolide
try:
    bolide.empty(3)
except ImportError as error:
    print(type(error).__name__)
"""
    )
    assert done.stdout == "ModuleNotFoundError\n", done.stderr
