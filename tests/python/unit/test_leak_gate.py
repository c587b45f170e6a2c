"""The leak gate: it notices each kind of thing that can be left behind, and nothing else."""

from __future__ import annotations

import gc
import mmap
import os
import subprocess
import sys
import threading

import pytest

import bolide
from bolide.testing import LeakError, idle_problems, leak_gate

SHORT = 0.05  # seconds in which what is left on purpose is not going to go


def test_nothing_left_is_nothing_said():
    with leak_gate(SHORT):
        os.close(os.open("/dev/null", os.O_RDONLY))
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        subprocess.run([sys.executable, "-S", "-c", ""], check=True)


def test_a_descriptor_is_named():
    left = None
    try:
        with pytest.raises(LeakError, match="1 more descriptors of /dev/null"), leak_gate(SHORT):
            left = os.open("/dev/null", os.O_RDONLY)
    finally:
        os.close(left)


def test_a_thread_is_named():
    ends = threading.Event()
    thread = threading.Thread(target=ends.wait)
    try:
        with pytest.raises(LeakError, match=r"thread \d+ \("), leak_gate(SHORT):
            thread.start()
    finally:
        ends.set()
        thread.join()


def test_a_process_and_a_zombie_are_named():
    child = None
    try:
        with pytest.raises(LeakError, match=r"process \d+ \(sleep since \d+\) sleep 1000"):
            with leak_gate(SHORT):
                child = subprocess.Popen(["sleep", "1000"])
                # The name of a process is that of what it has executed.
                while b"sleep" not in open(f"/proc/{child.pid}/cmdline", "rb").read():
                    pass
    finally:
        child.kill()
        child.wait()
    with pytest.raises(LeakError, match=r"zombie \d+"), leak_gate(SHORT):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    os.waitpid(child, 0)


def test_a_process_that_left_the_family_is_found_by_its_environment(tmp_path):
    path = tmp_path / "pid"
    os.mkfifo(path)
    program = f"import os, signal\nopen({str(path)!r}, 'w').write(str(os.getpid()))\nsignal.pause()"
    launcher = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', {program!r}])"
    )
    with pytest.raises(LeakError, match=r"process \d+"), leak_gate(SHORT):
        # Its parent ends at once, so it is a child of nobody here.
        subprocess.run([sys.executable, "-S", "-c", launcher], check=True)
        stray = int(path.read_text())
    os.kill(stray, 9)


def test_shared_memory_and_its_mapping_are_named():
    with pytest.raises(LeakError) as caught, leak_gate(SHORT):
        fd = os.memfd_create("bolide-left")
        os.ftruncate(fd, 8 << 20)
        memory = mmap.mmap(fd, 8 << 20)
        memory.write(b"x" * (8 << 20))
        os.close(fd)
    memory.close()
    assert "mapping of /memfd:bolide-left" in str(caught.value)
    assert "bytes more of shared memory (Shmem)" in str(caught.value)


def test_what_an_idle_runtime_holds_is_named(ray):
    assert idle_problems(SHORT) == []
    small, large = ray.put(1), ray.put(bytes(300_000))
    problems = "; ".join(idle_problems(SHORT))
    assert "2 objects are alive" in problems
    assert "bytes are live in the store" in problems
    del small, large
    assert idle_problems() == []


def test_a_task_that_runs_is_named(ray, tmp_path):
    fifo = tmp_path / "gate"
    os.mkfifo(fifo)
    ref = ray.remote(lambda path: open(path).read()).remote(str(fifo))
    with open(fifo, "w") as gate:  # is opened when the task has come to it
        problems = "; ".join(idle_problems(SHORT))
        gate.write("go on")
    assert "1 tasks have not ended" in problems
    assert "1 of 2 CPU are taken" in problems
    assert ray.get(ref) == "go on"
    del ref
    gc.collect()
    assert idle_problems() == []
    assert bolide.is_initialized()
