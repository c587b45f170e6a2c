"""The functions of collective communication, as members of groups call them.

They check arguments; tensors become flat arrays in `_tensors`, and what is done with these is in
`_group`.
Follows Ray's page "Ray Collective API". Thread safety: one thread of a process at a time.
"""

from __future__ import annotations

from ... import get, get_actor, get_runtime_context, kill, remote
from ._group import Group
from ._meeting import NAMESPACE, Meeting
from ._tensors import Flat, FlatList
from .types import Backend, ReduceOp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_groups: dict[str, Group] = {}


def nccl_available() -> bool:
    """False: NCCL is for GPUs."""
    return False


def gloo_available() -> bool:
    """True: what is asked for as GLOO works, through the object store."""
    return True


def init_collective_group(
    world_size: int,
    rank: int,
    backend: str = "gloo",
    group_name: str = "default",
    gloo_timeout: int = 30_000,
) -> None:
    """Makes this process a member of a group. All members call it.

    Args:
        world_size: how many members the group has.
        rank: which of them this is, from 0.
        backend: "gloo" or "torch_gloo"; data goes through the object store in any case.
        group_name: its name.
        gloo_timeout: has no meaning here.

    Raises:
        ValueError: an argument is out of range.
        RuntimeError: this process is in such a group already, or its rank is taken; or NCCL.

    Follows Ray's page "init_collective_group".
    """
    Backend(backend)
    _check_name(group_name)
    if group_name in _groups:
        raise RuntimeError(
            f"Trying to initialize a group twice: this process is in the group {group_name!r} "
            "already; destroy it first, or choose another name."
        )
    _check_size(world_size)
    _check_rank("rank", rank, world_size)
    meeting = _Meeting.options(name=group_name, get_if_exists=True).remote(world_size, None)
    wrong = get(meeting.join.remote(world_size, rank))
    if wrong:
        raise RuntimeError(
            f"the group {group_name!r} cannot be joined: {wrong}. Destroy the former group with "
            "destroy_collective_group in its members or in the driver, or choose another name."
        )
    _groups[group_name] = Group(group_name, world_size, rank, meeting)


def create_collective_group(
    actors: list[Any],
    world_size: int,
    ranks: list[int],
    backend: str = "gloo",
    group_name: str = "default",
    gloo_timeout: int = 30_000,
) -> None:
    """Declares that actors are a group; called by their driver. They join at their first operation.

    Args:
        actors: their handles.
        world_size: how many there are.
        ranks: the rank of each.
        backend, group_name, gloo_timeout: as in `init_collective_group`.

    Raises:
        RuntimeError: the name is taken, or the numbers do not go together; or NCCL.
        ValueError: an argument is out of range.

    Follows Ray's page "create_collective_group".
    """
    Backend(backend)
    _check_name(group_name)
    _check_size(world_size)
    if len(ranks) != len(actors):
        raise RuntimeError(
            f"Each actor should correspond to one rank. Got '{len(ranks)}' ranks but "
            f"'{len(actors)}' actors"
        )
    if sorted(ranks) != list(range(world_size)):
        raise RuntimeError(
            f"Ranks must be a permutation from 0 to {world_size - 1}, for the world_size "
            f"{world_size}. Got '{ranks}'."
        )
    by_actor = {actor._actor_id.hex(): rank for actor, rank in zip(actors, ranks)}
    try:
        meeting = _Meeting.options(name=group_name).remote(world_size, by_actor)
        get(meeting.describe.remote())
    except ValueError as error:
        raise RuntimeError(
            f"Trying to initialize a group twice: there is a group {group_name!r} already; destroy "
            "it first, or choose another name."
        ) from error


def destroy_collective_group(group_name: str = "default") -> None:
    """Takes this process out of a group; the last one ends it. In a driver: ends it at once.

    Args:
        group_name: its name. Nothing happens if there is no such group.
    """
    _check_name(group_name)
    group = _groups.pop(group_name, None)
    meeting = _find(group_name)
    if meeting is not None and (group is None or group.leave()):
        kill(meeting)


def is_group_initialized(group_name: str) -> bool:
    """Whether this process is in that group."""
    return group_name in _groups


def get_rank(group_name: str = "default") -> int:
    """The rank of this process in a group; -1 if it is not in it."""
    _check_name(group_name)
    return _groups[group_name].rank if group_name in _groups else -1


def get_collective_group_size(group_name: str = "default") -> int:
    """How many members a group has; -1 if this process is not in it."""
    _check_name(group_name)
    return _groups[group_name].size if group_name in _groups else -1


def get_group_handle(group_name: str = "default") -> Group:
    """This process' side of a group; joins it if it was declared by `create_collective_group`.

    Raises:
        RuntimeError: this process is not in it.
    """
    group = _groups.get(group_name)
    if group is not None:
        return group
    meeting = _find(group_name)
    ranks = None if meeting is None else get(meeting.describe.remote())[1]
    actor = get_runtime_context().get_actor_id()
    if meeting is None or ranks is None or actor not in ranks:
        raise RuntimeError(
            f"The collective group '{group_name}' is not initialized in the process. Call "
            "init_collective_group in every member first, or create_collective_group in the driver."
        )
    size = len(ranks)
    get(meeting.join.remote(size, ranks[actor]))
    group = _groups[group_name] = Group(group_name, size, ranks[actor], meeting)
    return group


