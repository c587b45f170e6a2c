"""The end of the interpreter with the runtime in every state (DESIGN: pumping and threads)."""

from __future__ import annotations

import os
import threading

import pytest

DAEMON = """
gate = Gate("gate{i}")
ref = ray.remote(pass_gate).remote(gate.path)
refs = [ref, ray.put(1)]
for work in (
    lambda: ray.get(ref),
    lambda: ray.get(refs),
    lambda: ray.wait([ref]),
):
    threading.Thread(target=work, daemon=True).start()
"""
BUSY = (
    DAEMON
    + """
threading.Thread(target=lambda: ref.future().result(), daemon=True).start()
def spin():
    f = ray.remote(lambda x: x)
    while True:
        ray.get(f.remote(1))
threading.Thread(target=spin, daemon=True).start()
"""
)


@pytest.mark.slow
def test_daemon_threads_in_get_at_exit_100_times(program):
    for i in range(100):
        run = program(f"ray.init(num_cpus=2)\n{DAEMON.format(i=i)}")
        code, _, err = run.finish()
        assert (code, err) == (0, ""), f"run {i}: {code} {err}"
        run.family_gone()


def test_daemon_threads_that_are_busy_at_exit(program):
    """Those that call bolide after its end get an exception, which is theirs to print."""
    for i in range(5):
        run = program(f"ray.init(num_cpus=2)\n{BUSY.format(i=i)}")
        code, _, err = run.finish()
        assert code == 0, err
        assert "Fatal" not in err
        run.family_gone()


