"""Ctrl-C in every blocking call of a driver (RELIABILITY A12).

SIGINT goes to the driver's whole process group, as from a terminal. KeyboardInterrupt must be there
within 200 ms. Each case is tried some times: the best must keep that, and the worst of a loaded
machine a second. The figures are printed.
"""

from __future__ import annotations

import os
import signal

import pytest
from fault_tools import state_of, wait_until

ROUNDS = 5
ROUNDS_OF_SOAK = 100
PROMISED = 0.2  # seconds
ALLOWED = 1.0  # on a loaded machine

PROGRAM = """
gate = Gate("gate")

@ray.remote
def blocked(path):
    pass_gate(path)
    return "passed"

@ray.remote
def plain(x):
    return x + 1

def main(action):
    {start}
    for _ in range({rounds}):
        try:
            say("ready")
            while True:
                action()
        except KeyboardInterrupt:
            caught = time.monotonic()
        say("caught", caught)
    {after}
    say("usable", ray.get([plain.remote(i) for i in range(10)]) == list(range(1, 11)))
"""
START = "ray.init(num_cpus=2); ref = blocked.remote(gate.path); ray.get(plain.remote(1))"
AFTER = "gate.open(); assert ray.get(ref) == 'passed'"
ACTIONS = {
    "get": ("main(lambda: ray.get(ref))", START, AFTER),
    "get_list": ("main(lambda: ray.get([ref, plain.remote(1)]))", START, AFTER),
    "get_with_timeout": ("main(lambda: ray.get(ref, timeout=1000))", START, AFTER),
    "wait": ("main(lambda: ray.wait([ref]))", START, AFTER),
    "wait_with_timeout": ("main(lambda: ray.wait([ref], timeout=1000))", START, AFTER),
    "put": ("main(lambda: ray.put(1))", START, AFTER),
    "large_put": ("main(lambda: ray.put(large))", START, AFTER),
    "submit": ("main(lambda: plain.remote(1))", START, AFTER),
    "submit_and_get": ("main(lambda: ray.get(plain.remote(1)))", START, AFTER),
    "init_and_shutdown": (
        "main(lambda: (ray.init(num_cpus=1, ignore_reinit_error=True), ray.shutdown()))",
        "pass", "",
    ),
    "init_use_and_shutdown": (
        "main(lambda: (ray.init(num_cpus=1, ignore_reinit_error=True), ray.get(plain.remote(1)), "
        "ray.shutdown()))",
        "pass", "",
    ),
}  # fmt: skip


def source(action, start, after, rounds):
    text = PROGRAM.format(
        start="global ref; " * ("ref" in start) + start, after=after or "pass", rounds=rounds
    )
    return "large = bytes(64 << 20)\n" + text + action + "\n"


def interrupted(program, name, rounds):
    """Interrupts the action so often; the seconds until KeyboardInterrupt was caught, sorted."""
    run = program(source(*ACTIONS[name], rounds))
    took = []
    for _ in range(rounds):
        run.expect("ready")
        if name.startswith(("get", "wait")):
            wait_until(lambda: state_of(run.pid) == "S")
        sent = run.interrupt()
        took.append(float(run.expect("caught")) - sent)
    print(
        f"{rounds} times KeyboardInterrupt in {name}, after {min(took) * 1e3:.1f} to "
        f"{max(took) * 1e3:.1f} ms"
    )
    assert run.expect("usable") == "True"
    code, _, err = run.finish()
    assert (code, err) == (0, "")
    run.family_gone()
    return sorted(took)


@pytest.mark.parametrize("name", ACTIONS)
def test_a12_interrupt_is_quick_and_leaves_the_runtime_usable(program, name):
    took = interrupted(program, name, ROUNDS)
    assert took[0] < PROMISED and took[-1] < ALLOWED


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ACTIONS)
def test_a12_a_hundred_interrupts(program, name):
    took = interrupted(program, name, ROUNDS_OF_SOAK)
    assert took[0] < PROMISED and took[-1] < ALLOWED


def test_a12_interrupt_of_a_put_that_waits_for_room(program):
    run = program(
        """
ray.init(num_cpus=1, object_store_memory=100 << 20)
kept = [ray.put(bytes(30 << 20)) for _ in range(3)]
say("ready")
try:
    while True:
        try:
            ray.put(bytes(50 << 20))
        except ray.exceptions.ObjectStoreFullError:
            pass
except KeyboardInterrupt:
    say("caught", time.monotonic())
del kept
say("usable", ray.get(ray.put(bytes(50 << 20))) == bytes(50 << 20))
"""
    )
    run.expect("ready")
    wait_until(lambda: state_of(run.pid) == "S")
    sent = run.interrupt()
    took = float(run.expect("caught")) - sent
    print(f"KeyboardInterrupt in a put that waits after {took * 1e3:.1f} ms")
    assert run.expect("usable") == "True"
    assert run.finish()[0] == 0
    assert took < ALLOWED