def allreduce(tensor: Any, group_name: str = "default", op: ReduceOp = ReduceOp.SUM) -> None:
    """Reduces the tensors of all members; each has the result in its tensor.

    Args:
        tensor: a NumPy array or a torch tensor on the CPU, the same size and type everywhere.
        group_name: the group.
        op: ReduceOp.SUM, PRODUCT, MIN or MAX.

    Raises:
        RuntimeError: this process is not in the group.
        TypeError, ValueError: the tensor is of another kind, read-only, or not as the others'.

    Example:
        >>> init_collective_group(4, rank)  # in each of four actors
        >>> allreduce(gradient)

    Follows Ray's page "allreduce".
    """
    group = get_group_handle(group_name)
    with Flat(tensor) as array:
        group.allreduce(array, _check_op(op))


def reduce(
    tensor: Any, dst_rank: int = 0, group_name: str = "default", op: ReduceOp = ReduceOp.SUM
) -> None:
    """Reduces the tensors of all members into that of `dst_rank`. Arguments as in `allreduce`."""
    group = get_group_handle(group_name)
    _check_rank("dst_rank", dst_rank, group.size)
    with Flat(tensor, changes=group.rank == dst_rank) as array:
        group.reduce(array, dst_rank, _check_op(op))


def broadcast(tensor: Any, src_rank: int = 0, group_name: str = "default") -> None:
    """Copies the tensor of `src_rank` into those of all members. Arguments as in `allreduce`."""
    group = get_group_handle(group_name)
    _check_rank("src_rank", src_rank, group.size)
    with Flat(tensor, changes=group.rank != src_rank) as array:
        group.broadcast(array, src_rank)


def allgather(tensor_list: list[Any], tensor: Any, group_name: str = "default") -> None:
    """Copies the tensors of all members into `tensor_list`, by rank.

    Args:
        tensor_list: as many tensors as there are members, of the size and type of `tensor`.
        tensor: what this member gives.
        group_name: the group.

    Raises:
        RuntimeError: also where the length of the list is not that of the group.
        TypeError, ValueError: as in `allreduce`.
    """
    group = get_group_handle(group_name)
    _check_list(tensor_list, group)
    with FlatList(tensor_list) as arrays, Flat(tensor, changes=False) as array:
        group.allgather(arrays, array)


def reducescatter(
    tensor: Any,
    tensor_list: list[Any],
    group_name: str = "default",
    op: ReduceOp = ReduceOp.SUM,
) -> None:
    """Reduces ``tensor_list[rank]`` of all members into the `tensor` of the member with that rank.

    Args:
        tensor: where the result goes.
        tensor_list: for each member a tensor of the size and type of `tensor`.
        group_name: the group.
        op: as in `allreduce`.

    Raises:
        RuntimeError, TypeError, ValueError: as in `allgather`.
    """
    group = get_group_handle(group_name)
    _check_list(tensor_list, group)
    with Flat(tensor) as array, FlatList(tensor_list, changes=False) as arrays:
        group.reducescatter(array, arrays, _check_op(op))


def barrier(group_name: str = "default") -> None:
    """Waits until all members have called it."""
    get_group_handle(group_name).meet(None)


def send(tensor: Any, dst_rank: int, group_name: str = "default") -> None:
    """Sends a tensor to a member, which calls `recv`. It may be changed when this returns.

    Raises:
        RuntimeError: this process is not in the group, or is `dst_rank` itself.
        TypeError, ValueError: as in `allreduce`.
    """
    group = get_group_handle(group_name)
    _check_peer("dst_rank", dst_rank, group)
    with Flat(tensor, changes=False) as array:
        group.send(array, dst_rank)


def recv(tensor: Any, src_rank: int, group_name: str = "default") -> None:
    """Waits for the next tensor that a member sends here, and copies it into this one.

    Raises:
        RuntimeError: this process is not in the group, or is `src_rank` itself.
        TypeError, ValueError: as in `allreduce`.
    """
    group = get_group_handle(group_name)
    _check_peer("src_rank", src_rank, group)
    with Flat(tensor) as array:
        group.receive(array, src_rank)


# ---- checks


class _MeetingClass:
    """The remote class of meetings, made at first use."""

    _made: Any = None

    def options(self, **options: Any) -> Any:
        if self._made is None:
            self._made = remote(
                num_cpus=0, lifetime="detached", namespace=NAMESPACE, max_concurrency=10_000
            )(Meeting)
        return self._made.options(**options)


_Meeting = _MeetingClass()


def _find(group_name: str) -> Any:
    try:
        return get_actor(group_name, namespace=NAMESPACE)
    except ValueError:
        return None


def _check_name(group_name: Any) -> None:
    if not isinstance(group_name, str) or not group_name:
        raise ValueError(f"group_name is {group_name!r}, but it needs to be a non-empty string.")


def _check_size(world_size: Any) -> None:
    if not isinstance(world_size, int) or world_size < 1:
        raise ValueError(f"world_size is {world_size!r}, but it must be an int, 1 or more.")


def _check_rank(name: str, rank: Any, size: int) -> None:
    if not isinstance(rank, int) or not 0 <= rank < size:
        raise ValueError(f"{name} is {rank!r}, but it must be from 0 to {size - 1}.")


def _check_peer(name: str, rank: Any, group: Group) -> None:
    _check_rank(name, rank, group.size)
    if rank == group.rank:
        raise RuntimeError(f"The {name} '{rank}' is this process itself; send to another member.")


def _check_list(tensors: Any, group: Group) -> None:
    if not isinstance(tensors, list) or len(tensors) != group.size:
        raise RuntimeError(
            "The length of the tensor list operands must be equal to the world_size, which is "
            f"{group.size}; the list has {len(tensors) if isinstance(tensors, list) else 'no'} "
            "tensors."
        )


def _check_op(op: Any) -> ReduceOp:
    if not isinstance(op, ReduceOp):
        raise ValueError(f"op is {op!r}, but it must be a ReduceOp, such as ReduceOp.SUM.")
    return op
