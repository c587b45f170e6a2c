"""Polars: by way of Arrow over the memory of the store; what Arrow lacks, by pickle."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

from .store_memory import in_store, peak_of

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
N = 100_000

pytestmark = pytest.mark.dev

pl.LazyFrame({"x": [1]}).collect()  # Polars starts its threads, which are no leak of ours


def series():
    """A series of each dtype that Arrow has."""
    numbers = pl.Series(range(N))
    return {
        "int": numbers,
        "float": numbers.cast(pl.Float32),
        "bool": numbers % 2 == 0,
        "nulls": pl.Series([None if i % 3 == 0 else i for i in range(N)]),
        "text": pl.Series([f"text number {i}" for i in range(N)]),
        "bytes": pl.Series([b"some bytes of a row"] * N),
        "date": numbers.cast(pl.Date),
        "datetime": numbers.cast(pl.Datetime("us", "UTC")),
        "duration": numbers.cast(pl.Duration("ms")),
        "time": pl.Series([datetime.time(1, 2, 3)] * N),
        "categorical": pl.Series(["u", "v"] * (N // 2), dtype=pl.Categorical),
        "enum": pl.Series(["u", "v"] * (N // 2), dtype=pl.Enum(["v", "u", "w"])),
        "list": pl.Series([[1, 2], []] * (N // 2)),
        "array": pl.Series([[1, 2]] * N, dtype=pl.Array(pl.Int16, 2)),
        "struct": pl.Series([{"a": 1, "b": "text"}] * N),
        "decimal": numbers.cast(pl.Decimal(20, 2)),
        "null": pl.Series([None] * N),
    }


def test_a_series_of_each_dtype(ray):
    for name, values in series().items():
        value = values.alias("named")
        for part in (value, value[N // 3 : N // 2], value[:5]):
            back = ray.get(ray.put(part))
            assert (back.dtype, back.name) == (part.dtype, "named")
            assert back.equals(part), name


def test_a_frame_is_a_view(ray):
    frame = pl.DataFrame(dict(series()))
    ref, peak = peak_of(lambda: ray.put(frame))
    assert peak < frame.estimated_size() / 4
    for back in (ray.get(ref), ray.get(ray.put({"k": [frame]}))["k"][0]):
        assert back.schema == frame.schema and back.equals(frame)
        assert in_store(back["int"].to_numpy().ctypes.data)
        assert in_store(back["float"].to_numpy().ctypes.data)
        text = back["text"].to_arrow(compat_level=pl.CompatLevel.newest())
        assert all(in_store(buffer.address) for buffer in text.buffers()[1:])


def test_a_slice_sends_what_it_shows(ray, stats):
    frame = pl.DataFrame({"x": range(N), "text": [f"text number {i}" for i in range(N)]})
    ref = ray.put(frame[N // 2 : N // 2 + 500])
    assert stats()["store"]["live"] < 50_000
    assert ray.get(ref).equals(frame[N // 2 : N // 2 + 500])


def test_a_frame_through_a_task(ray):
    @ray.remote
    def double(frame):
        return frame.with_columns(pl.col("x") * 2)

    frame = pl.DataFrame({"x": np.arange(N)})
    back = ray.get(double.remote(frame))
    assert back["x"].sum() == N * (N - 1)
    assert in_store(back["x"].to_numpy().ctypes.data)


def test_what_arrow_cannot_say(ray):
    wide = pl.DataFrame({"x": pl.Series(range(N), dtype=pl.Int128)})
    assert ray.get(ray.put(wide)).equals(wide)


def test_small_and_empty_frames(ray):
    for frame in (
        pl.DataFrame(),
        pl.DataFrame({"x": []}),
        pl.DataFrame({"x": [1, 2], "s": ["a", None]}),
    ):
        back = ray.get(ray.put(frame))
        assert back.equals(frame) and back.schema == frame.schema
    assert ray.get(ray.put(pl.Series("s", [1]))).to_list() == [1]


def test_a_lazy_frame(ray):
    lazy = pl.LazyFrame({"x": range(N)}).filter(pl.col("x") > N - 3)
    assert ray.get(ray.put(lazy)).collect()["x"].to_list() == [N - 2, N - 1]


def test_without_pyarrow_it_is_a_copy_and_right(ray, monkeypatch):
    def missing(self, **options):
        raise ModuleNotFoundError("pa.Table requires 'pyarrow' module to be installed")

    monkeypatch.setattr(pl.DataFrame, "to_arrow", missing)
    frame = pl.DataFrame({"x": range(N)})
    assert ray.get(ray.put(frame)).equals(frame)
