"""A random worker killed every 200 ms under a stream of short tasks (RELIABILITY A1).

Three records that know nothing of each other are held together: the journal, to which each attempt
appends its number before it does anything else; what the killer killed; and the results. They say:
every result is right; a task was begun once, and once more for each worker that died in it; and no
task that had not begun paid for a death, since no more retries were burnt than workers killed.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import numpy
import psutil
import pytest

import bolide

PERIOD = 0.2  # seconds between two kills
WINDOW = 2_000  # tasks in flight
MIB = 1 << 20


def value_of(i):
    return i * 2_654_435_761 % (1 << 32)


class Killer(threading.Thread):
    """Kills a random worker of the runtime every PERIOD until `stop`; notes whom."""

    def __init__(self, runtime, seed):
        super().__init__()
        self.runtime = runtime
        self.chance = random.Random(seed)
        self.killed = []
        self.stop = threading.Event()

    def run(self):
        while not self.stop.wait(PERIOD):
            pids = [pid for pid in self.runtime.pids() if pid not in self.killed]
            if not pids:
                continue
            victim = self.chance.choice(sorted(pids))
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
            self.killed.append(victim)


def own_memory():
    """Bytes of this process that it shares with no other."""
    memory = psutil.Process().memory_info()
    return memory.rss - memory.shared


def slope(samples):
    """MiB a minute by which the memory grows over the last four fifths of (time, bytes)."""
    times, sizes = numpy.array(samples[len(samples) // 5 :]).T
    return numpy.polyfit(times - times[0], sizes, 1)[0] * 60 / MIB


def stream(runtime, path, seconds):
    """Tasks of 100 us for so long: how many, whom the killer got, samples of our own memory."""
    files = []

    # It travels by value, so a new worker has nothing to import but what it captures.
    @bolide.remote
    def work(i):
        if not files:
            files.append(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        os.write(files[0], i.to_bytes(8, "little"))
        until = time.perf_counter_ns() + 100_000
        while time.perf_counter_ns() < until:
            pass
        return i * 2_654_435_761 % (1 << 32)

    killer = Killer(runtime, 4711)
    memory = []
    flying = []
    submitted = 0
    began = time.monotonic()
    killer.start()
    try:
        while time.monotonic() - began < seconds:
            flying += [work.remote(i) for i in range(submitted, submitted + WINDOW // 4)]
            submitted += WINDOW // 4
            if len(flying) < WINDOW:
                continue
            first = submitted - len(flying)
            done = runtime.get(flying[: WINDOW // 4], timeout=60)
            assert done == [value_of(i) for i in range(first, first + len(done))]
            del flying[: len(done)]
            memory.append((time.monotonic(), own_memory()))
        first = submitted - len(flying)
        assert runtime.get(flying, timeout=60) == [value_of(i) for i in range(first, submitted)]
    finally:
        killer.stop.set()
        killer.join()
    return submitted, killer.killed, memory, time.monotonic() - began


def fire(runtime, path, seconds):
    submitted, killed, memory, took = stream(runtime, path, seconds)
    attempts = numpy.bincount(numpy.fromfile(path, dtype="<u8").astype(int), minlength=submitted)
    again = int((attempts - 1).sum())
    rate = submitted / took
    print(
        f"{submitted:,} tasks in {took:.0f} s ({rate:,.0f} a second), {len(killed)} workers "
        f"killed, {runtime.retries} retries, {again} of them seen by the journal; the driver's "
        f"memory grew by {slope(memory):.2f} MiB a minute"
    )
    assert len(attempts) == submitted and attempts.min() == 1
    # One that was killed between taking a task and its first line has begun it without a line.
    assert again <= runtime.retries <= len(killed)
    assert len(killed) >= 0.8 * seconds / PERIOD
    assert runtime.node.audit()
    return rate, memory


@pytest.mark.slow
def test_a1_a_kill_every_200_ms_for_a_minute(two, tmp_path):
    fire(two, str(tmp_path / "attempts"), 60)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a1_a_kill_every_200_ms_for_ten_minutes(two, tmp_path):
    rate, memory = fire(two, str(tmp_path / "attempts"), 600)
    assert rate >= 3_000
    assert slope(memory) < 1
