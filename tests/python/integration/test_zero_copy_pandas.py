"""pandas frames, series and indexes, strings included: the columns are views of the store."""

from __future__ import annotations

import numpy as np
import pytest

from .store_memory import in_store, peak_of

pd = pytest.importorskip("pandas")
N = 200_000
ARROW_TEXT = pd.Series(["text"]).dtype == "str" and pd.Series(["text"]).dtype.storage == "pyarrow"

pytestmark = pytest.mark.dev


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "i": np.arange(N),
            "f": np.arange(N) / 7,
            "g": np.arange(N) / 9,
            "b": np.arange(N) % 2 == 0,
            "t": pd.date_range("2020-01-01", periods=N, freq="s"),
            "z": pd.date_range("2020-01-01", periods=N, freq="s", tz="Europe/Berlin"),
            "d": pd.to_timedelta(np.arange(N), unit="s"),
            "c": pd.Categorical(["u", "v"] * (N // 2)),
            "n": pd.array(range(N), dtype="Int32"),
        },
        index=pd.Index(np.arange(N) * 2, name="key"),
    )


def addresses(frame):
    """Where each column's data and the index lie."""
    found = {"index": frame.index.to_numpy().ctypes.data}
    for name, column in frame.items():
        values = column.array
        for attribute in ("_codes", "_data", "_ndarray"):
            if hasattr(values, attribute):
                values = getattr(values, attribute)
                break
        found[name] = np.asarray(values).ctypes.data
    return found


def test_a_frame(ray, frame):
    size = int(frame.memory_usage().sum())
    ref, peak = peak_of(lambda: ray.put(frame))
    assert peak < size / 4
    back, peak = peak_of(lambda: ray.get(ref))
    assert peak < size / 4
    pd.testing.assert_frame_equal(back, frame)
    assert [name for name, place in addresses(back).items() if not in_store(place)] == []


def test_a_frame_through_a_task_and_in_a_value(ray, frame):
    @ray.remote
    def swap(values):
        table = values["frame"]
        return [table["f"], table[["i", "b"]]]

    column, part = ray.get(swap.remote({"frame": frame}))
    pd.testing.assert_series_equal(column, frame["f"])
    pd.testing.assert_frame_equal(part, frame[["i", "b"]])
    assert in_store(column.to_numpy().ctypes.data)


def test_parts_of_a_frame(ray, frame):
    for part in (
        frame.iloc[1000:150_000],
        frame.iloc[::2],
        frame[frame["i"] % 3 == 0],
        frame[["g", "i"]],
        frame.T.iloc[:2, :10],
        frame.head(3),
        frame.iloc[:0],
    ):
        pd.testing.assert_frame_equal(ray.get(ray.put(part)), part)


def test_an_index_of_several_levels_and_others(ray):
    for index in (
        pd.MultiIndex.from_product([range(400), list("abc") * 100], names=["x", "y"]),
        pd.RangeIndex(5, 10**9),
        pd.date_range("2020", periods=50_000, freq="min"),
        pd.interval_range(0, 50_000),
        pd.period_range("2020", periods=20_000, freq="D"),
        pd.Index(["a", "b"]),
    ):
        pd.testing.assert_index_equal(ray.get(ray.put(index)), index)


def test_strings(ray):
    series = pd.Series([f"row {i}" for i in range(N)] + [None, "ä"])
    back = ray.get(ray.put(pd.DataFrame({"s": series, "x": 1})))["s"]
    pd.testing.assert_series_equal(back, series, check_names=False)


@pytest.mark.skipif(
    not ARROW_TEXT, reason="strings are Python objects here (pandas 2, or no pyarrow)"
)
def test_strings_of_pandas_3_are_views(ray):
    series = pd.Series([f"row {i}" for i in range(N)])
    back = ray.get(ray.put(series))
    for chunk in back.array._pa_array.chunks:
        assert all(in_store(buffer.address) for buffer in chunk.buffers()[1:])
    few = ray.put(series.iloc[10:20])
    assert ray.get(few).tolist() == series.iloc[10:20].tolist()
    assert series.memory_usage(deep=True) > 1_000_000
    assert ray.get(few).array._pa_array.get_total_buffer_size() < 10_000


def test_columns_that_arrow_keeps(ray):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "i": pd.array(range(N), dtype="int64[pyarrow]"),
            "s": pd.array(["x"] * N, dtype="string[pyarrow]"),
        }
    )
    back = ray.get(ray.put(frame))
    pd.testing.assert_frame_equal(back, frame)
    assert in_store(back["i"].array._pa_array.chunk(0).buffers()[1].address)


def test_a_column_of_objects_is_copied_and_the_rest_is_not(ray):
    frame = pd.DataFrame(
        {"x": np.arange(N), "o": pd.Series([{"k": i} for i in range(N)], dtype=object)}
    )
    back = ray.get(ray.put(frame))
    pd.testing.assert_frame_equal(back, frame)
    assert in_store(back["x"].to_numpy().ctypes.data)


def test_writing_into_a_frame_of_the_store_leaves_the_object_alone(ray, frame):
    ref = ray.put(frame[["i", "f"]])
    back = ray.get(ref)
    try:
        back.iloc[0, 0] = 99  # pandas 3 copies the column first, pandas 2 may refuse
    except ValueError as error:
        assert "read-only" in str(error)
    own = ray.get(ref).copy()
    own.iloc[0, 0] = 99
    assert ray.get(ref).iloc[0, 0] == 0


def test_a_frame_over_an_array_of_the_store(ray):
    array = ray.empty((N, 4))
    array[:] = 1.5
    ref, peak = peak_of(lambda: ray.put(pd.DataFrame(array, columns=list("abcd"), copy=False)))
    assert peak < array.nbytes / 4
    assert not array.flags.writeable
    back = ray.get(ref)
    assert back.to_numpy().sum() == 1.5 * 4 * N and list(back) == list("abcd")
