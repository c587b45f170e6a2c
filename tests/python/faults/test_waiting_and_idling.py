"""Nobody waits for what is not needed, and nobody works when there is nothing to do.

A long task delays no short one, a queued task that another waits for runs, and an idle runtime
takes no CPU and little memory. Figures are printed. A promise of milliseconds is held by the best
of some rounds, which a loaded machine does not spoil; the worst has a generous limit.
"""

from __future__ import annotations

import os
import time

import pytest
from fault_tools import pass_gate, wait_until

import bolide


@bolide.remote
def blocked(journal, path):
    journal.note("blocked")
    pass_gate(path)
    return "passed"


@bolide.remote
def tiny(i):
    return i


def delays_behind_a_long_task(runtime, journal, gate, rounds):
    """Short tasks, one that blocks, short tasks: the times that those behind it took, sorted."""
    runtime.get([tiny.remote(i) for i in range(20_000)])
    delays = []
    for round in range(rounds):
        before = [tiny.remote(i) for i in range(30)]
        long = blocked.remote(journal, gate.path)
        began = time.perf_counter()
        after = [tiny.remote(i) for i in range(30)]
        assert runtime.get(after, timeout=20) == [*range(30)]
        delays.append(time.perf_counter() - began)
        assert runtime.get(before) == [*range(30)]
        wait_until(lambda round=round: journal.count("blocked") == round + 1)
        ready, _ = runtime.wait([long], timeout=0)
        assert not ready
        gate.open()
        assert runtime.get(long, timeout=20) == "passed"
    delays.sort()
    print(
        f"30 short tasks behind a long one took {delays[rounds // 2] * 1e3:.2f} ms (median of "
        f"{rounds}), {delays[0] * 1e3:.2f} to {delays[-1] * 1e3:.2f}"
    )
    return delays


def test_a_long_task_behind_short_ones_delays_nothing_else(two, journal, gate):
    delays = delays_behind_a_long_task(two, journal, gate, 15)
    assert delays[0] <= 0.005 and delays[-1] <= 0.5


@pytest.mark.slow
@pytest.mark.soak
def test_a_long_task_behind_short_ones_delays_nothing_else_in_500_rounds(two, journal, gate):
    """On a quiet machine: one in a hundred may meet a hiccup of the system."""
    delays = delays_behind_a_long_task(two, journal, gate, 500)
    assert delays[494] <= 0.005


def test_a_long_task_delays_no_result_that_is_there_already(two, journal, gate):
    """The results of short tasks ahead of a blocked one in the same ring are not held back."""
    two.get([tiny.remote(i) for i in range(20_000)])
    for round in range(5):
        before = [tiny.remote(i) for i in range(20)]
        long = blocked.remote(journal, gate.path)
        assert two.get(before, timeout=20) == [*range(20)]
        wait_until(lambda round=round: journal.count("blocked") == round + 1)
        gate.open()
        two.get(long)


@pytest.mark.parametrize("cpus", [2, 4])
def test_a_task_may_wait_for_a_file_that_a_later_one_writes(start, tmp_path, cpus):
    runtime = start(num_cpus=cpus)
    runtime.get([tiny.remote(i) for i in range(20_000)])

    @bolide.remote
    def reads(path):
        wait_until(lambda: os.path.exists(path), 30)
        return "read"

    @bolide.remote
    def writes(path):
        open(path, "w").close()
        return "written"

    for i in range(20):
        path = str(tmp_path / f"file{i}")
        first = reads.remote(path)
        fill = [tiny.remote(k) for k in range(i)]
        second = writes.remote(path)
        assert runtime.get([first, second], timeout=30) == ["read", "written"]
        assert runtime.get(fill) == [*range(i)]


def test_a_blocked_worker_gives_its_queue_back(start, journal, gate):
    """One CPU: a task that waits in get lends it, so those behind it run."""
    runtime = start(num_cpus=1)
    runtime.get([tiny.remote(i) for i in range(5000)])

    @bolide.remote(num_cpus=0)
    def outside(path):
        pass_gate(path)
        return 1

    @bolide.remote
    def waits(path):
        journal.note("waits")
        return bolide.get(outside.remote(path)) + 1

    ref = waits.remote(gate.path)
    behind = [tiny.remote(i) for i in range(50)]
    wait_until(lambda: journal.count("waits"))
    assert runtime.get(behind, timeout=30) == [*range(50)]
    gate.open()
    assert runtime.get(ref, timeout=30) == 2


def cpu_ns(pids):
    """Nanoseconds on a CPU of all threads of the processes."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
    return total


def idle_cost(runtime, seconds):
    runtime.get([tiny.remote(i) for i in range(5000)])
    runtime.put(bytes(5_000_000))
    # Warm memory is trimmed a second after the last put; then there is nothing more to do.
    quiet = time.monotonic() + 2.5
    wait_until(lambda: time.monotonic() > quiet, 10)
    processes = [runtime.node.template_pid(), *runtime.pids()]
    mine = f"/proc/{os.getpid()}/task"

    def driver_threads():
        total = 0
        for task in os.listdir(mine):
            if int(task) == os.getpid():
                continue  # the thread of this test, which is looking at its watch
            with open(f"{mine}/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        return total

    before = cpu_ns(processes) + driver_threads()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(max(0, until - time.monotonic()))  # what is measured is that nothing happens
    used = cpu_ns(processes) + driver_threads() - before
    print(f"idle for {seconds} s: {used / 1e6:.2f} ms of CPU in driver, template and workers")
    return used


def test_idle_runtime_takes_no_cpu(two):
    assert idle_cost(two, 3) <= 10e6


@pytest.mark.slow
@pytest.mark.soak
def test_idle_runtime_takes_no_cpu_over_10_seconds(two):
    assert idle_cost(two, 10) <= 10e6


def test_idle_workers_memory(program):
    """A program without imports of its own: all that is private to a worker is the runtime's."""
    run = program(
        """
f = ray.remote(lambda x: x)
ray.init(num_cpus=2)
ray.get([f.remote(i) for i in range(1000)])
for pid in ray._runtime._node.worker_pids():
    private = 0
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Private_"):
                private += int(line.split()[1])
    say("private", private)
say("end")
"""
    )
    run.expect("end")
    for line in run.seen[:-1]:
        kib = int(line.split()[1])
        print(f"idle worker: {kib / 1024:.2f} MiB private to it")
        assert kib <= 3 * 1024
