"""The driver's end in every way, with tasks running (RELIABILITY A5, A14, B1-12, B1-13)."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from fault_tools import processes_marked, wait_until

BUSY = """
@ray.remote
def stuck(i):
    import subprocess
    child = subprocess.Popen(["sleep", "1000"])
    open(f"started{i}", "w").close()
    threading.Event().wait()

@ray.remote
def spinning(i):
    open(f"started{i}", "w").close()
    while True:
        pass

def run():
    ray.init(num_cpus=3)
    data = ray.put(bytes(10_000_000))
    refs = [stuck.remote(0), stuck.remote(1), spinning.remote(2)]
    refs += [stuck.remote(i) for i in range(3, 100)]
    wait_until(lambda: all(os.path.exists(f"started{i}") for i in range(3)), 30)
    say("running")
    return refs, data
"""
ENDS = {
    "sigkill": ("threading.Event().wait()", signal.SIGKILL, -signal.SIGKILL),
    "sigterm": ("threading.Event().wait()", signal.SIGTERM, -signal.SIGTERM),
    "sigkill_in_get": ("ray.get(kept[0])", signal.SIGKILL, -signal.SIGKILL),
    "sys_exit": ("sys.exit(3)", None, 3),
    "exception": ("raise ValueError('on purpose')", None, 1),
    "os_exit": ("os._exit(4)", None, 4),
    "end_of_program": ("", None, 0),
    "abort": ("os.abort()", None, -signal.SIGABRT),
}


@pytest.mark.parametrize("way", ENDS)
def test_b1_12_nothing_outlives_the_driver(program, way):
    ending, signal_number, code = ENDS[way]
    run = program(BUSY + "kept = run()\n" + ending + "\n")
    run.expect("running")
    if signal_number is not None:
        assert len(processes_marked(run.mark)) >= 5
    if signal_number is not None:
        os.kill(run.pid, signal_number)
    run.process.wait(timeout=30)
    ended = time.monotonic()
    run.family_gone(2)
    print(f"{way}: the family was gone {time.monotonic() - ended:.3f} s after the driver")
    assert run.process.returncode == code


LOAD = """
say('go')
ray.init(num_cpus=2)

@ray.remote
def child(i):
    return ray.put(bytes(i * 1000))

@ray.remote
def parent(i):
    return [ray.get(child.remote(i)) for i in range(3)]

@ray.remote
class Counter:
    def add(self, data):
        return len(data)

counter = Counter.remote()
data = ray.put(bytes(5_000_000))
while True:
    ray.get([parent.remote(i) for i in range(20)] + [counter.add.remote(data) for _ in range(20)])
"""


def killed_drivers(program, times, seed):
    """SIGKILL of drivers under load, up to a second after init began; how long their families
    outlived each, in seconds, sorted."""
    chance = random.Random(seed)
    outlived = []
    for _ in range(times):
        run = program(LOAD)
        run.expect("go")
        moment = time.monotonic() + chance.random()
        wait_until(lambda moment=moment: time.monotonic() >= moment)
        os.kill(run.pid, signal.SIGKILL)
        killed = time.monotonic()
        run.family_gone(2)
        outlived.append(time.monotonic() - killed)
        run.end()
    outlived.sort()
    print(
        f"{times} drivers killed under load; their families were gone after "
        f"{outlived[times // 2] * 1e3:.0f} ms (median), {outlived[-1] * 1e3:.0f} ms (the slowest)"
    )
    return outlived


def test_a5_drivers_killed_under_load(program):
    outlived = killed_drivers(program, 20, 4711)
    assert outlived[10] < 0.1  # each of them where nothing else runs: the soak


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a5_two_hundred_drivers_killed_under_load(program):
    assert killed_drivers(program, 200, 4712)[-1] < 0.1


def test_b1_13_workers_outlive_the_thread_that_called_init(program):
    run = program(
        """
@ray.remote
def pid(path):
    pass_gate(path)
    return os.getpid()

gate = Gate("gate")
refs = []
def start():
    ray.init(num_cpus=2)
    refs.append(pid.remote(gate.path))
    wait_until(lambda: ray._runtime._node.worker_pids())
thread = threading.Thread(target=start)
thread.start()
thread.join()
say("ended")
before = ray._runtime._node.worker_pids()
# The template has to fork another worker long after that thread.
refs.append(pid.remote(gate.path))
gate.open(2)
pids = ray.get(refs)
assert before[0] in pids, (before, pids)
say("result", ray._runtime._node.stats()["retries"])
"""
    )
    run.expect("ended")
    assert run.expect("result") == "0"
    assert run.finish()[0] == 0
    run.family_gone()


def test_init_from_a_thread_that_is_not_the_main_one_and_exit_without_shutdown(program):
    run = program(
        """
f = ray.remote(lambda x: x + 1)
def work():
    ray.init(num_cpus=1)
    say("result", ray.get(f.remote(1)))
thread = threading.Thread(target=work)
thread.start()
thread.join()
say("main", ray.get(f.remote(2)))
"""
    )
    assert run.expect("result") == "2" and run.expect("main") == "3"
    code, _, err = run.finish()
    assert (code, err) == (0, "")
    run.family_gone()


def test_a14_the_death_of_a_driver_does_not_harm_others(program):
    others = [
        program(
            """
f = ray.remote(lambda i: bytes(i * 100))
ray.init(num_cpus=1)
rounds = 0
while not os.path.exists("end"):
    assert [len(x) for x in ray.get([f.remote(i) for i in range(100)])] == [
        i * 100 for i in range(100)
    ]
    rounds += 1
    if rounds == 1: say("works")
say("rounds", rounds, ray._runtime._node.stats()["retries"])
"""
        )
        for _ in range(2)
    ]
    for other in others:
        other.expect("works")
    killed_drivers(program, 3, 4713)
    with open(os.path.join(os.path.dirname(others[0].path), "end"), "w"):
        pass
    for other in others:
        rounds, retries = other.expect("rounds").split()
        assert int(rounds) > 1 and retries == "0"
        code, _, err = other.finish()
        assert (code, err) == (0, "")