def test_a12_a_second_interrupt_ends_the_program(program):
    run = program(
        """
ray.init(num_cpus=1)
gate = Gate("gate")
ref = ray.remote(pass_gate).remote(gate.path)
say("ready")
try:
    ray.get(ref)
except KeyboardInterrupt:
    say("first")
ray.get(ref)
"""
    )
    run.expect("ready")
    wait_until(lambda: state_of(run.pid) == "S")
    run.interrupt()
    run.expect("first")
    wait_until(lambda: state_of(run.pid) == "S")
    run.interrupt()
    code, _, err = run.finish(10)
    assert code == -signal.SIGINT and "KeyboardInterrupt" in err
    run.family_gone()


@pytest.mark.parametrize("moment", range(6))
def test_a12_interrupt_in_init_leaves_nothing_half_made(program, moment):
    """SIGINT at moments spread over the first init.

    What it would import is imported before: CPython loses an interrupt that comes while it drops
    the lock of an import, in a callback of a weak reference.
    """
    run = program(
        """
import bolide._by_value, bolide._service

try:
    say("ready")
    ray.init(num_cpus=1)
    ray.get(ray.remote(lambda: 1).remote())
    threading.Event().wait()
except KeyboardInterrupt:
    say("caught", time.monotonic())
ray.shutdown()
ray.init(num_cpus=1)
say("usable", ray.get(ray.remote(lambda: 1).remote()))
"""
    )
    run.expect("ready")
    import time

    until = time.monotonic() + 0.004 * moment**2
    wait_until(lambda: time.monotonic() >= until)
    sent = run.interrupt()
    took = float(run.expect("caught")) - sent
    assert run.expect("usable") == "1"
    code, _, err = run.finish()
    assert (code, err) == (0, "")
    assert took < ALLOWED
    run.family_gone()


def test_a12_interrupt_in_shutdown_still_ends_everything(program):
    run = program(
        """
ray.init(num_cpus=2)
ray.get([ray.remote(lambda: 1).remote() for _ in range(4)])
try:
    say("ready")
    ray.shutdown()
    while True:
        ray.init(num_cpus=2)
        ray.shutdown()
except KeyboardInterrupt:
    say("caught", time.monotonic())
ray.shutdown()
say("stopped", ray.is_initialized())
ray.init(num_cpus=1)
say("usable", ray.get(ray.remote(lambda: 1).remote()))
"""
    )
    run.expect("ready")
    run.interrupt()
    run.expect("caught")
    assert run.expect("stopped") == "False"
    assert run.expect("usable") == "1"
    assert run.finish()[0] == 0
    run.family_gone()


def test_a12_the_terminals_interrupt_does_not_reach_workers(program):
    run = program(
        """
gate = Gate("gate")

@ray.remote
def task(path):
    try:
        pass_gate(path)
    except KeyboardInterrupt:
        return "interrupted"
    return "passed"

ray.init(num_cpus=1)
ref = task.remote(gate.path)
wait_until(lambda: ray._runtime._node.worker_pids())
say("ready")
try:
    ray.get(ref)
except KeyboardInterrupt:
    say("caught")
gate.open()
say("result", ray.get(ref))
"""
    )
    run.expect("ready")
    wait_until(lambda: state_of(run.pid) == "S")
    run.interrupt()
    run.expect("caught")
    assert run.expect("result") == "passed"
    assert run.finish()[0] == 0


def test_a12_handlers_of_other_signals_run_during_get(program):
    run = program(
        """
signal.signal(signal.SIGUSR1, lambda *_: say("handled", time.monotonic()))
gate = Gate("gate")
ray.init(num_cpus=1)
ref = ray.remote(pass_gate).remote(gate.path)
say("ready")
say("result", ray.get(ref))
gate
"""
    )
    run.expect("ready")
    wait_until(lambda: state_of(run.pid) == "S")
    import time

    sent = time.monotonic()
    os.kill(run.pid, signal.SIGUSR1)
    assert float(run.expect("handled")) - sent < ALLOWED
    fd = os.open(os.path.join(os.path.dirname(run.path), "gate"), os.O_WRONLY)
    os.write(fd, b".")
    os.close(fd)
    assert run.expect("result") == "None"
    assert run.finish()[0] == 0
