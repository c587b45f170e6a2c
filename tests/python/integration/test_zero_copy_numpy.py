"""NumPy arrays of every layout and dtype: one copy in, none out, wherever in a value they are."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from .store_memory import in_store, peak_of

N = 100_000


def records():
    table = np.zeros(N, dtype=[("a", "i4"), ("b", "f8", (2,)), ("c", "S5")])
    table["a"] = range(N)
    return table


def arrays():
    whole = np.arange(4.0 * N).reshape(200, -1)
    cube = np.arange(8 * N).reshape(20, 40, -1)
    return {
        "C": whole,
        "Fortran": np.asfortranarray(whole),
        "rows": whole[::2],
        "columns": whole[:, 3::5],
        "backwards": whole[::-1, ::-1],
        "axes": cube.transpose(2, 0, 1),
        "broadcast": np.broadcast_to(np.arange(float(N)), (4, N)),
        "datetime": np.arange(N).astype("M8[ns]"),
        "datetime columns": np.arange(4 * N).reshape(4, N).astype("M8[s]")[:, ::2],
        "timedelta Fortran": np.asfortranarray(np.arange(4 * N).reshape(4, N).astype("m8[us]")),
        "records": records(),
        "records strided": records()[::3],
        "record array": records().view(np.recarray),
        "big-endian": np.arange(N, dtype=">i8"),
        "complex": np.arange(N) * 1j,
        "text": np.array(["ä", "bcd"] * N),
        "void": np.zeros(N, dtype="V10"),
        "matrix": np.asmatrix(whole),
        "bool": np.arange(8 * N) % 3 == 0,
    }


@dataclasses.dataclass
class Box:
    """A class of this module, as a program has them."""

    data: object


pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")


def assert_same(name, back, array):
    assert type(back) is type(array), name
    assert back.dtype == array.dtype, name
    assert back.shape == array.shape, name
    np.testing.assert_array_equal(np.asarray(back), np.asarray(array), name)
    assert not back.flags.writeable, name
    assert in_store(back.ctypes.data), name


def test_put_copies_once_and_get_not_at_all(ray):
    for name, array in arrays().items():
        ref, peak = peak_of(lambda array=array: ray.put(array))
        assert peak < array.nbytes / 4, name
        back, peak = peak_of(lambda ref=ref: ray.get(ref))
        assert peak < array.nbytes / 4, name
        assert_same(name, back, array)


@pytest.mark.parametrize(
    "wrap, unwrap",
    [
        (lambda x: {"k": ([x], 1)}, lambda x: x["k"][0][0]),
        (Box, lambda x: x.data),
    ],
    ids=["dict", "class"],
)
def test_an_array_inside_a_value(ray, wrap, unwrap):
    for name, array in arrays().items():
        ref, peak = peak_of(lambda array=array: ray.put(wrap(array)))
        assert peak < array.nbytes / 4, name
        back, peak = peak_of(lambda ref=ref: ray.get(ref))
        assert peak < array.nbytes / 4, name
        assert_same(name, unwrap(back), array)


def test_an_array_takes_its_bytes_in_the_store_once(ray, stats):
    """However many references, views and tasks there are."""

    @ray.remote
    def third(array):
        return float(array[2])

    array = np.arange(float(N))
    ref = ray.put(array)
    live = stats()["store"]["live"]
    assert array.nbytes <= live < array.nbytes + 4096
    views = [ray.get(ref) for _ in range(10)]
    assert len({view.ctypes.data for view in views}) == 1
    assert ray.get([third.remote(ref) for _ in range(10)]) == [2.0] * 10
    again = ray.put(views[0])
    assert ray.get(again).ctypes.data == views[0].ctypes.data
    assert stats()["store"]["live"] < live + 4096


def test_an_array_inside_an_instance_of_a_class_of_main(run_script):
    done = run_script(
        """
import dataclasses
import numpy as np
import bolide

@dataclasses.dataclass
class Box:
    data: object

@bolide.remote
def step(box):
    return Box(box.data.T), box.data.flags.writeable

if __name__ == "__main__":
    array = np.arange(1_000_000.0).reshape(1000, -1)[:, ::2]
    box, writeable = bolide.get(step.remote(Box(array)))
    lines = [line for line in open("/proc/self/maps") if "memfd:bolide" in line]
    maps = [line.split()[0].split("-") for line in lines]
    address = box.data.ctypes.data
    print(np.array_equal(box.data, array.T), writeable, type(box).__name__,
          any(int(a, 16) <= address < int(b, 16) for a, b in maps))
"""
    )
    assert (done.stdout, done.stderr) == ("True False Box True\n", "")


def test_a_task_gets_a_view_and_its_result_is_one(ray):
    @ray.remote
    def same(x):
        assert not x.flags.writeable
        return x

    for name, array in arrays().items():
        assert_same(name, ray.get(same.remote(array)), array)


def test_fortran_order_stays(ray):
    array = np.asfortranarray(np.arange(4.0 * N).reshape(200, -1))
    for back in (ray.get(ray.put(array)), ray.get(ray.put([array]))[0]):
        assert back.flags.f_contiguous and not back.flags.c_contiguous


def test_small_arrays_of_every_layout(ray):
    whole = np.arange(60).reshape(3, 4, 5)
    for array in (
        whole,
        whole.T,
        whole[:, ::2],
        whole[::-1],
        np.array(3),
        np.empty((0, 3)),
        whole[1:1],
    ):
        back = ray.get(ray.put(array))
        assert back.shape == array.shape and np.array_equal(back, array)
        assert not back.flags.writeable


def test_dtypes_with_metadata_keep_it(ray):
    array = np.zeros(N, dtype=np.dtype("f8", metadata={"unit": "m"}))
    back = ray.get(ray.put([np.zeros(N), array]))[1]
    assert back.dtype.metadata == {"unit": "m"}
    assert ray.get(ray.put(np.zeros(3))).dtype.metadata is None


def test_many_dtypes(ray):
    for n in range(1, 3000, 7):
        array = np.array([b"x" * n])
        back = ray.get(ray.put(array))
        assert back.dtype == array.dtype and back[0] == array[0]


def test_arrays_of_objects_are_copies(ray):
    array = np.array([None, "text", [1, 2], {"k": np.arange(3)}] * 5000, dtype=object)
    back = ray.get(ray.put(array))
    assert back.dtype == object and back.flags.writeable
    assert back[2] == [1, 2] and back[3]["k"].tolist() == [0, 1, 2]


def test_an_array_of_objects_that_cannot_be_sent_names_the_item(ray):
    import threading

    with pytest.raises(TypeError, match=r"cannot be sent to a worker: .*_thread.lock"):
        ray.put(np.array([1, threading.Lock()], dtype=object))


def test_pickle_outside_bolide_is_as_ever():
    # The reducers are those of the pickler of a value, not of Python's.
    array = np.arange(N)[::2]
    buffers = []
    assert np.array_equal(
        pickle.loads(pickle.dumps(array, 5, buffer_callback=buffers.append)), array
    )
    assert buffers == []


def test_a_memmap_is_an_array_without_its_file(ray, tmp_path):
    array = np.memmap(tmp_path / "data", dtype="f8", mode="w+", shape=(N,))
    array[:] = 7
    back = ray.get(ray.put(array))
    assert type(back) is np.memmap and in_store(back.ctypes.data)
    assert back[5] == 7 and back.filename is None
