"""Collective communication: every operation over arrays of all sizes, groups, wrong use."""

from __future__ import annotations

import numpy as np
import pytest

import bolide
from bolide.util import collective
from bolide.util.collective import Backend, ReduceOp

MEMBERS = 3
SIZES = {"one element": 1, "sent whole": 1000, "in parts": 50_001}


@pytest.fixture
def Member(ray):
    """An actor that does what it is told in its process."""

    @ray.remote
    class Member:
        def __init__(self, rank=None, size=MEMBERS, name="default"):
            if rank is not None:
                collective.init_collective_group(size, rank, "gloo", name)

        def run(self, function, *args):
            return function(*args)

    return Member


@pytest.fixture
def members(ray, Member):
    """Three members of the group "default"."""
    actors = [Member.remote(rank) for rank in range(MEMBERS)]
    yield actors
    ray.get([actor.run.remote(collective.destroy_collective_group) for actor in actors])


def on_all(actors, function, *args):
    """What the function gives in each of them."""
    return bolide.get([actor.run.remote(function, *args) for actor in actors])


def mine(size, dtype=np.float32):
    """The array of this member: other numbers in each."""
    return (np.arange(size) % 97 + 1 + collective.get_rank()).astype(dtype)


def expected(size, function, dtype=np.float32):
    arrays = [(np.arange(size) % 97 + 1 + rank).astype(dtype) for rank in range(MEMBERS)]
    return function.reduce(arrays)


# ---- operations


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(
    ("op", "function"),
    [
        (ReduceOp.SUM, np.add),
        (ReduceOp.PRODUCT, np.multiply),
        (ReduceOp.MIN, np.minimum),
        (ReduceOp.MAX, np.maximum),
    ],
)
def test_allreduce(members, size, op, function):
    def work(size, op):
        array = mine(size)
        collective.allreduce(array, op=op)
        return array

    for array in on_all(members, work, size, op):
        np.testing.assert_array_equal(array, expected(size, function))


def test_allreduce_of_any_shape_and_layout(members):
    def work():
        square = mine(40_000).reshape(200, 200)
        across = mine(40_000).reshape(200, 200).T
        some = mine(80_000)[::2]
        scalar = np.array(1.5 + collective.get_rank())
        for array in (square, across, some, scalar):
            collective.allreduce(array)
        return square, across, some, float(scalar)

    for square, across, some, scalar in on_all(members, work):
        np.testing.assert_array_equal(square.reshape(-1), expected(40_000, np.add))
        np.testing.assert_array_equal(across.T.reshape(-1), expected(40_000, np.add))
        np.testing.assert_array_equal(some, expected(80_000, np.add)[::2])
        assert scalar == 1.5 * MEMBERS + 3


@pytest.mark.parametrize("dtype", ["int64", "float64", "float16", "uint8"])
def test_allreduce_of_any_type(members, dtype):
    def work(dtype):
        array = mine(40_000, dtype)
        collective.allreduce(array, op=ReduceOp.MAX)
        return array

    for array in on_all(members, work, dtype):
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, expected(40_000, np.maximum, dtype))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_reduce(members, size):
    def work(size):
        array = mine(size)
        collective.reduce(array, dst_rank=1)
        return array

    results = on_all(members, work, size)
    np.testing.assert_array_equal(results[1], expected(size, np.add))
    for rank in (0, 2):
        np.testing.assert_array_equal(results[rank], np.arange(size) % 97 + 1 + rank)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_broadcast(members, size):
    def work(size):
        array = mine(size)
        collective.broadcast(array, src_rank=2)
        return array

    for array in on_all(members, work, size):
        np.testing.assert_array_equal(array, np.arange(size) % 97 + 3)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_allgather(members, size):
    def work(size):
        arrays = [np.zeros(size, np.float32) for _ in range(3)]
        collective.allgather(arrays, mine(size))
        return arrays

    for arrays in on_all(members, work, size):
        for rank, array in enumerate(arrays):
            np.testing.assert_array_equal(array, np.arange(size) % 97 + 1 + rank)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_reducescatter(members, size):
    def work(size):
        result = np.zeros(size, np.float32)
        collective.reducescatter(result, [mine(size) * (10**part) for part in range(3)])
        return result

    for rank, array in enumerate(on_all(members, work, size)):
        np.testing.assert_array_equal(array, expected(size, np.add) * 10**rank)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_send_and_receive(members, size):
    def work(size):
        rank = collective.get_rank()
        first, second = np.zeros(size, np.float32), np.zeros(size, np.float32)
        for part in (1, 2):
            array = mine(size) * part
            collective.send(array, (rank + 1) % 3)
            array[:] = -1  # it was sent as it had been
        collective.recv(first, (rank + 2) % 3)
        collective.recv(second, (rank + 2) % 3)
        return first, second

    for rank, (first, second) in enumerate(on_all(members, work, size)):
        np.testing.assert_array_equal(first, np.arange(size) % 97 + 1 + (rank + 2) % 3)
        np.testing.assert_array_equal(second, first * 2)


