"""Arrays: without a copy from the store, read-only, of every layout and type."""

from __future__ import annotations

import numpy as np
import pytest

import bolide

LARGE = (200, 300)


def arrays():
    rng = np.random.default_rng(1)
    base = rng.random((40, 50, 6))
    structured = np.zeros(500, dtype=[("a", "i4"), ("b", "f8", (3,)), ("c", "S5")])
    structured["a"] = range(500)
    return {
        "float64": rng.random(LARGE),
        "small": np.arange(5),
        "fortran": np.asfortranarray(rng.random(LARGE)),
        "strided": base[::2, ::-1, 1:5],
        "transposed": base.transpose(2, 0, 1),
        "broadcast": np.broadcast_to(np.arange(300.0), LARGE),
        "0-d": np.array(3.5),
        "empty": np.empty((0, 7)),
        "empty-large": np.empty((5, 0, 9), dtype="f4"),
        "bool": rng.random(LARGE) > 0.5,
        "int8": np.arange(30_000, dtype="i1"),
        "uint16": np.arange(30_000, dtype="u2"),
        "big-endian": np.arange(30_000, dtype=">i4"),
        "complex": rng.random(LARGE) + 1j,
        "float16": rng.random(LARGE).astype("f2"),
        "longdouble": rng.random(100).astype(np.longdouble),
        "datetime": np.arange("2020-01-01", "2021-01-01", dtype="M8[D]"),
        "timedelta": np.arange(1000).astype("m8[us]"),
        "unicode": np.array(["ä", "bcd"] * 5000),
        "bytes": np.array([b"x", b"yz"] * 5000),
        "object": np.array([None, "a", [1, 2], {"k": 3}], dtype=object),
        "structured": structured,
        "record": structured.view(np.recarray),
        "masked": np.ma.masked_array(np.arange(5), [0, 1, 0, 1, 0]),
        "5-d": rng.random((4, 5, 6, 7, 8)),
    }


@pytest.mark.parametrize("name", arrays())
def test_arrays_come_back_equal(ray, name):
    array = arrays()[name]

    @ray.remote
    def same(x):
        return x

    for ref in (ray.put(array), same.remote(array), same.remote(ray.put([array]))):
        back = ray.get(ref)
        if isinstance(back, list):
            (back,) = back
        assert type(back) is type(array)
        assert back.dtype == array.dtype
        assert back.shape == array.shape
        np.testing.assert_array_equal(np.asarray(back), np.asarray(array))
        if array.flags.f_contiguous and array.ndim > 1 and array.size:
            assert back.flags.f_contiguous


def test_scalars_of_numpy(ray):
    for value in (np.float64(1.5), np.int32(7), np.bool_(True), np.datetime64("2020-01-01")):
        back = ray.get(ray.put(value))
        assert (type(back), back) == (type(value), value)


def test_get_is_a_view_without_a_copy(ray):
    array = np.arange(100_000.0)
    ref = ray.put(array)
    first, second = ray.get([ref, ref])
    assert first.ctypes.data == second.ctypes.data
    assert not first.flags.owndata
    assert first.ctypes.data % 64 == 0


def test_views_are_read_only(ray):
    @ray.remote
    def attempt(x):
        try:
            x[0] = 1
        except ValueError as error:
            return str(error)

    array = np.zeros(100_000)
    ref = ray.put(array)
    back = ray.get(ref)
    assert not back.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        back[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        back.flags.writeable = True
    assert "read-only" in ray.get(attempt.remote(ref))
    assert "read-only" in ray.get(attempt.remote(array))
    copied = back.copy()
    copied[0] = 5
    assert ray.get(ref)[0] == 0


def test_the_original_may_change_after_put(ray):
    array = np.zeros(100_000)
    ref = ray.put(array)
    array[:] = 1
    assert ray.get(ref).sum() == 0


def test_a_large_argument_that_changes_between_calls(ray):
    @ray.remote
    def total(x):
        return float(x.sum())

    array = np.zeros(100_000)
    refs = []
    for i in range(5):
        array[:] = i
        refs.append(total.remote(array))
    assert ray.get(refs) == [i * 100_000.0 for i in range(5)]


def test_one_put_serves_many_tasks(ray, stats):
    @ray.remote
    def total(x, i):
        return float(x[i])

    ref = ray.put(np.arange(500_000.0))
    assert ray.get([total.remote(ref, i) for i in range(50)]) == [float(i) for i in range(50)]
    assert stats()["store"]["live"] < 5_000_000


def test_a_view_outlives_its_reference(ray, stats, eventually):
    ref = ray.put(np.arange(300_000.0))
    view = ray.get(ref)[10:20]
    del ref
    fillers = [ray.put(np.full(300_000, -1.0)) for _ in range(3)]
    assert view.tolist() == list(range(10, 20))
    del view, fillers
    eventually(lambda: stats()["store"]["live"], 0)


def test_a_view_of_a_result_outlives_the_worker(ray, stats, eventually):
    import os
    import signal

    @ray.remote
    def make():
        return os.getpid(), np.arange(300_000.0)

    pid, view = ray.get(make.remote())
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: pid in bolide._runtime._node.worker_pids(), False)
    assert view.sum() == sum(range(300_000))


def test_a_view_outlives_the_runtime(ray):
    @ray.remote
    def make():
        return np.arange(300_000.0)

    mine, theirs = ray.get([ray.put(np.arange(400_000.0)), make.remote()])
    ray.shutdown()
    assert mine.sum() == sum(range(400_000))
    assert theirs.sum() == sum(range(300_000))


def test_a_view_as_an_argument_and_in_a_put(ray):
    @ray.remote
    def total(x):
        return float(x.sum())

    view = ray.get(ray.put(np.ones(300_000)))
    assert ray.get(total.remote(view)) == 300_000
    assert ray.get(total.remote(view[::3])) == 100_000
    assert ray.get(ray.put([view]))[0].sum() == 300_000


def test_arrays_within_containers(ray):
    @ray.remote
    def make():
        return {"a": np.arange(50_000), "b": [np.ones((3, 3)), "text"], "c": (np.zeros(100_000),)}

    back = ray.get(make.remote())
    assert back["a"][-1] == 49_999
    assert back["b"][0].sum() == 9
    assert back["c"][0].shape == (100_000,)
    assert not back["a"].flags.writeable


def test_several_arrays_as_several_returns(ray):
    @ray.remote(num_returns=3)
    def make():
        return np.zeros(100_000), np.ones(5), np.full((300, 300), 2)

    assert [a.sum() for a in ray.get(make.remote())] == [0, 5, 180_000]


def test_every_worker_draws_its_own_random_numbers(ray, latch, channel):
    @ray.remote
    def draw():
        channel.say("here")
        latch.wait()
        return float(np.random.random())

    refs = [draw.remote() for _ in range(2)]
    channel.hear(2)
    latch.open()
    assert len(set(ray.get(refs))) == 2
