"""Memory that runs short: the limit of a task, of an actor, and the machine's (rows A9 and B1-16).

What the machine has is told by a file, so that no test fills it; no task takes more than 200 MB.
"""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from fault_tools import is_alive, pass_gate, wait_until

import bolide

MB = 1 << 20
TOTAL = 1000 * MB  # of the machine in the file


@bolide.remote(max_retries=0)
def hog(size, path=None, began=None):
    """Takes `size` bytes, keeps them until the gate is opened; the file `began` gets the time."""
    if began is not None:
        with open(began, "w") as file:  # on the clock that all processes share
            file.write(str(time.monotonic()))
    held = b"x" * size
    if path is not None:
        pass_gate(path)
    return len(held)


@bolide.remote
def noted_hog(journal, what, size, path):
    held = b"x" * size
    journal.note(what)
    pass_gate(path)
    return len(held)


def kernel_kills():
    with open("/proc/vmstat") as file:
        return [line for line in file if line.startswith("oom_kill ")]


class Machine:
    """A file in the form of /proc/meminfo that says how much of 1000 MiB is available."""

    def __init__(self, path):
        self.path = path
        self.has_room()

    def has_room(self):
        self.say(900 * MB)

    def runs_low(self):
        self.say(10 * MB)

    def say(self, available):
        new = self.path.with_suffix(".new")
        new.write_text(
            f"MemTotal: {TOTAL >> 10} kB\nMemFree: 0 kB\nMemAvailable: {available >> 10} kB\n"
        )
        new.rename(self.path)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    made = Machine(tmp_path / "meminfo")
    monkeypatch.setenv("BOLIDE_MEMINFO", str(made.path))
    monkeypatch.setenv("BOLIDE_MEMORY_MONITOR_REFRESH_MS", "50")
    return made


SENTENCE = re.compile(
    r"The task '\S*hog' ran out of memory: it held (\d+)\.\d MiB, more than its limit of "
    r"50\.0 MiB \(memory=52428800\), and its worker process \(pid (\d+), (\d+)\.\d MiB RSS "
    r"without shared memory\) was killed\. It was attempt 1 of 1 \(max_retries=0\)\. Raise "
    r"memory=, or let it hold less at a time\."
)


def exceed(runtime, path):
    """A task that takes twice its limit: how long its end took, and that the sentence is right."""
    began = f"{path}.began"
    ref = hog.options(memory=50 * MB).remote(100 * MB, path, began)
    with pytest.raises(bolide.exceptions.OutOfMemoryError) as caught:
        runtime.get(ref, timeout=30)
    with open(began) as file:
        took = time.monotonic() - float(file.read())
    told = SENTENCE.fullmatch(str(caught.value))
    assert told, str(caught.value)
    held, pid, rss = map(int, told.groups())
    assert 50 <= held <= rss <= 200
    assert not is_alive(pid)
    return took


def test_a9_a_task_that_takes_twice_its_limit(two, gate):
    kills = kernel_kills()
    other = hog.remote(10 * MB, gate.path)
    times = sorted(exceed(two, gate.path) for _ in range(3))
    print(f"OutOfMemoryError after {times[0] * 1e3:.0f} to {times[-1] * 1e3:.0f} ms")
    assert times[-1] <= 1
    gate.open()
    assert two.get(other, timeout=20) == 10 * MB
    assert two.get(hog.options(memory=50 * MB).remote(20 * MB), timeout=20) == 20 * MB
    assert kernel_kills() == kills


@pytest.mark.slow
@pytest.mark.soak
def test_a9_50_tasks_that_take_twice_their_limit(two, gate):
    kills = kernel_kills()
    times = sorted(exceed(two, gate.path) for _ in range(50))
    print(
        f"OutOfMemoryError after {times[25] * 1e3:.0f} ms (median), {times[-1] * 1e3:.0f} (worst)"
    )
    assert times[-1] <= 1
    assert kernel_kills() == kills


