"""Arrow tables, batches and arrays: views of the store, and a slice sends what it shows."""

from __future__ import annotations

import random

import pytest

from .store_memory import in_store, peak_of

pa = pytest.importorskip("pyarrow")
N = 40_000
TEXTS = [None if i % 11 == 0 else f"text number {i}" for i in range(N)]

pytestmark = pytest.mark.dev


def arrays():
    """An array of N elements of each layout."""
    numbers = list(range(N))
    sparse = [None if i % 7 == 0 else i for i in numbers]
    lists = [None if i % 13 == 0 else [i, None, i + 1][: i % 4] for i in numbers]
    return {
        "int32": pa.array(numbers, pa.int32()),
        "nulls": pa.array(sparse),
        "bool": pa.array([None if x is None else x % 2 == 0 for x in sparse]),
        "date": pa.array(numbers, pa.date32()),
        "timestamp": pa.array(numbers, pa.timestamp("us", "UTC")),
        "decimal": pa.array(numbers, pa.decimal128(20, 2)),
        "half": pa.array([1.5] * N, pa.float16()),
        "fixed binary": pa.array([b"abc"] * N, pa.binary(3)),
        "string": pa.array(TEXTS),
        "large string": pa.array(TEXTS, pa.large_string()),
        "binary": pa.array([b"xy"] * N),
        "string view": pa.array(TEXTS, pa.string_view()),
        "short string view": pa.array(["short"] * N, pa.string_view()),
        "binary view": pa.array([b"more than twelve bytes"] * N, pa.binary_view()),
        "list": pa.array(lists),
        "large list": pa.array(lists, pa.large_list(pa.int32())),
        "fixed list": pa.array([[i, i] for i in numbers], pa.list_(pa.int32(), 2)),
        "list of strings": pa.array([[t, t] for t in TEXTS]),
        "struct": pa.array([{"a": i, "b": {"c": t}} for i, t in enumerate(TEXTS)]),
        "map": pa.array([[("k", i)] for i in numbers], pa.map_(pa.string(), pa.int64())),
        "dictionary": pa.array(["u", "v"] * (N // 2)).dictionary_encode(),
        "null": pa.nulls(N),
        "sparse union": pa.UnionArray.from_sparse(
            pa.array([0, 1] * (N // 2), pa.int8()), [pa.array(numbers), pa.array([0.5] * N)]
        ),
        "run ends": pa.RunEndEncodedArray.from_arrays(
            pa.array(range(1, N + 1), pa.int32()), pa.array(numbers)
        ),
    }


def addresses(array):
    """Where the buffers of an array lie, those of its children too."""
    found = [buffer.address for buffer in array.buffers() if buffer is not None and buffer.size]
    if isinstance(array, pa.DictionaryArray):
        found += addresses(array.dictionary)
    return found


def assert_equal(back, array):
    back.validate(full=True)
    assert back.type == array.type
    assert back.null_count == array.null_count, array.type
    assert back.equals(array), array.type


def test_an_array_of_each_layout(ray):
    for name, array in arrays().items():
        back = ray.get(ray.put(array))
        assert_equal(back, array)
        assert [place for place in addresses(back) if not in_store(place)] == [], name


def test_slices_of_each_layout(ray):
    cuts = [(0, 10), (1, 10), (7, 1), (8, 16), (N - 9, 9), (0, 0), (N, 0), (33, N - 50)]
    seeds = random.Random(1)
    cuts += [(start := seeds.randrange(N), seeds.randrange(N - start + 1)) for _ in range(6)]
    for array in arrays().values():
        for start, length in cuts:
            part = array.slice(start, length)
            assert_equal(ray.get(ray.put(part)), part)
            if length > 40:  # a slice of a slice
                part = part.slice(3, length // 2)
                assert_equal(ray.get(ray.put(part)), part)


def test_a_slice_sends_what_it_shows(ray):
    for name, array in arrays().items():
        if name == "run ends":  # Arrow cannot cut their ends short
            continue
        back = ray.get(ray.put(array.slice(N // 2, 10)))
        dictionary = 100 if name == "dictionary" else 0
        assert back.get_total_buffer_size() < 2000 + dictionary, name


def test_a_table_and_what_it_is_made_of(ray):
    table = pa.table(
        {"x": pa.chunked_array([range(N), range(5)]), "s": pa.array([*TEXTS, *"abcde"])},
        metadata={"origin": "test"},
    )
    size = table.nbytes
    for value in (table, table.to_batches()[0], table["s"], [table], {"t": table}):
        ref, peak = peak_of(lambda value=value: ray.put(value))
        assert peak < size / 4
        back, peak = peak_of(lambda ref=ref: ray.get(ref))
        assert peak < size / 4
        first = back[0] if isinstance(back, list) else back["t"] if isinstance(back, dict) else back
        assert type(first) is type(table if isinstance(value, (list, dict)) else value)
        if isinstance(first, pa.Table):
            assert first.equals(table) and first.schema.metadata == {b"origin": b"test"}
            first = first["x"]
        if isinstance(first, pa.RecordBatch):
            first = first["x"]
        chunks = first.chunks if isinstance(first, pa.ChunkedArray) else [first]
        assert all(in_store(place) for place in addresses(chunks[0]))


def test_a_slice_of_a_table_is_small_in_the_store(ray, stats):
    table = pa.table({"x": range(N), "s": TEXTS})
    ref = ray.put(table.slice(N // 2, 1000))
    assert 16_000 < stats()["store"]["live"] < 60_000
    assert ray.get(ref).equals(table.slice(N // 2, 1000))


def test_a_table_through_tasks(ray):
    @ray.remote
    def middle(table):
        return table.slice(N // 4, N // 2), addresses(table["x"].chunk(0))

    table = pa.table({"x": range(N), "s": TEXTS})
    part, _ = ray.get(middle.remote(table))
    assert part.equals(table.slice(N // 4, N // 2))


def test_extension_types(ray):
    array = pa.array([b"0123456789abcdef"] * N, pa.binary(16))
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), array)
    assert_equal(ray.get(ray.put(uuids.slice(5, 1000))), uuids.slice(5, 1000))


def test_an_array_that_came_from_the_store_is_put_without_a_copy(ray, stats):
    array = pa.array(range(10 * N))
    back = ray.get(ray.put(array))
    before = stats()["store"]["live"]
    again = ray.get(ray.put(back))
    assert addresses(again) == addresses(back)
    assert stats()["store"]["live"] == before
