"""The template process killed, and workers that cannot start (RELIABILITY A7, B1-17)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import numpy
import psutil
import pytest
from fault_tools import is_alive, pass_gate, processes_marked, wait_until

import bolide
from bolide import _core
from bolide.exceptions import WorkerCrashedError


@bolide.remote
def blocked(journal, name, path):
    journal.note(name)
    pass_gate(path)
    return name


@bolide.remote
def plain(x):
    return x + 1


def new_template(runtime, old):
    return wait_until(lambda: (pid := runtime.node.template_pid()) != old and pid > 0 and pid)


def test_the_template_has_one_thread_although_it_holds_modules(two):
    """A fork takes over only the thread that forks: locks of others would stay locked for ever."""
    assert numpy and asyncio  # imported here, so the template has imported them too
    assert two.get(bolide.remote(lambda: {"numpy", "asyncio"} <= set(sys.modules)).remote())
    assert len(os.listdir(f"/proc/{two.node.template_pid()}/task")) == 1


def test_a_worker_costs_the_driver_two_descriptors_at_most(start, journal, gate):
    runtime = start(num_cpus=16)
    assert runtime.get(plain.remote(1)) == 2
    (before, workers) = len(os.listdir("/proc/self/fd")), len(runtime.pids())
    refs = [blocked.remote(journal, i, gate.path) for i in range(16)]
    wait_until(lambda: len(journal.entries()) == 16, 30)
    more = len(runtime.pids()) - workers
    assert more == 16 - workers
    assert len(os.listdir("/proc/self/fd")) - before <= 2 * more
    gate.open(16)
    runtime.get(refs)


def test_killed_template_is_respawned_and_running_tasks_survive(two, journal, gate):
    ref = blocked.remote(journal, "task", gate.path)
    wait_until(lambda: journal.count("task"))
    old = two.node.template_pid()
    os.kill(old, signal.SIGKILL)
    new = new_template(two, old)
    assert two.get([plain.remote(i) for i in range(20)], timeout=60) == [*range(1, 21)]
    gate.open()
    assert two.get(ref, timeout=30) == "task"
    assert journal.count("task") == 1 and two.retries == 0
    assert is_alive(new)
    for pid in two.pids():  # later workers are children of the new one
        os.kill(pid, signal.SIGKILL)
    assert two.get(plain.remote(1), timeout=60) == 2


def test_workers_of_a_dead_template_are_still_watched(two, journal, gate):
    ref = blocked.options(max_retries=0).remote(journal, "task", gate.path)
    (worker,) = wait_until(lambda: journal.pids("task"))
    old = two.node.template_pid()
    os.kill(old, signal.SIGKILL)
    new_template(two, old)
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(WorkerCrashedError, match="status unknown"):
        two.get(ref, timeout=30)
    again = blocked.remote(journal, "again", gate.path)
    wait_until(lambda: journal.count("again"))
    gate.open()
    assert two.get(again, timeout=30) == "again"


def test_template_killed_again_and_again(two):
    for i in range(5):
        old = two.node.template_pid()
        os.kill(old, signal.SIGKILL)
        for pid in two.pids():
            os.kill(pid, signal.SIGKILL)
        assert two.get(plain.remote(i), timeout=60) == i + 1
        wait_until(lambda old=old: two.node.template_pid() not in (old, 0, -1))


def test_template_and_workers_killed_with_tasks_running(two, journal, gate):
    refs = [blocked.remote(journal, i, gate.path) for i in range(2)]
    wait_until(lambda: len(journal.entries()) == 2)
    os.kill(two.node.template_pid(), signal.SIGKILL)
    for pid in two.pids():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(journal.entries()) == 4, 30)
    gate.open(2)
    assert two.get(refs, timeout=30) == [0, 1]
    assert two.retries == 2


@pytest.mark.fault_points
def test_a_worker_whose_start_was_never_reported_does_not_stay(program):
    """Each template forks one worker, reports it, and is killed when it has forked the second."""
    run = program(
        """
gate = Gate("gate")
journal = Journal("journal")

@ray.remote
def blocked(i):
    journal.note(i)
    pass_gate(gate.path)
    return os.getppid()

ray.init(num_cpus=3)
first = ray._runtime._node.template_pid()
refs = [blocked.remote(i) for i in range(3)]
wait_until(lambda: len(journal.entries()) == 3)
say("workers", *[pid for _, pid in journal.entries()])
say("template", ray._runtime._node.template_pid() != first, ray._runtime._node.template_pid())
gate.open(3)
ray.get(refs)
signal.pause()
""",
        env={"BOLIDE_FAULT": "template.forked=kill@2"},
    )
    workers = [int(pid) for pid in run.expect("workers").split()]
    replaced, template = run.expect("template").split()
    assert replaced == "True"
    family = {run.pid, int(template), *workers}
    wait_until(lambda: set(processes_marked(run.mark)) == family, what="the end of the unreported")


BROKEN = """
import os, sys
if os.environ.get("{mark}_BROKEN"):
    path = os.environ["{mark}_BROKEN"]
    with open(path, "a") as file:
        file.write("start\\n")
    sys.stderr.write("this environment is broken on purpose\\n")
    os._exit(9)