def test_a9_an_attempt_over_the_limit_is_one_of_max_retries(two, journal, gate):
    ref = noted_hog.options(memory=50 * MB, max_retries=2).remote(
        journal, "began", 100 * MB, gate.path
    )
    with pytest.raises(bolide.exceptions.OutOfMemoryError, match=r"attempt 3 of 3"):
        two.get(ref, timeout=30)
    assert two.retries == 2


def test_a9_a_second_attempt_that_fits_gives_the_result(two, journal):
    @bolide.remote(memory=50 * MB, max_retries=1)
    def second_time_less():
        journal.note("began")
        first = journal.count("began") == 1
        held = b"x" * (200 * MB if first else 1)
        wait_until(lambda: not first, 20)
        return len(held)

    assert two.get(second_time_less.remote(), timeout=30) == 1


def test_a9_shared_memory_is_charged_to_nobody_who_reads_it(two):
    ref = two.put(np.ones(20 * MB))  # 160 MB

    @bolide.remote(memory=50 * MB)
    def total(array):
        return float(array.sum()), float(array[::2].sum())

    assert two.get(total.remote(ref), timeout=30) == (20 * MB, 10 * MB)


def test_a9_what_a_worker_held_before_is_not_charged_to_the_task(one):
    @bolide.remote
    def keeps(size):
        bolide.kept = b"x" * size

    one.get(keeps.remote(100 * MB))
    assert one.get(hog.options(memory=50 * MB).remote(20 * MB), timeout=20) == 20 * MB


def test_b1_16_ten_tasks_pass_their_limits_at_once(start, gate):
    runtime = start(num_cpus=10)
    refs = [hog.options(memory=50 * MB).remote(70 * MB, gate.path) for _ in range(10)]
    for ref in refs:
        with pytest.raises(bolide.exceptions.OutOfMemoryError, match=r"limit of 50\.0 MiB"):
            runtime.get(ref, timeout=30)
    assert runtime.get(hog.remote(1), timeout=20) == 1


def test_b1_16_the_machine_runs_low_and_the_newest_that_may_run_again_ends(
    start, machine, journal, gate
):
    """One at a time; the driver, which holds more than all of them, is not asked."""
    ballast = b"x" * (400 * MB)
    runtime = start(num_cpus=4)
    refs = []
    for i, retries in enumerate([3, 3, 3, 0]):
        task = noted_hog.options(max_retries=retries)
        refs.append(task.remote(journal, i, 70 * MB, gate.path))
        wait_until(lambda i=i: journal.count(i), 20)
        seen = time.monotonic() + 0.15  # a look of the monitor, which orders what it sees
        wait_until(lambda seen=seen: time.monotonic() > seen)
    pids = [journal.pids(i)[0] for i in range(4)]
    for victim in (2, 1):
        machine.runs_low()
        wait_until(lambda victim=victim: not is_alive(pids[victim]))
        machine.has_room()
        assert is_alive(pids[0]) and is_alive(pids[3])
    for i in (1, 2):  # there is room, so they run again, after a second
        wait_until(lambda i=i: journal.count(i) == 2, 20)
    gate.open(4)
    assert runtime.get(refs, timeout=30) == [70 * MB] * 4
    assert journal.counts() == {"0": 1, "1": 2, "2": 2, "3": 1}
    assert len(ballast) == 400 * MB


def test_b1_16_a_task_that_alone_fills_the_machine_fails(start, machine, journal, gate):
    runtime = start(num_cpus=2)
    ref = noted_hog.options(max_retries=1).remote(journal, "began", 70 * MB, gate.path)
    wait_until(lambda: journal.count("began"), 20)
    machine.runs_low()
    with pytest.raises(bolide.exceptions.OutOfMemoryError) as caught:
        runtime.get(ref, timeout=30)
    assert re.fullmatch(
        r"The task '\S*noted_hog' ran out of memory: 990\.0 MiB of the machine's 1000\.0 MiB were "
        r"in use \(99\.0 %\), above the threshold of 95\.0 %, and its worker process \(pid \d+, "
        r"\d+\.\d MiB RSS without shared memory\) was killed as the newest of those that may run "
        r"again\. It was attempt 2 of 2 \(max_retries=1\)\. Run fewer tasks at a time \(num_cpus=, "
        r"memory=\), or let them hold less\.",
        str(caught.value),
    ), str(caught.value)
    assert runtime.retries == 1


