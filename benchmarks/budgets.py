"""What each benchmark may cost: the one table that `pytest benchmarks --gate` asserts.

It measures nothing. A limit is a ratio to its unit, so it holds on slow and on fast machines; a
row without a limit is reported only. Invariants: every benchmark has a row here, and looks it up
by name.
"""

from __future__ import annotations

from dataclasses import dataclass

from .units import FUTEX, MICROSECOND, PLAIN_CALL


@dataclass(frozen=True)
class Budget:
    """`limit` times `unit`, not to be exceeded (or, with `at_least`, to be reached)."""

    unit: str
    limit: float | None = None
    at_least: bool = False
    ray: str = ""  # what Ray 2.60 takes on 2 cores, in the same unit

    def is_held_by(self, ratio: float) -> bool:
        """Whether a measured ratio keeps this budget."""
        if self.limit is None:
            return True
        return ratio >= self.limit if self.at_least else ratio <= self.limit


START_UP = "first program, whole process"
TASK_SYNC = "task: submit one, get it"
TASK_SYNC_FUTEX = "task: submit one, get it (in wake-ups)"
TASKS_INT = "task: 100,000 in flight, one int"
TASKS_MIXED = "task: 100,000 in flight, (i, 'a')"
GET_SMALL = "get of a local {}"
PUT_SMALL = "put of a small {}"
PUT_WARM = "put of a touched {} array into warm store"
PUT_COLD = "put of 256 MiB into memory never touched"
PUT_RESIDENT = "put of {} made in the store"
SECOND_GET = "second get of 1 GiB in another process, and a sum of it"
ONE_COPY = "200 MB read-only argument of 1,000 tasks: most copies"
LIVE = "1,000,000 live {} of 1 KiB: beyond their data, each"
FIRST_GET = "first get in another process of {}"
SPILL = "map-reduce of 3 x the object store"
WAIT_LOOP = "wait(num_returns=1) loop over 10,000 refs"
AS_COMPLETED = "as_completed of 100,000 refs"
STREAM_ITEM = "generator: one item of 1,000,000"
STREAM_ITEM_IN_TASK = "generator: one item of 100,000, taken by a task"
STREAM_MEMORY = "generator of 1,000,000, slow consumer: driver growth"
QUEUED = "1,000,000 tasks queued: driver memory a task"
STREAMED = "tasks streamed through a window: driver growth"
MANY_ARGUMENTS = "10,000 refs as arguments of one task: one"
MANY_RETURNS = "3,000 returns of one task: one"
GET_MANY = "get of 10,000 refs: one"
FIB = "fib(18) by nested tasks: one task"
FIB_PROCESSES = "fib(18) by nested tasks: most processes"
POOL_MAP = "Pool.map of 100,000 items, no-op"
POOL_MAP_SMALL = "Pool.map of 100,000 items, small function"
EXECUTOR = "Executor: 5,000 submitted, then their results"
ACTOR_SYNC = "actor: call, get it"
ACTOR_ASYNC = "actor: 100,000 calls in flight"
ACTOR_MANY = "actors: 4 tasks call 4 actors"
ACTOR_SUSPENDED = "actor: 1,000 coroutines that suspend"
GRAPH_EDGE = "compiled graph of 3 actors: 10,000 in flight, one edge"
GRAPH_SYNC = "compiled graph of 3 actors: execute, get it, one edge"
ALLREDUCE = "allreduce of 100 MB among 4 actors"
ACTOR_CREATION = "actors: creation of one of 1,000"
ACTOR_MEMORY = "actors: memory of 1,000"

ABSOLUTE = (
    MICROSECOND,
    "byte",
    "MiB",
    "process",
    "copy",
)  # units that are the same on every machine
SMALL_KINDS = ("int", "str", "bytes")
KILOBYTE = {"1 KiB of bytes": (16, 6), "1 KiB array": (30, 20)}  # limits of put and of get
LIVE_KINDS = ("bytes", "array")
FIRST_GET_SIZES = {"1 MiB": 1 << 20, "256 MiB": 256 << 20, "1 GiB": 1 << 30}
WARM_SIZES = {"1 MiB": 1 << 20, "16 MiB": 16 << 20, "256 MiB": 256 << 20, "1 GiB": 1 << 30}
RESIDENT_SIZES = {"1 MiB": 1 << 20, "1 GiB": 1 << 30}