"""

ENVIRONMENT_ERROR = """
os.environ["BROKEN_BROKEN"] = os.path.abspath("starts")
os.environ["PYTHONPATH"] = os.path.abspath("site") + os.pathsep + os.environ.get("PYTHONPATH", "")
began = time.monotonic()
ray.init(num_cpus=2)
f = ray.remote(lambda: 1)
try:
    ray.get([f.remote() for _ in range(3)], timeout=60)
except ray.exceptions.RuntimeEnvSetupError as error:
    say("error", time.monotonic() - began, str(error).replace("\\n", " "))
say("starts", len(open("starts").readlines()))
before = time.process_time(), len(open("starts").readlines())
wait_until(lambda: time.monotonic() - began > 4, 20)
say("idle", time.process_time() - before[0], len(open("starts").readlines()) - before[1])
os.environ.pop("BROKEN_BROKEN")
try:
    say("later", ray.get(f.remote(), timeout=60))
except ray.exceptions.RuntimeEnvSetupError as error:
    say("later", "error")
ray.shutdown()
ray.init(num_cpus=1)
say("again", ray.get(f.remote(), timeout=60))
"""


@pytest.mark.timeout(120)
def test_a7_a_template_that_dies_at_start_is_given_up(program, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BROKEN.format(mark="BROKEN"))
    run = program(ENVIRONMENT_ERROR)
    seconds, _, text = run.expect("error", 60).partition(" ")
    assert "this environment is broken on purpose" in text
    assert float(seconds) < 30
    assert int(run.expect("starts")) <= 6
    cpu, starts = run.expect("idle", 60).split()
    print(f"given up after {float(seconds):.2f} s; afterwards {float(cpu):.3f} s of CPU")
    assert float(cpu) < 0.5 and int(starts) <= 1
    assert run.expect("again", 60) == "1"
    assert run.finish()[0] == 0


WORKER_ERROR = """
import bolide._settings as settings
def broken(*arguments):
    encoded = original(*arguments)
    return encoded[:-5]
original = settings.encode_settings
import bolide._environments as environments
import bolide._runtime as runtime
environments.encode_settings = broken
ray.init(num_cpus=2)
f = ray.remote(lambda: 1)
try:
    ray.get([f.remote() for _ in range(3)], timeout=60)
except ray.exceptions.RuntimeEnvSetupError as error:
    say("error", str(error).replace("\\n", " "))
say("started", runtime._node.stats()["started_workers"])
environments.encode_settings = original
runtime.refresh_settings()
say("later", ray.get(f.remote(), timeout=60))
"""


def test_a7_workers_that_die_at_start_are_given_up(program):
    run = program(WORKER_ERROR)
    text = run.expect("error")
    assert "EOFError" in text or "bad marshal data" in text or "ValueError" in text
    assert int(run.expect("started")) <= 7
    assert run.expect("later") == "1"
    assert run.finish()[0] == 0


@pytest.mark.fault_points
def test_template_that_cannot_be_respawned_is_an_error(two):
    _core.arm_faults("process.spawn=fail", 0)
    try:
        os.kill(two.node.template_pid(), signal.SIGKILL)
        for pid in two.pids():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(bolide.exceptions.RuntimeEnvSetupError, match="cannot start"):
            two.get(plain.remote(1), timeout=30)
    finally:
        _core.arm_faults("", 0)
    assert two.get(plain.remote(1), timeout=30) == 2


def test_b1_08_stopped_worker_is_not_declared_dead(one, journal, gate):
    ref = blocked.remote(journal, "task", gate.path)
    (pid,) = wait_until(lambda: journal.pids("task"))
    os.kill(pid, signal.SIGSTOP)
    gate.open()
    began = time.monotonic()
    with pytest.raises(bolide.exceptions.GetTimeoutError):
        one.get(ref, timeout=1)
    assert 0.9 < time.monotonic() - began < 5
    os.kill(pid, signal.SIGCONT)
    assert one.get(ref, timeout=30) == "task"
    assert journal.count("task") == 1 and one.retries == 0
    assert psutil.pid_exists(pid)


def test_b1_08_stopped_template_delays_only_new_workers(one):
    assert one.get(plain.remote(1)) == 2
    template = one.node.template_pid()
    os.kill(template, signal.SIGSTOP)
    try:
        assert one.get([plain.remote(i) for i in range(50)], timeout=30) == [*range(1, 51)]
    finally:
        os.kill(template, signal.SIGCONT)


def test_b1_08_shutdown_with_a_stopped_worker_is_bounded(start, journal, gate):
    runtime = start(num_cpus=1)
    ref = blocked.remote(journal, "task", gate.path)
    (pid,) = wait_until(lambda: journal.pids("task"))
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    runtime.shutdown()
    assert time.monotonic() - began < 5
    wait_until(lambda: not is_alive(pid), 2)
    del ref