PROGRAMS = {
    "globals": """
ray.init(num_cpus=1)
f = ray.remote(lambda x: bytes(x))
refs = [f.remote(1), ray.put(1), ray.put(bytes(1_000_000)), f.remote(1_000_000)]
values = ray.get(refs)
""",
    "views_in_globals": """
import numpy
ray.init(num_cpus=1)
views = [ray.get(ray.put(numpy.arange(100_000))) for _ in range(5)]
class Late:
    def __init__(self, view): self.view = view
    def __del__(self): assert self.view[5] == 5
late = [Late(view) for view in views]
""",
    "cycles": """
ray.init(num_cpus=1)
class Node: pass
for i in range(100):
    a, b = Node(), Node()
    a.other, b.other = b, a
    a.ref, b.ref = ray.put(bytes(20_000)), ray.remote(lambda: 1).remote()
del a, b
""",
    "cycles_of_functions": """
f = ray.remote(lambda: f)
g = ray.remote(lambda: (g, f))
f.back, g.back = g, f
ray.get([f.remote(), g.remote()])
""",
    "after_shutdown": """
import numpy
ray.init(num_cpus=1)
refs = [ray.put(numpy.arange(100_000)), ray.remote(lambda: 1).remote()]
view = ray.get(refs[0])
ray.shutdown()
assert view[7] == 7
""",
    "never_used": "ray.init(num_cpus=1)\n",
    "unfinished_tasks": """
refs = [ray.remote(lambda: threading.Event().wait()).remote() for _ in range(50)]
""",
    "in_a_thread": """
def work():
    ray.init(num_cpus=1)
    ray.get(ray.remote(lambda: 1).remote())
thread = threading.Thread(target=work)
thread.start()
""",
    "pending_future": """
gate = Gate("gate")
future = ray.remote(pass_gate).remote(gate.path).future()
future.add_done_callback(lambda future: None)
""",
    "asyncio": """
import asyncio
f = ray.remote(lambda x: x + 1)
async def main():
    return await asyncio.gather(*[f.remote(i) for i in range(20)])
assert asyncio.run(main()) == list(range(1, 21))
""",
    "output": """
ray.get(ray.remote(lambda: print("from the worker", end="")).remote())
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_exit_is_clean(program, name):
    run = program(PROGRAMS[name])
    code, out, err = run.finish()
    assert (code, err) == (0, "")
    assert ("from the worker" in out) == (name == "output")
    run.family_gone()


@pytest.mark.parametrize(
    "use", ["ray.get(f.remote(1))", "ray.init()", "ray.put(1)", "f.remote(1)", "ray.get(ref)"]
)
@pytest.mark.parametrize("started", [True, False])
def test_atexit_handlers_that_run_late_get_the_sentence(program, use, started):
    """Handlers that were registered before bolide's own run after it."""
    if use == "ray.get(ref)" and not started:
        pytest.skip("there is no reference without a runtime")
    run = program(
        f"""
ray.init(num_cpus=1) if {started} else None
f = ray.remote(lambda x: x)
ref = f.remote(1) if {started} else None
"""
    )
    # bolide must be imported after the handler is registered: a program of its own.
    run.finish()
    path = run.path
    with open(path) as file:
        text = file.read()
    handler = f"""
import atexit, sys
def late():
    import bolide as ray
    try:
        {use}
    except Exception as error:
        sys.stdout.write(f"late {{type(error).__name__}} {{error}}\\n")
    else:
        sys.stdout.write("late nothing\\n")
    sys.stdout.flush()
atexit.register(late)
"""
    run = program("")
    run.finish()
    with open(run.path, "w") as file:
        file.write(handler + text)
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, run.path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and done.stderr == ""
    said = done.stdout.strip()
    assert said.startswith("late RuntimeError") or said.startswith("late RaySystemError"), said
    assert "exiting" in said or "shut down" in said, said


def test_atexit_handlers_that_run_early_may_still_use_it(program):
    run = program(
        """
import atexit
f = ray.remote(lambda x: x + 1)
ray.init(num_cpus=1)
atexit.register(lambda: say("early", ray.get(f.remote(1))))
"""
    )
    assert run.expect("early") == "2"
    assert run.finish()[0] == 0


def flat_cycles(start, times):
    """init and shutdown again and again: descriptors, threads and shared memory stay as now."""
    import bolide

    def shmem():
        with open("/proc/meminfo") as file:
            return int(next(line for line in file if line.startswith("Shmem:")).split()[1])

    start(num_cpus=1)
    f = bolide.remote(lambda x: x)
    bolide.get(f.remote(1))
    bolide.shutdown()
    before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    memory = shmem()
    for i in range(times):
        start(num_cpus=1)
        if i % 5 == 0:
            assert bolide.get(f.remote(i)) == i
            assert len(bolide.get(bolide.put(bytes(1_000_000)))) == 1_000_000
        bolide.shutdown()
        assert (
            len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        ) == before  # fmt: skip
    print(f"Shmem grew by {shmem() - memory} KiB over {times} cycles")
    assert threading.active_count() < 5


def test_a13_init_and_shutdown_50_times_are_flat(start):
    flat_cycles(start, 50)


@pytest.mark.slow
@pytest.mark.soak
def test_a13_init_and_shutdown_500_times_are_flat(start):
    flat_cycles(start, 500)


def test_a13_shutdown_is_bounded_with_code_that_is_stuck(start, journal):
    import time

    from fault_tools import wait_until

    import bolide

    runtime = start(num_cpus=2)

    @bolide.remote
    def deaf(i):
        import signal

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        journal.note(i)
        while True:
            pass

    refs = [deaf.remote(i) for i in range(2)]
    wait_until(lambda: len(journal.entries()) == 2)
    began = time.monotonic()
    runtime.shutdown()
    took = time.monotonic() - began
    print(f"shutdown with stuck tasks took {took * 1e3:.0f} ms")
    assert took < 5
    with pytest.raises(bolide.exceptions.RaySystemError, match="shut down"):
        bolide.get(refs[0])


def test_a13_shutdown_while_threads_wait(start):
    import bolide

    runtime = start(num_cpus=1)
    never = bolide.remote(lambda: threading.Event().wait()).remote()
    errors = []

    def waits(call):
        try:
            call()
        except Exception as error:
            errors.append(error)

    calls = [lambda: bolide.get(never), lambda: bolide.get([never]), lambda: bolide.wait([never])]
    threads = [threading.Thread(target=waits, args=(call,)) for call in calls * 3]
    for thread in threads:
        thread.start()
    runtime.shutdown()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(errors) == 9
    assert all("shut down" in str(error) for error in errors), errors