def test_a_barrier_waits_for_all(members, journal, latch):
    def work(journal, latch):
        rank = collective.get_rank()
        if rank == 0:
            latch.wait()
        journal.note(f"before {rank}")
        collective.barrier()
        journal.note(f"after {rank}")

    refs = [actor.run.remote(work, journal, latch) for actor in members]
    assert bolide.wait(refs, timeout=0.1)[0] == []
    latch.open()
    bolide.get(refs)
    lines = journal.lines()
    assert sorted(lines[:3]) == ["before 0", "before 1", "before 2"]


def test_many_operations_one_after_another(members):
    def work():
        sums = []
        for i in range(30):
            array = np.full(20_000 if i % 2 else 10, collective.get_rank() + i, np.float64)
            collective.allreduce(array)
            sums.append(array[-1])
        return sums

    for sums in on_all(members, work):
        assert sums == [3 * i + 3 for i in range(30)]


def test_torch_tensors(members):
    pytest.importorskip("torch")

    def work():
        import torch

        tensor = torch.full((3, 20_000), collective.get_rank() + 1.0, requires_grad=False)
        collective.allreduce(tensor)
        gathered = [torch.zeros(5) for _ in range(3)]
        collective.allgather(gathered, torch.full((5,), float(collective.get_rank())))
        return float(tensor.sum()), [float(each[0]) for each in gathered]

    assert on_all(members, work) == [(360_000.0, [0.0, 1.0, 2.0])] * 3


# ---- groups


def test_a_group_tells_rank_and_size(members):
    def work():
        size_of = collective.get_collective_group_size
        return [(collective.get_rank(name), size_of(name)) for name in ("default", "other")]

    assert on_all(members, work) == [[(rank, 3), (-1, -1)] for rank in range(3)]


def test_a_driver_declares_a_group(ray, Member):
    actors = [Member.remote() for _ in range(3)]
    collective.create_collective_group(actors, 3, [2, 0, 1], group_name="declared")

    def work():
        array = np.array([10.0 ** collective.get_group_handle("declared").rank])
        collective.allreduce(array, "declared")
        return collective.get_rank("declared"), float(array[0])

    assert on_all(actors, work) == [(2, 111.0), (0, 111.0), (1, 111.0)]
    with pytest.raises(RuntimeError, match="there is a group 'declared' already"):
        collective.create_collective_group(actors, 3, [0, 1, 2], group_name="declared")
    collective.destroy_collective_group("declared")


def test_a_group_may_be_made_again_after_its_end(ray, Member):
    for _ in range(2):
        actors = [Member.remote(rank, 2, "again") for rank in range(2)]

        def work():
            array = np.ones(3)
            collective.allreduce(array, "again")
            collective.destroy_collective_group("again")
            return float(array[0])

        assert on_all(actors, work) == [2.0, 2.0]


def test_a_group_of_one(ray, Member):
    actor = Member.remote(0, 1, "alone")

    def work():
        array = np.ones(50_000)
        collective.allreduce(array, "alone")
        collective.barrier("alone")
        collective.destroy_collective_group("alone")
        return float(array.sum())

    assert on_all([actor], work) == [50_000.0]


