"""What the object store is asked for and cannot give: each a sentence, and the runtime goes on.

Beside it: a full store and a broken disk (integration/test_spilling.py), and objects of 2 GiB and
more (integration/test_large.py).
"""

from __future__ import annotations

import os
import re
import shutil
import time

import numpy
import pytest
from bad_input_tools import goes_on, same

import bolide
from bolide.exceptions import ObjectStoreFullError, OutOfDiskError

MIB = 1 << 20
BUDGET = 16 * MIB
TOO_LARGE = 3 * MIB  # elements of 8 bytes
WITHIN = 3.0  # seconds, for an error


@pytest.fixture
def small(start, tmp_path):
    return start(num_cpus=1, object_store_memory=BUDGET, object_spilling_directory=str(tmp_path))


@bolide.remote
def make(elements, in_place):
    return (bolide if in_place else numpy).zeros(elements)


@pytest.mark.parametrize(
    "use",
    [
        lambda: bolide.put(numpy.zeros(TOO_LARGE)),
        lambda: bolide.put(bytes(8 * TOO_LARGE)),
        lambda: bolide.put([1, {"deep": numpy.zeros(TOO_LARGE)}]),
        lambda: same.remote(numpy.zeros(TOO_LARGE)),
        lambda: bolide.get(make.remote(TOO_LARGE, False)),
        lambda: bolide.get(make.remote(TOO_LARGE, True)),
        lambda: bolide.empty(TOO_LARGE),
        lambda: bolide.array(numpy.zeros(TOO_LARGE)),
    ],
    ids=["put", "bytes", "nested", "argument", "result", "result in place", "empty", "array"],
)
def test_an_object_larger_than_the_store(small, use):
    started = time.monotonic()
    with pytest.raises(ObjectStoreFullError) as caught:
        use()
    assert time.monotonic() - started < WITHIN
    assert re.search(
        r"an object of 24\.0 MiB is larger than the whole object store of 16\.0 MiB; start with a "
        "larger object_store_memory",
        str(caught.value),
    )
    del caught
    goes_on(small)


@pytest.mark.parametrize(
    "value", [-1, 0, 10, 2**60, float("nan"), float("inf"), "-5", "-1GB", 1.5, True, []], ids=repr
)
@pytest.mark.parametrize("way", ["argument", "variable"])
def test_a_budget_that_cannot_be(start, monkeypatch, value, way):
    said = repr(value) if way == "argument" else repr(str(value))
    name = "object_store_memory"
    if way == "variable":
        name = "the environment variable BOLIDE_OBJECT_STORE_MEMORY"
        monkeypatch.setenv("BOLIDE_OBJECT_STORE_MEMORY", str(value))
    with pytest.raises(ValueError) as caught:
        start(**{"object_store_memory": value} if way == "argument" else {})
    assert str(caught.value) == (
        f"{name} is {said}, but it must be a number of bytes from 1048576 to 281474976710656, such "
        "as 2GiB; leave it out for a value that fits this machine."
    )
    assert not bolide.is_initialized()


@pytest.mark.parametrize("folder", ["/nonexistent/spill", "/proc/version", "", "no/such", 5])
def test_a_folder_that_is_none(start, folder):
    with pytest.raises(ValueError) as caught:
        start(num_cpus=1, object_spilling_directory=folder)
    assert str(caught.value) == (
        f"object_spilling_directory is {str(folder)!r}, which is no directory; make it first, or "
        "leave it out for /var/tmp"
    )
    assert not bolide.is_initialized()


def fill_until_told():
    """The error, of a store that cannot spill; and the values are all there."""
    refs = []
    started = time.monotonic()
    with pytest.raises(OutOfDiskError) as caught:
        while True:
            refs.append(bolide.put(numpy.full(4 * MIB // 8, len(refs))))
            started = time.monotonic()
    assert time.monotonic() - started < WITHIN
    assert all((bolide.get(ref) == number).all() for number, ref in enumerate(refs))
    said = str(caught.value)
    del caught, refs
    return said


OUT_OF_DISK = (
    "the object store has no room for an object of 4.0 MiB: 12.0 MiB of its 16.0 MiB are in use; "
    "drop references that are no longer needed, or start with a larger object_store_memory. "
    "The largest objects in it: 4.0 MiB, held by the driver; 4.0 MiB, held by the driver; "
    "4.0 MiB, held by the driver. Start with BOLIDE_RECORD_REF_CREATION_SITES=on in the "
    "environment to be told where they were made. Spilling to {0} failed: making a file in {0}: "
    "{1}. Free disk space there, or choose another folder with object_spilling_directory"
)


def test_a_folder_in_which_no_file_can_be_made(start):
    """Also not by root: /proc."""
    start(num_cpus=1, object_store_memory=BUDGET, object_spilling_directory="/proc")
    said = fill_until_told()
    assert said == OUT_OF_DISK.format("/proc", "No such file or directory (errno 2)")


@pytest.mark.skipif(
    os.getuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere"
)
def test_a_folder_that_may_not_be_written(program, tmp_path):
    folder = tmp_path / "spill"
    folder.mkdir()
    folder.chmod(0o555)
    prefix = ()
    if os.getuid() == 0:  # as root without the right to pass over permissions
        rights = "-dac_override,-fowner"
        prefix = ("setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}")
    run = program(
        f"""
try:
    ray.init(num_cpus=1, object_spilling_directory={str(folder)!r})
except ValueError as error:
    say("told", error, ray.is_initialized())
""",
        prefix=prefix,
    )
    assert run.expect("told") == (
        f"object_spilling_directory is {str(folder)!r}, which this user may not write; choose "
        "another, or leave it out for /var/tmp False"
    )
    assert run.finish()[0] == 0


@pytest.mark.parametrize(
    ("name", "use", "dtype"),
    [
        ("empty", lambda: bolide.empty(3, object), "object"),
        ("zeros", lambda: bolide.zeros(100_000, [("a", "O")]), "[('a', 'O')]"),
        ("array", lambda: bolide.array([1, "a", None]), "object"),
    ],
    ids=["empty", "zeros", "array"],
)  # fmt: skip
def test_arrays_of_objects_are_not_made_in_the_store(one, name, use, dtype):
    with pytest.raises(TypeError) as caught:
        use()
    assert str(caught.value) == (
        f"bolide.{name}() was asked for dtype {dtype}, but arrays of Python objects cannot lie in "
        "shared memory; use a dtype of fixed size, or numpy and put()"
    )
    goes_on(one)


EMPTY = [
    b"", "", bytearray(), memoryview(b""), [], (), {}, numpy.zeros(0), numpy.zeros((0, 3), "i2"),
    numpy.zeros((3, 0, 2), "f4", order="F"), numpy.zeros(0, "S7"), numpy.zeros(0, [("a", "i4")]),
    numpy.zeros(9, "V0"), numpy.zeros(100_000)[:0], numpy.zeros(0, object),
]  # fmt: skip


@pytest.mark.parametrize("value", EMPTY, ids=lambda value: type(value).__name__)
def test_objects_of_no_bytes(one, value):
    def is_same(back):
        assert type(back) is type(value)
        if isinstance(value, numpy.ndarray):
            assert (back.dtype, back.shape) == (value.dtype, value.shape)
        elif isinstance(value, memoryview):
            assert bytes(back) == b""
        else:
            assert back == value

    is_same(one.get(one.put(value)))
    is_same(one.get(same.remote(value)))
    is_same(one.get(same.remote([value]))[0])
    is_same(one.get(one.put({"deep": value}))["deep"])
    assert one.stats["store"]["live"] == 0
