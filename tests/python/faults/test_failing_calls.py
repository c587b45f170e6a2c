"""Every system call of the core fails once, in each thing that a program does (RELIABILITY A16).

For N = 1, 2, ... the Nth visit to a fault point fails, until the work is done without a failure: so
every call was the one that failed. What must come is the right result, or an error that says what
could not be done; afterwards the same work succeeds, and the leak gate finds nothing.
"""

from __future__ import annotations

import numpy
import pytest

import bolide
from bolide import _core
from bolide.exceptions import RayError, RaySystemError

pytestmark = pytest.mark.fault_points

POINTS = (
    "memfd.create", "memfd.seal", "memory.map", "event.create", "pipe.create", "socket.create",
    "socket.send", "fd.dup", "process.spawn", "process.pidfd", "thread.start",
)  # fmt: skip
MOST = 200  # visits to one point, in what is done here


@bolide.remote
def total(array):
    return int(array.sum())


@bolide.remote
def large(n):
    return numpy.arange(n)


@bolide.remote
class Keeper:
    def keep(self, array):
        self.kept = array
        return len(array)


def put_and_get():
    assert (bolide.get(bolide.put(numpy.arange(50_000))) == numpy.arange(50_000)).all()
    return 0


def put_of_megabytes():
    assert (bolide.get(bolide.put(numpy.ones(1 << 18)))).sum() == 1 << 18
    return 0


def submit_and_get():
    return bolide.get(total.remote(numpy.arange(10)), timeout=30) - 45


def submit_with_large_arguments():
    return bolide.get(total.remote(numpy.ones(100_000, dtype=int)), timeout=30) - 100_000


def get_of_a_large_result():
    return int(bolide.get(large.remote(100_000), timeout=30)[-1]) - 99_999


def use_of_an_actor():
    return bolide.get(Keeper.remote().keep.remote(numpy.arange(50_000)), timeout=30) - 50_000


WORK = (
    put_and_get, put_of_megabytes, submit_and_get, submit_with_large_arguments,
    get_of_a_large_result, use_of_an_actor,
)  # fmt: skip


def fails_at(point, nth, work):
    """Runs `work` with the Nth visit failing: whether it raised, whether it came so far."""
    failed = False
    _core.arm_faults(f"{point}=fail@{nth}", 0)
    try:
        assert work() == 0
    except RayError as error:
        failed = True
        assert len(str(error)) > 20, error
    finally:
        visits = _core.fault_visits()
        _core.arm_faults("", 0)
    return failed, visits >= nth


@pytest.mark.parametrize("point", POINTS)
def test_a16_every_nth_call_fails_in_use(start, point):
    """Each time in a runtime that has done nothing yet, so that there is something to be made."""
    for work in WORK:
        errors = 0
        for nth in range(1, MOST):
            runtime = start(num_cpus=1)
            failed, reached = fails_at(point, nth, work)
            errors += failed
            assert work() == 0
            assert runtime.node.audit()
            bolide.shutdown()
            if not reached:
                break
        print(f"{point} in {work.__name__}: {nth - 1} visits, {errors} errors")


@pytest.mark.parametrize("point", POINTS)
def test_a16_every_nth_call_fails_in_init_and_shutdown(start, point):
    def lifetime():
        try:
            start(num_cpus=1)
            return submit_and_get()
        finally:
            bolide.shutdown()

    errors = 0
    for nth in range(1, MOST):
        failed, reached = fails_at(point, nth, lifetime)
        errors += failed
        assert lifetime() == 0
        if not reached:
            break
    print(f"{point} in init, one task and shutdown: {nth - 1} visits, {errors} errors")


def test_a16_the_error_names_what_could_not_be_done(start):
    _core.arm_faults("memfd.create=fail@1", 0)
    try:
        with pytest.raises(RaySystemError, match="cannot|Cannot"):
            start(num_cpus=1)
    finally:
        _core.arm_faults("", 0)