# ---- wrong use


def test_wrong_groups_are_told(members, Member):
    with pytest.raises(RuntimeError, match="group 'nope' is not initialized in the process"):
        collective.allreduce(np.ones(1), "nope")
    with pytest.raises(RuntimeError, match="its rank 0 is taken already"):
        bolide.get(members[0].run.remote(len, []))
        collective.init_collective_group(3, 0)
    with pytest.raises(RuntimeError, match="it was made with world_size=3, and now world_size=4"):
        collective.init_collective_group(4, 3)
    with pytest.raises(RuntimeError, match="initialize a group twice"):
        bolide.get(members[0].run.remote(collective.init_collective_group, 3, 0))
    with pytest.raises(ValueError, match="rank is 3, but it must be from 0 to 2"):
        collective.init_collective_group(3, 3, group_name="x")
    with pytest.raises(ValueError, match="world_size is 0, but it must be an int, 1 or more"):
        collective.init_collective_group(0, 0, group_name="x")
    with pytest.raises(ValueError, match="group_name is '', but"):
        collective.init_collective_group(1, 0, group_name="")
    with pytest.raises(RuntimeError, match="Got '1' ranks but '2' actors"):
        collective.create_collective_group(members[:2], 2, [0], group_name="x")
    with pytest.raises(RuntimeError, match="must be a permutation from 0 to 1"):
        collective.create_collective_group(members[:2], 2, [0, 2], group_name="x")


def test_wrong_backends_are_told():
    with pytest.raises(RuntimeError, match="NCCL is not available: .* Use backend='gloo'"):
        Backend("nccl")
    with pytest.raises(ValueError, match="Unrecognized backend: 'mpi'"):
        Backend("mpi")
    assert Backend("GLOO") == Backend.GLOO
    assert collective.gloo_available()
    assert not collective.nccl_available()


def test_wrong_tensors_are_told(ray, Member):
    actor = Member.remote(0, 1, "one")

    def work():
        frozen = np.ones(3)
        frozen.flags.writeable = False
        found = []
        for call in (
            lambda: collective.allreduce([1, 2], "one"),
            lambda: collective.allreduce(np.array([None]), "one"),
            lambda: collective.allreduce(frozen, "one"),
            lambda: collective.allreduce(np.ones(1), "one", op="sum"),
            lambda: collective.allgather([], np.ones(1), "one"),
            lambda: collective.broadcast(np.ones(1), 1, "one"),
            lambda: collective.send(np.ones(1), 0, "one"),
        ):
            try:
                call()
            except Exception as error:
                found.append(f"{type(error).__name__}: {error}")
        collective.destroy_collective_group("one")
        return found

    wanted = [
        "TypeError: the tensor is a list, but it must be a NumPy array or a torch tensor",
        "TypeError: the tensor is an array of Python objects",
        "ValueError: the tensor is read-only",
        "ValueError: op is 'sum', but it must be a ReduceOp",
        "RuntimeError: The length of the tensor list operands must be equal to the world_size",
        "ValueError: src_rank is 1, but it must be from 0 to 0",
        "RuntimeError: The dst_rank '0' is this process itself",
    ]
    found = ray.get(actor.run.remote(work))
    assert [text[: len(start)] for text, start in zip(found, wanted)] == wanted


@pytest.mark.parametrize("sizes", [(10, 11), (50_000, 50_001)], ids=["sent whole", "in parts"])
def test_tensors_of_different_sizes_are_told(ray, Member, sizes):
    actors = [Member.remote(rank, 2, "two") for rank in range(2)]

    def work(sizes):
        try:
            collective.allreduce(np.ones(sizes[collective.get_rank("two")]), "two")
        except ValueError as error:
            return str(error)
        finally:
            collective.destroy_collective_group("two")

    for text in on_all(actors, work, sizes):
        assert "all members must give tensors of one size and type" in text
