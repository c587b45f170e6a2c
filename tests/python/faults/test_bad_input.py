"""Bad input: each gets a clear, named error, and the runtime goes on (RELIABILITY B2-1 to 15)."""

from __future__ import annotations

import ctypes
import os
import pickle
import sys
import threading
import time

import numpy
import pytest
from fault_tools import wait_until

import bolide
from bolide.exceptions import (
    GetTimeoutError,
    RayError,
    RaySystemError,
    RayTaskError,
    WorkerCrashedError,
)


@bolide.remote
def same(model):
    return model


@bolide.remote
def pid(*_):
    return os.getpid()


def goes_on(runtime, worker=None):
    """The runtime works and nothing is left in flight; the worker is the same one if given."""
    assert runtime.get(same.remote(7), timeout=30) == 7
    wait_until(lambda: runtime.stats["tasks"] == 0)
    if worker is not None:
        assert runtime.get(pid.remote(), timeout=30) == worker


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


@pytest.mark.parametrize("value", [5, None, "ref", 2.5, object(), {}, (1,), b"x"])
def test_b2_11_get_of_what_is_no_reference(one, value):
    with pytest.raises((TypeError, ValueError), match="ObjectRef"):
        one.get(value)
    with pytest.raises((TypeError, ValueError), match="ObjectRef"):
        one.get([one.put(1), value])
    with pytest.raises(TypeError):
        one.wait([value])
    with pytest.raises(TypeError):
        one.wait(value)
    goes_on(one)


def test_b2_11_reference_of_another_session(start):
    runtime = start(num_cpus=1)
    old = runtime.put([1])
    unfinished = bolide.remote(lambda: threading.Event().wait()).remote()
    bolide.shutdown()
    runtime = start(num_cpus=1)
    for use in (
        lambda: runtime.get(old),
        lambda: runtime.get([old]),
        lambda: runtime.get(unfinished),
        lambda: runtime.get([runtime.put(1), unfinished]),
        lambda: same.remote(old),
        lambda: runtime.get(same.remote([old])),
    ):
        with pytest.raises((RaySystemError, ValueError)):
            use()
    goes_on(runtime)


def test_b2_12_wait_with_bad_numbers(one):
    refs = [one.put(i) for i in range(3)]
    for bad in (0, -1, 4, 10**30):
        with pytest.raises(ValueError):
            one.wait(refs, num_returns=bad)
    for bad in (1.5, "1", None, True):
        with pytest.raises(TypeError):
            one.wait(refs, num_returns=bad)
    with pytest.raises(ValueError, match="unique"):
        one.wait([refs[0], refs[0]])
    for bad in (float("nan"), -1):
        with pytest.raises(ValueError, match="timeout"):
            one.wait(refs, timeout=bad)
        with pytest.raises(ValueError, match="timeout"):
            one.get(refs, timeout=bad)
    with pytest.raises(TypeError, match="timeout"):
        one.get(refs, timeout="1")
    assert one.wait([]) == ([], [])
    assert one.get([]) == []
    goes_on(one)


@pytest.mark.parametrize(
    "options",
    [
        {"num_cpus": -1}, {"num_cpus": float("nan")}, {"num_cpus": "2"}, {"num_gpus": -0.5},
        {"resources": {"x": -1}}, {"resources": {"CPU": 1}}, {"resources": 3}, {"max_retries": -2},
        {"max_retries": 1.5}, {"num_returns": -1}, {"num_returns": 2.5}, {"no_such_option": 1},
        {"memory": -1}, {"name": 3},
    ],
    ids=str,
)  # fmt: skip
def test_b2_13_bad_options(one, options):
    (name,) = options
    with pytest.raises((ValueError, TypeError), match=name):
        same.options(**options)
    with pytest.raises((ValueError, TypeError), match=name):
        bolide.remote(**options)(lambda: 1)
    goes_on(one)


def test_b2_13_infeasible_request_warns_and_goes_on(program):
    run = program(
        """
ray.init(num_cpus=2, resources={"license": 1})
f = ray.remote(lambda: 1)
began = time.monotonic()
refs = [
    f.options(num_cpus=5).remote(),
    f.options(resources={"dongle": 2}).remote(),
    f.options(num_cpus=1, resources={"license": 1.5}).remote(),
]
say("submitted")
say("others", ray.get([f.remote() for _ in range(5)]))
ready, rest = ray.wait(refs, timeout=1)
say("waited", len(ready), len(rest))
ray.shutdown()
"""
    )
    run.expect("submitted")
    said = time.monotonic()
    lines = []
    while len(lines) < 3:
        lines.append(run.process.stderr.readline())
        assert time.monotonic() - said < 5
    assert run.expect("others") == "[1, 1, 1, 1, 1]"
    assert run.expect("waited") == "0 3"
    code, _, err = run.finish()
    assert code == 0 and err == ""
    for line, missing in zip(
        sorted(lines, key=len),
        ("5 CPU (this node has 2)", "2 dongle (this node has 0)", "1.5 license (this node has 1)"),
    ):
        assert line.startswith("bolide: ") and "can never run on this node" in line, line
        assert f"it lacks {missing}. " in line