def test_b1_16_a_task_that_waits_for_room_can_be_cancelled(start, machine, journal, gate):
    runtime = start(num_cpus=2)
    first, second = (noted_hog.remote(journal, i, 70 * MB, gate.path) for i in range(2))
    wait_until(lambda: journal.count(0) and journal.count(1), 20)
    machine.runs_low()
    wait_until(lambda: runtime.retries == 1, 20)
    machine.has_room()
    lost = [i for i in range(2) if not is_alive(journal.pids(i)[0])]
    assert len(lost) == 1
    bolide.cancel((first, second)[lost[0]])
    with pytest.raises(bolide.exceptions.TaskCancelledError):
        runtime.get((first, second)[lost[0]], timeout=10)
    gate.open()
    assert runtime.get((first, second)[1 - lost[0]], timeout=20) == 70 * MB


def test_b1_16_nothing_is_killed_that_holds_little(start, machine, journal, gate):
    runtime = start(num_cpus=2)
    ref = noted_hog.remote(journal, "began", MB, gate.path)
    wait_until(lambda: journal.count("began"), 20)
    machine.runs_low()
    looked = time.monotonic() + 0.3  # six looks
    wait_until(lambda: time.monotonic() > looked)
    gate.open()
    assert runtime.get(ref, timeout=20) == MB
    assert runtime.retries == 0


class Keeper:
    def __init__(self):
        self.kept = []

    def keep(self, size, path=None):
        self.kept.append(b"x" * size)
        if path is not None:
            pass_gate(path)
        return len(self.kept)


def test_a9_an_actor_over_its_limit(two, gate):
    keeper = bolide.remote(Keeper).options(memory=50 * MB).remote()
    assert two.get(keeper.keep.remote(20 * MB), timeout=20) == 1
    for call in (keeper.keep.remote(60 * MB, gate.path), keeper.keep.remote(1)):
        with pytest.raises(bolide.exceptions.OutOfMemoryError) as caught:
            two.get(call, timeout=20)
        assert re.match(
            r"The actor 'Keeper' \(id \w+\) ran out of memory: it held \d+\.\d MiB, more than its "
            r"limit of 50\.0 MiB \(memory=52428800\), and its worker process",
            str(caught.value),
        ), str(caught.value)


def test_a9_an_actor_that_may_restart_does(two, gate):
    keeper = bolide.remote(Keeper).options(memory=50 * MB, max_restarts=1).remote()
    with pytest.raises(bolide.exceptions.OutOfMemoryError, match=r"is being started again"):
        two.get(keeper.keep.remote(100 * MB, gate.path), timeout=20)
    assert two.get(keeper.keep.remote(1), timeout=20) == 1


def test_memory_is_a_resource(start):
    """Two that ask for more than half of it are not run at the same time."""
    runtime = start(num_cpus=2)
    total = runtime.cluster_resources()["memory"]

    @bolide.remote(memory=total * 0.6)
    def free():
        return bolide.available_resources().get("memory", 0)

    assert all(left <= total * 0.41 for left in runtime.get([free.remote() for _ in range(4)]))
    assert runtime.available_resources()["memory"] == total


def test_without_a_refresh_nothing_is_watched(start, monkeypatch, machine):
    monkeypatch.setenv("BOLIDE_MEMORY_MONITOR_REFRESH_MS", "0")
    machine.runs_low()
    runtime = start(num_cpus=1)
    assert runtime.get(hog.options(memory=10 * MB).remote(100 * MB), timeout=20) == 100 * MB
