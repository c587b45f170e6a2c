"""Native code of a task that writes where it must not (RELIABILITY A11, B2-18, B2-19).

Stored objects are kept by the kernel: who writes into a view dies. The link between a worker and
the node is writable for both, so what lies in it is checked: a worker that damages its own link, or
sends records that cannot be, is stopped with a warning, its task is retried, and nobody else is
affected.
"""

from __future__ import annotations

import random
import re

import numpy
import pytest

import bolide
from bolide.exceptions import WorkerCrashedError

LINK = 270_336  # bytes, docs/shared_memory_layout.md
TASKS, REPLIES = 4096, 135_488  # offsets of the two rings in it
CONTROL = 320  # bytes of a ring before its data


@pytest.mark.parametrize("made_by", ["driver", "worker"])
def test_a11_a_write_into_a_stored_object_kills_the_writer_only(two, made_by):
    expected = numpy.arange(100_000)

    @bolide.remote
    def make():
        return numpy.arange(100_000)

    @bolide.remote(max_retries=0)
    def overwrite(array):
        import ctypes

        assert not array.flags.writeable
        ctypes.memset(array.ctypes.data + 8 * 1234, 0xFF, 8)

    @bolide.remote
    def total(array):
        return int(array.sum())

    ref = two.put(expected) if made_by == "driver" else make.remote()
    view = two.get(ref)
    for _ in range(20):
        with pytest.raises(WorkerCrashedError, match=r"signal 11 \(SIGSEGV\)"):
            two.get(overwrite.remote(ref))
        assert two.get(total.remote(ref)) == expected.sum()
    assert (view == expected).all()


def own_link():
    """The address of this worker's link."""
    with open("/proc/self/maps") as file:
        (line,) = [line for line in file if "memfd:bolide-link" in line]
    first, last = (int(part, 16) for part in line.split()[0].split("-"))
    assert last - first == LINK
    return first


def one_more(i):
    return i + 1


@bolide.remote(max_retries=5)
def damages(journal, name, writes):
    """On its first attempt: xors bytes at offsets into the link, then uses it."""
    import ctypes

    journal.note(name)
    if journal.count(name) == 1:
        base = own_link()
        for offset, data in writes:
            for i, byte in enumerate(data):
                at = ctypes.c_ubyte.from_address(base + offset + i)
                at.value = at.value ^ byte
    nested = [bolide.remote(one_more).remote(i) for i in range(5)]
    assert bolide.get(nested) == [1, 2, 3, 4, 5]
    return numpy.full(50_000, 7)


def survives(runtime, journal, writes_of):
    """Damages a link in each of the ways; how many workers were stopped for it."""
    for name, writes in writes_of.items():
        assert (runtime.get(damages.remote(journal, name, writes), timeout=30) == 7).all()
        assert journal.count(name) in (1, 2), name
    assert runtime.get([bolide.remote(one_more).remote(i) for i in range(100)], timeout=30) == [
        *range(1, 101)
    ]
    assert runtime.node.audit()
    return runtime.retries


def flips(bits):
    return {f"bit {bit}": [(bit // 8, bytes([1 << bit % 8]))] for bit in bits}


# Bytes of a ring's control block that are in use, docs/shared_memory_layout.md.
WORDS = [*range(64, 84), *range(88, 96), *range(128, 140), *range(192, 208), *range(256, 260)]
BITS = [8 * (ring + at) + i for ring in (TASKS, REPLIES) for at in WORDS for i in range(8)]
UNUSED = [8 * at + 3 for at in range(8 * 1024) if not 64 <= at - TASKS < 260]


def test_b2_19_flipped_bits_of_a_link(two, journal):
    stopped = survives(two, journal, flips(random.Random(4711).sample(BITS, 50)))
    print(f"50 bits flipped, {stopped} workers stopped for it")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_b2_19_every_bit_of_a_link_flipped_in_turn(two, journal):
    bits = BITS + UNUSED[::16]
    stopped = survives(two, journal, flips(bits))
    print(f"{len(bits):,} bits flipped, {stopped} workers stopped for it")


def test_b2_18_garbage_in_place_of_records(two, journal, capfd):
    """The reply ring's data overwritten, with a tail that says that there is a lot of it."""
    chance = random.Random(4711)
    writes = {}
    for i in range(20):
        length = chance.choice([64, 1024, 16_384])
        writes[f"garbage {i}"] = [
            (REPLIES + CONTROL, chance.randbytes(131_072)),
            (REPLIES + 64, (length ^ chance.getrandbits(10) << 3).to_bytes(8, "little")),
        ]
    stopped = survives(two, journal, writes)
    print(f"{len(writes)} rings full of garbage, {stopped} workers stopped for it")
    warned = re.findall(r"bolide stopped a worker \(pid \d+\)", capfd.readouterr().err)
    assert stopped > 0 and len(warned) <= stopped