def test_b2_13_infeasible_request_warns_while_the_driver_does_nothing(program):
    """A task of a task asks for what there is not, and no thread is in a call."""
    run = program(
        """
ray.init(num_cpus=1)
never = ray.remote(num_gpus=1)(lambda: 1)
refs = ray.get(ray.remote(lambda: [never.remote()]).remote())
say("submitted")
signal.pause()
"""
    )
    run.expect("submitted")
    submitted = time.monotonic()
    line = run.process.stderr.readline()
    assert time.monotonic() - submitted < 5
    assert "it lacks 1 GPU (this node has 0). Start the runtime with more (num_cpus, " in line


@pytest.mark.parametrize("returned", [(), (1,), (1, 2, 3), 5, None])
def test_b2_14_num_returns_that_do_not_match(one, returned):
    task = bolide.remote(num_returns=2)(lambda: returned)
    for ref in task.remote():
        with pytest.raises(ValueError, match="num_returns=2.*must return 2 values"):
            one.get(ref)
    goes_on(one)


def test_b2_14_one_of_several_returns_that_cannot_be_pickled(one):
    task = bolide.remote(num_returns=3)(lambda: (1, threading.Lock(), bytes(100_000)))
    for ref in task.remote():
        with pytest.raises(RayTaskError, match="lock"):
            one.get(ref)
    del ref
    goes_on(one)
    wait_until(lambda: one.stats["store"]["live"] == 0)


def test_b2_15_init_twice_and_use_after_shutdown(start):
    runtime = start(num_cpus=1)
    with pytest.raises(RuntimeError, match="ray.init twice"):
        bolide.init()
    assert (
        bolide.init(ignore_reinit_error=True)["address"]
        == bolide.init(ignore_reinit_error=True)["address"]
    )
    ref = runtime.put([1])
    done = same.remote(3)
    assert runtime.get(done) == 3
    bolide.shutdown()
    bolide.shutdown()
    assert not bolide.is_initialized()
    for old in (ref, done):
        with pytest.raises(RaySystemError, match=r"shut down.*bolide.init\(\)"):
            bolide.get(old)
        with pytest.raises(RaySystemError, match="shut down"):
            bolide.wait([old], timeout=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_cpus": -1}, "num_cpus"),
        ({"num_cpus": "2"}, "num_cpus"),
        ({"num_cpus": float("nan")}, "num_cpus"),
        ({"num_gpus": -1}, "num_gpus"),
        ({"resources": {"CPU": 1}}, "CPU"),
        ({"resources": {"x": -1}}, "x"),
        ({"object_store_memory": -1}, "object_store_memory"),
        ({"object_store_memory": "many"}, "object_store_memory"),
        ({"no_such_keyword": 1}, "no_such_keyword"),
        ({"address": "ray://nowhere:1"}, "ray://nowhere:1"),
        ({"runtime_env": {"pip": ["x"]}}, "runtime_env has 'pip', which this version does not"),
    ],
    ids=str,
)
def test_b2_15_init_with_bad_values(start, options, said):
    with pytest.raises((ValueError, TypeError, RuntimeError, ConnectionError), match=said):
        start(**options)
    assert not bolide.is_initialized()
    goes_on(start(num_cpus=1))


def test_get_times_out_and_can_be_repeated(one, journal, gate):
    from fault_tools import pass_gate

    ref = bolide.remote(pass_gate).remote(gate.path)
    for _ in range(3):
        with pytest.raises(GetTimeoutError, match="Get timed out"):
            one.get(ref, timeout=0.01)
    with pytest.raises(GetTimeoutError):
        one.get(ref, timeout=0)
    gate.open()
    assert one.get(ref, timeout=30) is None


def test_a_failed_dependency_fails_the_task_with_the_first_error(one):
    @bolide.remote
    def fails():
        raise ZeroDivisionError("first")

    bad = fails.remote()
    chain = bad
    for _ in range(50):
        chain = same.remote(chain)
    with pytest.raises(ZeroDivisionError, match="first"):
        one.get(chain)
    with pytest.raises(ZeroDivisionError):
        one.get([same.remote(1), chain])
    del bad, chain
    goes_on(one)


def test_wrong_arguments_are_refused_at_submission(one):
    with pytest.raises(TypeError, match="model"):
        same.remote()
    with pytest.raises(TypeError):
        same.remote(1, 2)
    with pytest.raises(TypeError):
        same.remote(other=1)
    with pytest.raises(TypeError, match="remote"):
        same(1)
    goes_on(one)


def test_every_error_is_a_ray_error(one):
    with pytest.raises(RayError):
        one.get(bolide.remote(max_retries=0)(lambda: os.abort()).remote())
    goes_on(one)
