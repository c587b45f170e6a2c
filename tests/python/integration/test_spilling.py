"""Objects that memory has no room for go to the disk and come back, or a sentence says why not."""

from __future__ import annotations

import os
import time

import numpy
import pytest

import bolide
from bolide import _core, _runtime, exceptions

MIB = 1 << 20
BUDGET = 64 * MIB
WITHIN = 3.0  # seconds, for an error


@pytest.fixture
def small(leaves_nothing, tmp_path):
    """A runtime with a small store that spills into a folder of the test."""
    bolide.init(num_cpus=2, object_store_memory=BUDGET, object_spilling_directory=str(tmp_path))
    yield bolide
    bolide.shutdown()


def store():
    return _runtime._node.stats()["store"]


def check_store_runs_empty():
    """At once, but for what is being written at this moment."""
    deadline = time.monotonic() + 10
    while (left := store())["live"] or left["spilled_objects"] or left["spilled"]:
        assert time.monotonic() < deadline, left


def block(seed, mib=8):
    return numpy.full(mib * MIB // 8, seed, dtype=numpy.int64)


def is_block(array, seed, mib=8):
    return len(array) == mib * MIB // 8 and bool((array == seed).all())


@bolide.remote
def make(seed, mib=8):
    return block(seed, mib)


@bolide.remote
def is_right(array, seed):
    return is_block(array, seed)


@bolide.remote
def gets(refs, seed):
    return is_block(bolide.get(refs[0]), seed)


def test_what_is_put_comes_back(small):
    refs = [small.put(block(seed)) for seed in range(24)]
    assert store()["spilled"] >= 3 * BUDGET - BUDGET
    assert store()["touched"] <= BUDGET
    for seed, ref in enumerate(refs):
        assert is_block(small.get(ref), seed)
    assert small.wait(refs, num_returns=24, timeout=0)[1] == []


def test_results_arguments_and_nested_references_come_back(small):
    refs = [make.remote(seed) for seed in range(24)]
    assert all(small.get([is_right.remote(ref, seed) for seed, ref in enumerate(refs)]))
    assert all(small.get([gets.remote([ref], seed) for seed, ref in enumerate(refs)]))
    assert store()["written"] > BUDGET


def test_small_objects_share_files_and_keep_what_they_contain(small):
    inner = [small.put(block(seed, 1)) for seed in range(40)]
    outer = [small.put([ref, b"x" * 20_000]) for ref in inner]
    del inner
    more = [small.put(block(seed)) for seed in range(12)]
    assert store()["spilled_objects"] > 40
    for seed, ref in enumerate(outer):
        assert is_block(small.get(small.get(ref)[0]), seed, 1)
    assert all(is_block(small.get(ref), seed) for seed, ref in enumerate(more))


def test_what_is_dropped_takes_no_space(small):
    refs = [make.remote(seed) for seed in range(24)]
    small.wait(refs, num_returns=24)
    del refs
    check_store_runs_empty()


def test_files_have_no_names_and_are_few(small, tmp_path):
    refs = [small.put(numpy.full(30_000, seed % 256, dtype=numpy.uint8)) for seed in range(5000)]
    assert store()["spilled_objects"] > 1000
    assert os.listdir(tmp_path) == []
    assert len(spill_files(tmp_path)) < 5
    assert all((small.get(ref) == seed % 256).all() for seed, ref in enumerate(refs[:300]))


def test_views_and_arrays_written_in_place_stay(small):
    draft = small.empty(MIB, dtype=numpy.int64)
    draft[:] = 7
    own = small.put(draft)
    viewed = small.get(small.put(block(5)))
    refs = [small.put(block(seed)) for seed in range(24)]
    assert is_block(viewed, 5)
    assert is_block(draft, 7)
    assert is_block(small.get(own), 7)
    assert is_block(small.get(refs[0]), 0)


def test_everything_viewed_is_an_error_that_names_the_holders(small):
    views = small.get([small.put(block(seed)) for seed in range(7)])
    started = time.monotonic()
    with pytest.raises(exceptions.ObjectStoreFullError) as caught:
        small.put(block(9, 16))
    assert time.monotonic() - started < WITHIN
    sentence = str(caught.value)
    assert "no room for an object of 16.0 MiB" in sentence
    assert "its 64.0 MiB are in use" in sentence
    assert "The largest objects in it: 8.0 MiB, held by the driver, which views it" in sentence
    started = time.monotonic()
    with pytest.raises(exceptions.ObjectStoreFullError, match="16.0 MiB"):
        small.get(make.remote(9, 16))
    assert time.monotonic() - started < WITHIN
    del views
    assert is_block(small.get(make.remote(9, 16)), 9, 16)


def test_an_object_larger_than_the_store_is_refused_at_once(small):
    with pytest.raises(exceptions.ObjectStoreFullError, match="larger than the whole object store"):
        small.put(block(1, 65))
    with pytest.raises(exceptions.ObjectStoreFullError, match="larger than the whole object store"):
        small.get(make.remote(1, 65))


def test_a_value_that_finds_no_room_to_come_back_is_there_later(small):
    first = small.put(block(1, 16))
    views = small.get([small.put(block(seed)) for seed in range(6)])
    fillers = small.get([small.put(block(8))])
    with pytest.raises(exceptions.ObjectStoreFullError, match="no room for an object of 16.0 MiB"):
        small.get(first)
    with pytest.raises(exceptions.ObjectStoreFullError, match="no room for an object of 16.0 MiB"):
        small.get(gets.remote([first], 1))
    del views, fillers
    assert is_block(small.get(first), 1, 16)


@bolide.remote
class Reader:
    """Gets objects, again and again in the same process."""

    def __init__(self, *refs):
        self.refs = list(*refs)

    def get_all(self):
        try:
            return len(bolide.get(self.refs))
        except exceptions.ObjectStoreFullError as error:
            return str(error)

    def is_right(self, index, seed, mib):
        return is_block(bolide.get(self.refs[index]), seed, mib)


def test_a_failure_that_nobody_was_told_is_forgotten(small):
    refs = [small.put(block(seed, 16)) for seed in range(2)]
    views = small.get([small.put(block(seed)) for seed in range(7)])
    reader = Reader.remote(refs)
    assert "no room for an object of 16.0 MiB" in small.get(reader.get_all.remote())
    del views
    # It was not about the second one that the list was refused.
    assert small.get(reader.is_right.remote(1, 1, 16))
    assert small.get(reader.get_all.remote()) == 2


def spill_files(folder):
    """Descriptors of this process that are files without a name in that folder."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if target.startswith(str(folder)) and target.endswith("(deleted)"):
            found.append(fd)
    return found


def test_a_file_that_was_cut_short_loses_its_objects_only(small, tmp_path):
    refs = [small.put(block(seed)) for seed in range(16)]
    for fd in spill_files(tmp_path):
        os.truncate(f"/proc/self/fd/{fd}", 4 * MIB)
    lost = []
    started = time.monotonic()
    for seed, ref in enumerate(refs):
        try:
            assert is_block(small.get(ref), seed)
        except exceptions.ObjectLostError as error:
            lost.append((ref, seed))
            assert ref.hex() in str(error)
            assert "Its 8.0 MiB were written to the disk, but the file" in str(error)
            assert "It is held by the driver." in str(error)
    assert 0 < len(lost) < 16
    assert time.monotonic() - started < WITHIN
    with pytest.raises(exceptions.ObjectLostError, match="but the file"):
        small.get(gets.remote([lost[0][0]], lost[0][1]))
    with pytest.raises(exceptions.ObjectLostError, match="but the file"):
        small.get(is_right.remote(*lost[0]))


def test_a_folder_that_has_gone_is_out_of_disk(leaves_nothing, tmp_path):
    folder = tmp_path / "spill"
    folder.mkdir()
    bolide.init(num_cpus=1, object_store_memory=BUDGET, object_spilling_directory=str(folder))
    folder.rmdir()
    refs = []
    started = time.monotonic()
    with pytest.raises(exceptions.OutOfDiskError) as caught:
        for seed in range(24):
            refs.append(bolide.put(block(seed)))
            started = time.monotonic()
    assert time.monotonic() - started < WITHIN
    sentence = str(caught.value)
    assert "no room for an object of 8.0 MiB" in sentence
    assert f"Spilling to {folder} failed: making a file in {folder}" in sentence
    assert "object_spilling_directory" in sentence
    started = time.monotonic()
    with pytest.raises(exceptions.OutOfDiskError, match="no room for an object of 8.0 MiB"):
        bolide.get(make.remote(1))
    assert time.monotonic() - started < WITHIN
    assert all(is_block(bolide.get(ref), seed) for seed, ref in enumerate(refs))
    bolide.shutdown()


@pytest.mark.fault_points
def test_a_full_disk_is_out_of_disk(small):
    _core.arm_faults("file.write=fail", 0)
    refs = []
    started = time.monotonic()
    try:
        with pytest.raises(exceptions.OutOfDiskError, match="No space left on device"):
            for seed in range(24):
                refs.append(small.put(block(seed)))
                started = time.monotonic()
        assert time.monotonic() - started < WITHIN + 1  # the first attempt to write is part of it
    finally:
        _core.arm_faults("", 0)
    assert all(is_block(small.get(ref), seed) for seed, ref in enumerate(refs))
    assert len([small.put(block(seed)) for seed in range(24)]) == 24


@bolide.remote
def are_right(seeds, *arrays):
    return all(is_block(array, seed) for seed, array in zip(seeds, arrays, strict=True))


@bolide.remote
def waits_for_another(seeds, refs, *arrays):
    """Views its own arguments while a task of its own needs as much again."""
    try:
        return bolide.get(are_right.remote(seeds, *refs))
    except exceptions.ObjectStoreFullError as error:
        return str(error)


def blocks(count, first=0):
    """Numbers and references of that many blocks of 8 MiB."""
    seeds = range(first, first + count)
    return list(seeds), [bolide.put(block(seed)) for seed in seeds]


def test_tasks_whose_arguments_do_not_fit_together_run_one_after_another(small):
    """40 MiB for each of six tasks, two CPUs, 64 MiB: with halves of them both would wait."""
    given = [blocks(5, 5 * task) for task in range(6)]
    assert all(small.get([are_right.remote(seeds, *refs) for seeds, refs in given]))
    assert all(small.get([are_right.remote(seeds, *refs) for seeds, refs in reversed(given)]))
    assert _runtime._node.audit()


def test_arguments_larger_than_the_store_are_refused_at_once(small):
    seeds, refs = blocks(9)
    started = time.monotonic()
    with pytest.raises(exceptions.ObjectStoreFullError) as caught:
        small.get(are_right.remote(seeds, *refs))
    assert time.monotonic() - started < 1
    assert str(caught.value).startswith(
        "the arguments of 'are_right' take 72.0 MiB of the object store together, more than all "
        "of its 64.0 MiB; pass fewer at a time"
    )
    assert small.get(are_right.remote(seeds[:7], *refs[:7]))
    # The same object counts once, however often it is passed.
    assert small.get(are_right.remote([0] * 20, *refs[:1] * 20))


def test_a_task_that_waits_for_one_with_as_many_arguments_is_told(small):
    seeds, refs = blocks(5)
    other_seeds, others = blocks(5, 5)
    started = time.monotonic()
    told = small.get(waits_for_another.remote(other_seeds, others, *refs))
    assert "the object store has no room for an object of 8.0 MiB" in told
    assert time.monotonic() - started < 2 * WITHIN
    assert small.get(are_right.remote(other_seeds, *others))
    assert small.get(are_right.remote(seeds, *refs))


def test_a_task_that_waits_for_room_can_be_cancelled(small, tmp_path):
    os.mkfifo(tmp_path / "gate")

    @bolide.remote
    def holds(*arrays):
        with open(tmp_path / "gate") as gate:
            gate.read()
        return len(arrays)

    first = holds.remote(*blocks(5)[1])
    with open(tmp_path / "gate", "w"):  # it has begun
        seeds, refs = blocks(5, 5)
        waits = are_right.remote(seeds, *refs)
        last = are_right.remote(seeds, *refs)
        assert small.wait([waits], timeout=0.1)[0] == []
        small.cancel(waits)
        with pytest.raises(exceptions.TaskCancelledError):
            small.get(waits)
        assert small.get(make.remote(3, 1))[0] == 3  # others are not held up
    assert small.get(first) == 5
    assert small.get(last)


@bolide.remote
def split(seed, parts):
    """`parts` pieces of a block."""
    return list(numpy.split(numpy.arange(MIB, dtype=numpy.int64) * (seed + 1), parts))


@bolide.remote
def total(*pieces):
    return sum(int(piece.sum()) for piece in pieces)


@pytest.mark.timeout(120)
def test_map_reduce_of_three_times_the_store(small):
    blocks, parts = 24, 8  # 24 x 8 MiB; the arguments of two reducers fit into the store
    pieces = [split.options(num_returns=parts).remote(seed, parts) for seed in range(blocks)]
    totals = small.get([total.remote(*(piece[i] for piece in pieces)) for i in range(parts)])
    weight = sum(range(1, blocks + 1))
    size = MIB // parts
    assert totals == [weight * sum(range(i * size, (i + 1) * size)) for i in range(parts)]
    del pieces
    check_store_runs_empty()
