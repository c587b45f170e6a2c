"""`bolide memory` and what is behind it: which objects there are, and why they are alive."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from bolide import _inquiry
from bolide._memory_report import memory_summary
from bolide.cli import main
from bolide.util.state import list_objects

N = 100_000


def holders(ref):
    """(reference type, name or type of the holder) of each holder of an object."""
    return {
        (row["reference_type"], row["name"] or row["type"])
        for row in list_objects()
        if row["object_id"] == ref.hex()
    }


def test_a_reference_and_a_view(ray):
    ref = ray.put(np.zeros(N))
    assert holders(ref) == {("LOCAL_REFERENCE", "DRIVER")}
    view = ray.get(ref)
    assert ("PINNED_IN_MEMORY", "DRIVER") in holders(ref)
    (row, *_) = list_objects(limit=1)
    assert row["object_size"] > 8 * N and row["where"] == "memory" and row["pid"] == os.getpid()
    assert row["call_site"] == ""
    del view
    assert holders(ref) == {("LOCAL_REFERENCE", "DRIVER")}


def test_a_view_keeps_a_reference(ray):
    view = ray.get(ray.put(np.zeros(N)))
    types = {row["reference_type"] for row in list_objects()}
    assert types == {"LOCAL_REFERENCE", "PINNED_IN_MEMORY"}
    assert len(view) == N


def test_an_argument_and_a_result_of_a_task_that_has_not_ended(ray, latch):
    @ray.remote
    def waits(array, nested):
        latch.wait()

    array, nested = ray.put(np.zeros(N)), ray.put(np.ones(N))
    result = waits.remote(array, [nested])
    name = "test_an_argument_and_a_result_of_a_task_that_has_not_ended.<locals>.waits"
    assert ("USED_BY_PENDING_TASK", name) in holders(array)
    assert ("USED_BY_PENDING_TASK", name) in holders(nested)
    assert ("RESULT_OF_PENDING_TASK", name) in holders(result)
    latch.open()
    ray.get(result)


def test_an_object_in_another_one(ray):
    inner = ray.put(np.zeros(N))
    outer = ray.put([inner, 1])
    assert ("CAPTURED_IN_OBJECT", outer.hex()) in holders(inner)


def test_the_state_of_an_actor(ray):
    @ray.remote
    class Keeper:
        def keep(self, values):
            self.values = values

    keeper = Keeper.remote()
    ref = ray.put(np.zeros(N))
    ray.get(keeper.keep.remote([ref]))
    assert ("LOCAL_REFERENCE", "Keeper") in holders(ref)
    assert "ACTOR_HANDLE" in {row["reference_type"] for row in list_objects()}


def test_the_summary_says_where_objects_were_made(monkeypatch, leaves_nothing):
    import bolide

    monkeypatch.setenv("BOLIDE_RECORD_REF_CREATION_SITES", "on")
    bolide.init(num_cpus=1)
    ref = bolide.put(np.zeros(N))
    line = test_the_summary_says_where_objects_were_made.__code__.co_firstlineno + 5
    text = memory_summary(units="KB")
    assert f"put() at {__file__}:{line} in test_the_summary_says" in text
    assert ref.hex() in text and "781.3" in text
    assert memory_summary(stats_only=True).count("\n") == 0
    with pytest.raises(ValueError, match=r"^units is 'PB', but it must be one of B, KB, MB, GB$"):
        memory_summary(units="PB")


def test_without_a_runtime_and_in_a_task(ray):
    @ray.remote
    def asks():
        return list_objects()

    with pytest.raises(RuntimeError, match="ask in the driver, or with the command bolide memory"):
        ray.get(asks.remote())
    ray.shutdown()
    with pytest.raises(RuntimeError, match="bolide is not running in this process"):
        list_objects()


def test_another_process_asks(ray):
    ref = ray.put(np.zeros(N))
    done = subprocess.run(
        [sys.executable, "-m", "bolide", "memory", "--pid", str(os.getpid()), "--units", "MB"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stderr == "" and done.returncode == 0
    heading, row, *_ = done.stdout.splitlines()
    assert heading.split("  ")[0].strip() == "PID"
    assert row.split()[:4] == [str(os.getpid()), "DRIVER", "LOCAL_REFERENCE", "0.76"]
    assert ref.hex() in row


def test_the_command_finds_the_only_program(ray, monkeypatch, capsys):
    pipe = _inquiry.drivers()[os.getpid()]
    monkeypatch.setattr(_inquiry, "drivers", lambda: {os.getpid(): pipe})
    assert main(["memory", "--stats-only"]) == 0
    assert f"objects of the program with pid {os.getpid()}" in capsys.readouterr().out
    monkeypatch.setattr(_inquiry, "drivers", dict)
    assert main(["memory"]) == 1
    assert capsys.readouterr().err == ("bolide memory: no program of this user runs bolide now\n")
    monkeypatch.setattr(_inquiry, "drivers", lambda: {7: 1, 5: 1})
    assert main(["memory"]) == 1
    assert capsys.readouterr().err == (
        "bolide memory: several programs run bolide, choose one with --pid: 5, 7\n"
    )


def test_a_process_without_bolide_says_so(ray, capsys):
    assert main(["memory", "--pid", "1"]) == 1
    assert "process 1 runs no bolide of this user" in capsys.readouterr().err


def test_rubbish_in_the_pipe_is_dropped(ray):
    number = _inquiry.drivers()[os.getpid()]
    pipe = os.open(f"/proc/self/fd/{number}", os.O_WRONLY)
    try:
        os.write(pipe, b"rubbish" * 20)
        for pid, memfd in ((os.getpid(), 0), (1, 3), (-1, -1), (2**31 - 1, 5)):  # no memfds
            os.write(pipe, _inquiry._INQUIRY.pack(_inquiry._INQUIRY_MAGIC, 1, pid, memfd, 5))
        os.write(pipe, b"a")
        assert ray.get(ray.put(1)) == 1
    finally:
        os.close(pipe)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_gets_nothing(ray):
    number = _inquiry.drivers()[os.getpid()]
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            found = _inquiry.drivers()
            try:
                os.open(f"/proc/{os.getppid()}/fd/{number}", os.O_WRONLY)
            except PermissionError:
                code = 0 if found == {} else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
