"""Order and number of an actor's calls, with four callers, random dependencies, retries and kills.

RELIABILITY row A6. The actor notes every attempt in a journal before anything else happens. The
journal says: each caller's calls were begun in the order of submission, a call without retries at
most once, one with endless retries at least once and before all later ones. Actors that run several
calls at a time keep no order, but the numbers.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from itertools import pairwise

import pytest

import bolide
from bolide.exceptions import ActorUnavailableError

CALLERS = 4
WINDOW = 500  # calls that a caller has in flight


class Recorder:
    """Notes each call, and dies in one of `deadly`, before or after the note."""

    def __init__(self, path, deadly):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(f"{path}.made", "a") as made:
            made.write(f"{os.getpid()}\n")
        self.random = random.Random(os.getpid())
        self.deadly = deadly

    def record(self, caller, number, dependency):
        assert dependency in (None, number)
        dies = self.random.randrange(self.deadly) == 0
        if dies and self.random.random() < 0.3:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(self.file, b"%d %d\n" % (caller, number))
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    def flaky(self, caller, number, dependency):
        Recorder.record(self, caller, number, dependency)
        if self.random.random() < 0.5:
            raise OSError("again")
        return number


class AsyncRecorder(Recorder):
    async def record(self, caller, number, dependency):
        await asyncio.sleep(0)
        return super().record(caller, number, dependency)

    async def flaky(self, caller, number, dependency):
        await asyncio.sleep(0)
        return super().flaky(caller, number, dependency)


IN_ORDER = bolide.remote(max_restarts=-1)(Recorder)
CONCURRENT = {
    "threads": IN_ORDER.options(max_concurrency=4),
    "coroutines": bolide.remote(max_restarts=-1)(AsyncRecorder),
}


@bolide.remote(num_cpus=0)
def same(x):
    return x


@bolide.remote(num_cpus=0)
def call(recorder, caller, count, seed):
    """Submits the calls; for each: whether it may be run again, and whether it gave its value."""
    chance = random.Random(seed)
    outcomes = []
    refs = []

    def take(most):
        while len(refs) > most:
            again, number, ref = refs.pop(0)
            try:
                assert bolide.get(ref) == number
                outcomes.append((again, True))
            except ActorUnavailableError:
                assert not again
                outcomes.append((again, False))

    for number in range(count):
        again = chance.random() < 0.7
        dependency = same.remote(number) if chance.random() < 0.1 else None
        method = recorder.record.options(max_task_retries=-1 if again else 0)
        if again and chance.random() < 0.02:
            method = recorder.flaky.options(max_task_retries=-1, retry_exceptions=[OSError])
        refs.append((again, number, method.remote(caller, number, dependency)))
        take(WINDOW)
    take(0)
    return outcomes


def check(path, outcomes, count, in_order=True):
    """Holds the journal against the rules; how many attempts there were."""
    with open(path, "rb") as file:
        lines = [tuple(map(int, line.split())) for line in file]
    for caller in range(CALLERS):
        numbers = [number for of, number in lines if of == caller]
        # A number that comes again is an attempt that follows its predecessor at once.
        assert not in_order or all(a <= b for a, b in pairwise(numbers)), f"caller {caller}"
        attempts = [0] * count
        for number in numbers:
            attempts[number] += 1
        for number, (again, done) in enumerate(outcomes[caller]):
            if again:
                assert done and attempts[number] >= 1, (caller, number)
            else:
                assert attempts[number] <= 1, (caller, number)
                assert attempts[number] == 1 or not done, (caller, number)
    return len(lines)


def run(start, tmp_path, count, deadly, recorders=IN_ORDER):
    two = start(num_cpus=2)
    path = str(tmp_path / "record")
    recorder = recorders.remote(path, deadly)
    refs = [call.remote(recorder, caller, count, 4711 + caller) for caller in range(CALLERS)]
    outcomes = two.get(refs)
    attempts = check(path, outcomes, count, in_order=recorders is IN_ORDER)
    lost = sum(not done for each in outcomes for _, done in each)
    with open(f"{path}.made") as made:
        deaths = len(made.read().split()) - 1
    print(
        f"{CALLERS} x {count} calls, {deaths} deaths, {attempts} attempts, {two.retries} retries, "
        f"{lost} lost"
    )
    assert two.node.audit()
    assert two.retries > 0
    return deaths


def test_a6_order_with_retries_and_kills(start, tmp_path):
    run(start, tmp_path, count=1_500, deadly=100)


@pytest.mark.parametrize("kind", CONCURRENT)
def test_a6_numbers_of_concurrent_calls_with_retries_and_kills(start, tmp_path, kind):
    run(start, tmp_path, count=500, deadly=100, recorders=CONCURRENT[kind])


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a6_order_with_retries_and_kills_of_200_000_calls(start, tmp_path):
    assert run(start, tmp_path, count=50_000, deadly=300) >= 500


def test_without_kills_every_call_is_run_once(start, tmp_path):
    two = start(num_cpus=2)
    path = str(tmp_path / "record")
    recorder = IN_ORDER.remote(path, 1 << 40)
    refs = [call.remote(recorder, caller, 2_000, caller) for caller in range(CALLERS)]
    outcomes = two.get(refs)
    check(path, outcomes, 2_000)
    assert all(done for each in outcomes for _, done in each)
