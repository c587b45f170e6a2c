"""os.fork and multiprocessing in a driver and in a task (RELIABILITY B1-14)."""

from __future__ import annotations

import os
import signal

import pytest

FORK = """
import numpy
ray.init(num_cpus=2)
f = ray.remote(lambda x: x + 1)
array = numpy.arange(100_000)
ref = ray.put(array)
view = ray.get(ref)
assert ray.get(f.remote(1)) == 2
template = ray._runtime._node.template_pid()

def in_child(action, end):
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        text = ""
        try:
            text = str(action())
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode())
        os.close(writing)
        end()
        raise SystemExit(77)
    os.close(writing)
    with open(reading, "rb") as file:
        text = file.read().decode()
    return text, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def check_parent():
    assert ray.get([f.remote(i) for i in range(50)]) == list(range(1, 51))
    assert (ray.get(ref) == array).all()
    assert ray._runtime._node.template_pid() == template
    assert ray._runtime._node.audit()
"""
USES = {
    "get": "ray.get(ref)",
    "get_list": "ray.get([ref])",
    "wait": "ray.wait([ref])",
    "put": "ray.put(1)",
    "remote": "f.remote(1)",
    "future": "ref.future().result()",
    "cluster_resources": "ray.cluster_resources()",
}


@pytest.mark.parametrize("use", USES)
def test_b1_14_a_forked_child_gets_a_clear_error(program, use):
    run = program(
        FORK
        + f"say('child', *in_child(lambda: {USES[use]}, lambda: os._exit(0)))\n"
        + "check_parent()\nsay('parent')\n"
    )
    said = run.expect("child")
    assert said.startswith("RuntimeError: ") and "after fork" in said, said
    assert said.endswith(" 0")
    run.expect("parent")
    code, _, err = run.finish()
    assert code == 0 and "Error" not in err
    run.family_gone()


@pytest.mark.parametrize(
    ("end", "code"),
    [("lambda: os._exit(5)", 5), ("lambda: sys.exit(6)", 6), ("lambda: None", 77)],
    ids=["os_exit", "sys_exit", "atexit_handlers"],
)
def test_b1_14_a_forked_child_may_read_views_and_its_exit_cleans_nothing_up(program, end, code):
    run = program(
        FORK
        + "for i in range(3):\n"
        + f"    text, code = in_child(lambda: int(view.sum()), {end})\n"
        + f"    assert (text, code) == (str(int(array.sum())), {code}), (text, code)\n"
        + "    check_parent()\n"
        + "say('parent')\n"
    )
    run.expect("parent")
    code, _, err = run.finish()
    assert code == 0 and "Error" not in err, err
    run.family_gone()


def test_b1_14_references_dropped_by_a_child_stay_the_parents(program):
    run = program(
        FORK
        + """
refs = [ray.put(bytes(200_000) + bytes([i])) for i in range(20)]
views = ray.get(refs)
def drops():
    global views, view
    import gc
    refs.clear()
    views = view = None
    gc.collect()
    return "dropped"
say("child", *in_child(drops, lambda: None))
assert [value[-1] for value in ray.get(refs)] == list(range(20))
check_parent()
say("parent")
"""
    )
    assert run.expect("child") == "dropped 77"
    run.expect("parent")
    assert run.finish()[0] == 0


def test_b1_14_a_child_may_start_a_runtime_of_its_own(program):
    run = program(
        FORK
        + """
def own():
    ray.init(num_cpus=1)
    g = ray.remote(lambda x: x * 3)
    result = ray.get(g.remote(14))
    ray.shutdown()
    return result
say("child", *in_child(own, lambda: os._exit(0)))
check_parent()
say("parent")
"""
    )
    assert run.expect("child") == "42 0"
    run.expect("parent")
    assert run.finish()[0] == 0
    run.family_gone()


def test_b1_14_multiprocessing_by_fork_in_the_driver(program):
    run = program(
        FORK
        + """
import multiprocessing
context = multiprocessing.get_context("fork")
def child(i):
    try:
        ray.get(ref)
    except RuntimeError as error:
        return i, "after fork" in str(error), int(view[i])
with context.Pool(3) as pool:
    say("pool", pool.map(child, range(5)) == [(i, True, i) for i in range(5)])
check_parent()
process = context.Process(target=lambda: sys.exit(3))
process.start()
process.join()
say("process", process.exitcode)
check_parent()
say("parent")
"""
    )
    assert run.expect("pool") == "True"
    assert run.expect("process") == "3"
    run.expect("parent")
    code, _, err = run.finish()
    assert code == 0, err
    run.family_gone()


TASK = """
ray.init(num_cpus=1)
f = ray.remote(lambda x: x + 1)

@ray.remote(max_retries=0)
def forks(refs, kind):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        print("a line of the child")
        try:
            text = str(ray.get(refs[0]))
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode())
        os.close(writing)
        if kind == "os_exit":
            os._exit(0)
        if kind == "sys_exit":
            sys.exit(0)
        if kind == "raise":
            raise ValueError("in the child")
        return "from the child"
    os.close(writing)
    with open(reading, "rb") as file:
        text = file.read().decode()
    return text, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), os.getpid()

import multiprocessing

@ray.remote(max_retries=0)
def uses_multiprocessing():
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        squares = pool.map(abs, range(-5, 5))
    return squares
"""


@pytest.mark.parametrize("kind", ["os_exit", "sys_exit", "raise", "return"])
def test_b1_14_fork_in_a_task(program, kind):
    run = program(
        TASK
        + f"""
ref = ray.put("value")
pid = ray.get(ray.remote(os.getpid).remote())
for i in range(3):
    text, code, worker = ray.get(forks.remote([ref], {kind!r}))
    assert worker == pid
say("child", code, text)
assert ray.get([f.remote(i) for i in range(20)]) == list(range(1, 21))
say("retries", ray._runtime._node.stats()["retries"])
"""
    )
    code, _, text = run.expect("child").partition(" ")
    assert text.startswith("RuntimeError: ") and "after fork" in text, text
    assert int(code) in ((0,) if kind != "raise" else (1,)), code
    assert run.expect("retries") == "0"
    code, out, err = run.finish()
    assert code == 0, err
    assert (kind == "raise") == ("ValueError: in the child" in err)
    assert "".join([*run.seen, out]).count("a line of the child") == 3
    run.family_gone()


def test_b1_14_multiprocessing_in_a_task(program):
    run = program(TASK + "say('result', ray.get(uses_multiprocessing.remote()))\n")
    assert run.expect("result") == str([*map(abs, range(-5, 5))])
    assert run.finish()[0] == 0
    run.family_gone()


def test_b1_14_a_forked_child_that_lives_on_does_not_keep_workers_alive(program):
    run = program(
        FORK
        + """
pid = os.fork()
if pid == 0:
    signal.pause()
say("child", pid)
os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    child = int(run.expect("child"))
    run.process.wait(timeout=30)
    from fault_tools import processes_marked, wait_until

    wait_until(lambda: processes_marked(run.mark) == [child], 2, "the end of all but the child")
    os.kill(child, signal.SIGKILL)
