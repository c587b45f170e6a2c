"""Values that cannot travel, or hardly: a clear error, and the runtime goes on (B2-1 to 10)."""

from __future__ import annotations

import ctypes
import os
import pickle
import sys
import threading

import numpy
import pytest
from bad_input_tools import goes_on, pid, same

import bolide
from bolide.exceptions import (
    RayTaskError,
    WorkerCrashedError,
)


class RaisesAtPickle:
    def __reduce__(self):
        raise KeyError("my own error")


class ExitsAtPickle:
    def __reduce__(self):
        sys.exit(3)


def _raise_when_loaded(text):
    raise LookupError(text)


class RaisesAtUnpickle:
    def __reduce__(self):
        return _raise_when_loaded, ("raised at unpickle",)


class SegfaultsAtUnpickle:
    def __reduce__(self):
        return ctypes.string_at, (0,)


class ExitsAtUnpickle:
    def __reduce__(self):
        return os._exit, (12,)


def _only_in(owner):
    if os.getpid() != owner:
        raise LookupError("cannot be read elsewhere")
    return "read"


class UnreadableElsewhere:
    """Pickles everywhere, unpickles only in the process that made it."""

    def __init__(self):
        self.owner = os.getpid()

    def __reduce__(self):
        return _only_in, (self.owner,)


def test_b2_01_argument_whose_pickling_raises(one):
    worker = one.get(pid.remote())
    submitted = one.stats["submitted"]
    with pytest.raises(KeyError) as caught:
        same.remote(RaisesAtPickle())
    text = str(caught.value) + "".join(getattr(caught.value, "__notes__", ()))
    assert "my own error" in text and "argument 'model' of 'same'" in text
    with pytest.raises(KeyError):
        same.remote(model=RaisesAtPickle())
    with pytest.raises(KeyError):
        same.remote([1, {"deep": RaisesAtPickle()}])
    with pytest.raises(KeyError):
        one.put(RaisesAtPickle())
    assert one.stats["submitted"] == submitted
    goes_on(one, worker)


def test_b2_02_argument_whose_pickling_exits(one):
    with pytest.raises(pickle.PicklingError, match="argument 'model' of 'same'.*sys.exit"):
        same.remote(ExitsAtPickle())
    goes_on(one)


def test_b2_03_argument_that_raises_at_unpickle_in_the_worker(one):
    worker = one.get(pid.remote())
    for value in (RaisesAtUnpickle(), [RaisesAtUnpickle()]):
        with pytest.raises(RayTaskError, match="raised at unpickle") as caught:
            one.get(same.remote(value))
        assert isinstance(caught.value, LookupError)
        assert "_raise_when_loaded" in str(caught.value)
    assert one.retries == 0
    goes_on(one, worker)


def test_b2_03_object_of_put_that_raises_at_unpickle(one):
    worker = one.get(pid.remote())
    ref = one.put(RaisesAtUnpickle())
    with pytest.raises(RayTaskError, match="raised at unpickle"):
        one.get(same.remote(ref))
    with pytest.raises(Exception, match="raised at unpickle"):
        one.get(ref)
    goes_on(one, worker)


@pytest.mark.parametrize(
    ("value", "said"), [(SegfaultsAtUnpickle(), "SIGSEGV"), (ExitsAtUnpickle(), "exit code 12")]
)
def test_b2_04_argument_that_kills_the_worker_at_unpickle(one, value, said):
    with pytest.raises(WorkerCrashedError, match=said) as caught:
        one.get(same.options(max_retries=2).remote(value), timeout=60)
    assert "'same'" in str(caught.value) and "attempt 3 of 3" in str(caught.value)
    assert one.retries == 2
    goes_on(one)


def test_b2_05_result_that_cannot_be_pickled(one):
    worker = one.get(pid.remote())

    @bolide.remote
    def returns_lock():
        return {"a": [threading.Lock()]}

    @bolide.remote
    def returns_generator():
        return (i for i in range(3))

    @bolide.remote
    def returns_evil():
        return RaisesAtPickle()

    with pytest.raises(RayTaskError, match="the result of .*returns_lock.*lock"):
        one.get(returns_lock.remote())
    with pytest.raises(RayTaskError, match="generator"):
        one.get(returns_generator.remote())
    with pytest.raises(KeyError, match="my own error"):
        one.get(returns_evil.remote())
    with pytest.raises(RayTaskError, match="lock"):
        one.get(returns_lock.options(num_returns=1, max_retries=0).remote())
    goes_on(one, worker)


def test_b2_06_result_that_cannot_be_unpickled_here(one):
    @bolide.remote
    def returns():
        return UnreadableElsewhere()

    @bolide.remote
    def returns_large():
        return [UnreadableElsewhere(), bytes(100_000)]

    for task in (returns, returns_large):
        ref = task.remote()
        texts = []
        for _ in range(2):
            with pytest.raises(Exception, match="cannot be read elsewhere") as caught:
                one.get(ref)
            texts.append((type(caught.value), str(caught.value)))
        assert texts[0] == texts[1]
        del ref, caught
    goes_on(one)