BUDGETS: dict[str, Budget] = {
    START_UP: Budget("python -c pass", 8, ray="several hundred"),
    TASK_SYNC: Budget(PLAIN_CALL, 60, ray="50,000"),
    TASK_SYNC_FUTEX: Budget(FUTEX),
    TASKS_INT: Budget(PLAIN_CALL, 20, ray="11,000"),
    TASKS_MIXED: Budget(PLAIN_CALL, 40),
    **{GET_SMALL.format(kind): Budget(PLAIN_CALL, 5, ray="990") for kind in SMALL_KINDS},
    **{PUT_SMALL.format(kind): Budget(PLAIN_CALL, 12, ray="6,400") for kind in SMALL_KINDS},
    **{PUT_SMALL.format(kind): Budget(PLAIN_CALL, put) for kind, (put, _) in KILOBYTE.items()},
    **{GET_SMALL.format(kind): Budget(PLAIN_CALL, get) for kind, (_, get) in KILOBYTE.items()},
    **{LIVE.format(kind): Budget("byte", 300) for kind in LIVE_KINDS},
    **{PUT_WARM.format(size): Budget("memcpy by one thread", 1.5, True) for size in WARM_SIZES},
    PUT_COLD: Budget("first touch by two threads", 1.0, at_least=True),
    **{PUT_RESIDENT.format(size): Budget(MICROSECOND, 50) for size in RESIDENT_SIZES},
    SECOND_GET: Budget("sum of a private array", 1.1),
    ONE_COPY: Budget("copy", 1.01),
    **{FIRST_GET.format(size): Budget(MICROSECOND, 100) for size in FIRST_GET_SIZES},
    SPILL: Budget("fdatasynced sequential write", 0.5, at_least=True),
    WAIT_LOOP: Budget("same loop of list slices", 2),
    AS_COMPLETED: Budget(MICROSECOND, 200_000),
    STREAM_ITEM: Budget(PLAIN_CALL, 40),
    STREAM_ITEM_IN_TASK: Budget(PLAIN_CALL, 40),
    STREAM_MEMORY: Budget("MiB", 8),
    QUEUED: Budget("byte", 400),
    STREAMED: Budget("MiB", 8),  # a leak of 8 bytes a task would be 61 MiB in 8,000,000 tasks
    MANY_ARGUMENTS: Budget(PLAIN_CALL),
    MANY_RETURNS: Budget(PLAIN_CALL),
    GET_MANY: Budget(PLAIN_CALL),
    FIB: Budget(PLAIN_CALL),
    FIB_PROCESSES: Budget("process", 32),
    POOL_MAP: Budget("multiprocessing.Pool.map", 1.2, at_least=True),
    POOL_MAP_SMALL: Budget("multiprocessing.Pool.map", 1.2, at_least=True),
    EXECUTOR: Budget("ProcessPoolExecutor", 3, at_least=True),
    ACTOR_SYNC: Budget(PLAIN_CALL, 60, ray="30,000"),
    ACTOR_ASYNC: Budget(PLAIN_CALL, 20, ray="9,600"),
    ACTOR_MANY: Budget(PLAIN_CALL),
    GRAPH_EDGE: Budget(PLAIN_CALL, 25),
    GRAPH_SYNC: Budget(PLAIN_CALL),
    ALLREDUCE: Budget("memory bound of an allreduce", 1.5),
    ACTOR_SUSPENDED: Budget("asyncio and 15 plain calls", 1.3),  # 1.3 x asyncio + 20 plain calls
    ACTOR_CREATION: Budget(MICROSECOND, 10_000),
    ACTOR_MEMORY: Budget("MiB", 4096),
}
