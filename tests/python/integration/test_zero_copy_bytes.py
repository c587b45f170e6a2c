"""Bytes, text, memoryviews and whatever offers protocol 5 buffers: one copy in, at most one out."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from .store_memory import address_of, in_store, peak_of

N = 2_000_000
SIZES = [0, 1, 1023, 1024, 8190, 8192, 8193, 65_535, 65_536, 1_048_577]


@dataclasses.dataclass
class Box:
    """A class of this module."""

    data: object


def pattern(size):
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_every_size_comes_back(ray, kind):
    for size in SIZES:
        value = kind(pattern(size))
        back = ray.get(ray.put(value))
        assert type(back) is kind and back == value
        (inner,) = ray.get(ray.put([value]))
        assert type(inner) is kind and inner == value


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_one_copy_in_and_one_out(ray, kind):
    value = kind(pattern(N))
    for whole, unwrap in (
        (value, lambda x: x),
        ([value], lambda x: x[0]),
        ({"k": value}, lambda x: x["k"]),
        (Box(value), lambda x: x.data),
    ):
        ref, peak = peak_of(lambda whole=whole: ray.put(whole))
        assert peak < N / 4
        back, peak = peak_of(lambda ref=ref: ray.get(ref))
        assert peak < N * 5 / 4  # Python's own bytes, and nothing beside them
        assert type(unwrap(back)) is kind and unwrap(back) == value


def test_bytearrays_are_fresh_each_time(ray):
    ref = ray.put(bytearray(N))
    first = ray.get(ref)
    first[0] = 1
    assert ray.get(ref)[0] == 0


def test_long_text(ray):
    for text in ("a" * N, "ä" * N, "\U0001f600" * N, "a" * 65_535, "a" * 65_536):
        ref, peak = peak_of(lambda text=text: ray.put(text))
        assert peak < N / 4 or not text.isascii()  # Python makes and keeps the UTF-8 of other text
        assert ray.get(ref) == text
        assert ray.get(ray.put({"k": [text]})) == {"k": [text]}


def test_text_that_utf8_cannot_say(ray):
    text = "\udc80" * 100_000
    assert ray.get(ray.put(text)) == text
    assert ray.get(ray.put((text, 1))) == (text, 1)


def test_text_that_only_the_pickler_holds(ray):
    class Maker:
        def __getstate__(self):
            return {"text": "x" * N + str(len("y")), "data": bytes(N) + b"z"}

    back = ray.get(ray.put(Maker()))
    assert back.text == "x" * N + "1"
    assert back.data == bytes(N) + b"z"


def test_a_memoryview_comes_back_over_the_store(ray):
    value = memoryview(pattern(N))
    ref, peak = peak_of(lambda: ray.put(value))
    assert peak < N / 4
    for back in (ray.get(ref), ray.get(ray.put([value]))[0]):
        assert type(back) is memoryview and back == value and back.readonly
        assert in_store(address_of(back))


def test_memoryviews_of_every_format_and_shape(ray):
    numbers = np.arange(60_000, dtype="f4").reshape(200, 300)
    for view in (
        memoryview(numbers),
        memoryview(numbers)[::2],
        memoryview(numbers.T),
        memoryview(b""),
        memoryview(np.empty((0, 3))),
        memoryview(np.arange(5, dtype="i2")),
        memoryview(bytearray(b"abc")),
    ):
        back = ray.get(ray.put(view))
        assert back.tolist() == view.tolist() if view.nbytes else back.nbytes == 0
        assert view.nbytes == 0 or (back.format, back.shape) == (view.format, view.shape)


def test_a_task_takes_and_returns_a_memoryview(ray):
    @ray.remote
    def second_half(view):
        return view[len(view) // 2 :]

    back = ray.get(second_half.remote(memoryview(pattern(N))))
    assert bytes(back) == pattern(N)[N // 2 :]


class Shared:
    """What the documentation of pickle shows: an object whose pickle is one out-of-band buffer."""

    def __init__(self, buffer):
        self.buffer = buffer

    def __reduce_ex__(self, protocol):
        return Shared, (pickle.PickleBuffer(self.buffer),)


def test_any_object_with_buffers_of_protocol_5(ray):
    shared = Shared(bytearray(pattern(N)))
    ref, peak = peak_of(lambda: ray.put({"k": shared}))
    assert peak < N / 4
    back = ray.get(ref)["k"]
    assert bytes(back.buffer) == pattern(N)
    assert in_store(address_of(memoryview(back.buffer)))
    again = ray.get(ray.put(back))
    assert address_of(memoryview(again.buffer)) == address_of(memoryview(back.buffer))


def test_data_that_looks_like_opcodes_and_names(ray):
    # The pickle is searched for names of modules that a worker cannot import; data are not.
    value = [
        b"\x8e" + (70_000).to_bytes(8, "little") + b"c__main__\n" * 20_000,
        "__main__" * 20_000,
    ]
    assert ray.get(ray.put(value)) == value


def test_values_nested_in_each_other_s_pickling(ray):
    class Putter:
        def __reduce__(self):
            return list, ([ray.get(ray.put([bytes(100_000), np.arange(30_000)]))[1].sum()],)

    first, second, third = ray.get(ray.put([bytes(100_000), Putter(), "x" * 100_000]))
    assert (len(first), second, len(third)) == (100_000, [sum(range(30_000))], 100_000)


def test_zero_bytes_of_everything(ray):
    for value in (b"", bytearray(), "", memoryview(b""), np.empty(0), [b""], [np.empty((3, 0))]):
        back = ray.get(ray.put(value))
        assert type(back) is type(value)
        assert len(back) == len(value)