class CannotPickle(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class CannotUnpickle(Exception):
    def __init__(self, one, two):
        super().__init__("needs two")


class BadStr(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class Falsy(Exception):
    def __bool__(self):
        return False


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CannotPickle("with a lock"), "with a lock"),
        (lambda: CannotUnpickle(1, 2), "needs two"),
        (lambda: BadStr("x"), "BadStr"),
        (lambda: Falsy("falsy"), "falsy"),
        (lambda: ValueError("x" * 10_000_000), "ValueError"),
        (lambda: KeyboardInterrupt("pressed"), "KeyboardInterrupt"),
        (lambda: SystemExit(9), "SystemExit"),
        (lambda: GeneratorExit("out"), "GeneratorExit"),
        (lambda: StopIteration(3), "StopIteration"),
        (lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "utf-8"),
        (lambda: OSError(2, "No such file", "name"), "No such file"),
        (lambda: RecursionError("deep"), "deep"),
    ],
)
def test_b2_07_exceptions_of_every_kind_are_readable(one, make, said):
    worker = one.get(pid.remote())

    @bolide.remote
    def fails():
        raise make()

    ref = fails.remote()
    for _ in range(2):
        with pytest.raises(RayTaskError) as caught:
            one.get(ref)
        assert said in str(caught.value)
        assert len(str(caught.value)) < 600_000
    del ref
    goes_on(one, worker)


def test_b2_08_deeply_nested_structures(one):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    try:
        with pytest.raises(RecursionError, match="argument 'model' of 'same'.*nested"):
            same.remote(deep)
        with pytest.raises(RecursionError):
            one.put(deep)
        itself = []
        itself.append(itself)
        got = one.get(same.remote(itself))
        assert got[0] is got
        pair = ()
        for _ in range(100_000):
            pair = (pair,)
        with pytest.raises(RecursionError):
            same.remote(pair)
    finally:
        while deep:
            deep = deep.pop()
        while pair:
            pair = pair[0]
    goes_on(one)


def test_b2_09_captured_variables_are_named(one, tmp_path):
    import socket

    lock = threading.Lock()
    file = open(tmp_path / "file", "w")
    sock = socket.socket()
    items = (i for i in range(3))

    @bolide.remote
    def uses_lock():
        return lock

    @bolide.remote
    def uses_file():
        return file

    @bolide.remote
    def uses_socket():
        return sock

    @bolide.remote
    def uses_items():
        return [*items]

    for task, name in (
        (uses_lock, "lock"), (uses_file, "file"), (uses_socket, "sock"), (uses_items, "items"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"variable '{name}'"):
            task.remote()
        function = task._function
        with pytest.raises(
            TypeError,
            match=f"argument 'model' of 'same'.*the function '{function.__name__}' captures the "
            f"variable '{name}'",
        ):
            same.remote(function)
    for value, kind in ((lock, "lock"), (file, "TextIOWrapper"), (items, "generator")):
        with pytest.raises(TypeError, match=f"argument 'model' of 'same'.*{kind}"):
            same.remote(value)
    file.close()
    sock.close()
    goes_on(one)


def arrays():
    base = numpy.arange(60.0).reshape(3, 4, 5)
    read_only = base.copy()
    read_only.flags.writeable = False
    return {
        "0-d": numpy.array(3.5),
        "empty": numpy.empty((0, 3)),
        "fortran": numpy.asfortranarray(base),
        "strided": base[::2, ::-1, 1:4],
        "transposed": base.T,
        "object": numpy.array([{"a": 1}, None, "x"], dtype=object),
        "read-only": read_only,
        "strings": numpy.array(["a", "bcd"]),
        "records": numpy.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        "big-endian": numpy.arange(5, dtype=">i4"),
        "dates": numpy.array(["2020-01-01", "NaT"], dtype="M8[D]"),
        "bool": numpy.array([True, False]),
        "large": numpy.arange(200_000, dtype=numpy.uint8),
        "complex": numpy.arange(4) * 1j,
    }


@pytest.mark.parametrize("name", arrays())
def test_b2_10_arrays_of_every_kind_come_back_equal(one, name):
    array = arrays()[name]
    for got in (one.get(same.remote(array)), one.get(one.put(array))):
        assert got.dtype == array.dtype and got.shape == array.shape
        assert str(got) == str(array)
        assert got.tobytes() == array.tobytes() or array.dtype == object


def test_b2_10_bytes_of_every_length(one):
    for length in (0, 1, 7, 8, 8183, 8192, 8193, 32768, 65536, 1 << 20, (1 << 20) + 1):
        data = os.urandom(length)
        assert one.get(same.remote(data)) == data
        assert one.get(one.put(bytearray(data))) == bytearray(data)
