"""The debugger: breakpoint() in tasks and actors, after exceptions, `bolide debug`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

import bolide
from bolide._debugger import folder, waiting


@pytest.fixture
def one_waits(eventually):
    """`one_waits()` returns when a task waits for a debugger."""
    return lambda: eventually(lambda: len(waiting()), 1)


@pytest.fixture
def debug():
    """`debug(commands, *arguments)` runs `bolide debug`; what it prints."""

    def run(commands, *arguments):
        done = subprocess.run(
            [sys.executable, "-m", "bolide", "debug", *arguments],
            input=commands,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout + done.stderr

    return run


@pytest.fixture
def session(monkeypatch, tmp_path):
    """A runtime whose workers have a folder of sockets of their own."""

    def start(**environment):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        bolide.init(num_cpus=2)

    return start


def test_a_breakpoint_in_a_task(session, debug, one_waits, capfd):
    session()

    @bolide.remote
    def f(x):
        y = [x + 1]
        breakpoint()
        return y

    ref = f.remote(1)
    one_waits()
    said = debug("p 'x is', x\ny.append(40)\nc\n")
    assert "('x is', 1)" in said
    assert bolide.get(ref, timeout=30) == [2, 40]
    assert waiting() == []
    assert "waits for a debugger: run `bolide debug " in capfd.readouterr().err


def test_a_breakpoint_in_an_actor_and_the_end_of_the_input(session, debug, one_waits):
    session()

    @bolide.remote
    class A:
        def f(self):
            breakpoint()
            return "went on"

    actor = A.remote()
    ref = actor.f.remote()
    one_waits()
    assert "breakpoint() at" in debug("")
    assert bolide.get(ref, timeout=30) == "went on"


def test_quit_ends_the_task(session, debug, one_waits):
    session()

    @bolide.remote
    def f():
        breakpoint()
        return 1

    ref = f.remote()
    one_waits()
    debug("q\n")
    with pytest.raises(bolide.exceptions.RayTaskError, match="BdbQuit"):
        bolide.get(ref, timeout=30)


def test_after_an_exception(session, debug, one_waits):
    session(BOLIDE_POST_MORTEM="on")

    @bolide.remote
    def f(x):
        return 1 // x

    ref = f.remote(0)
    one_waits()
    said = debug("p 'x is', x\nc\n")
    assert "ZeroDivisionError at" in said
    assert "('x is', 0)" in said
    with pytest.raises(ZeroDivisionError):
        bolide.get(ref, timeout=30)


def test_a_task_that_waits_can_be_cancelled(session, one_waits):
    session()

    @bolide.remote
    def f():
        breakpoint()

    ref = f.remote()
    one_waits()
    bolide.cancel(ref)
    with pytest.raises(bolide.exceptions.TaskCancelledError):
        bolide.get(ref, timeout=30)


def test_nobody_waits(session, debug):
    session()
    assert "no task waits for a debugger" in debug("")
    assert "no task of pid 1 waits" in debug("", "1")


def test_the_folder_is_this_users_alone(session, tmp_path):
    session()
    path = folder()
    assert path.startswith(str(tmp_path))
    assert os.stat(path).st_mode & 0o777 == 0o700
    os.chmod(path, 0o755)
    with pytest.raises(PermissionError, match="that only this user can open"):
        folder()


def test_the_task_goes_on_when_the_debugger_is_killed(session, one_waits, eventually):
    session(BOLIDE_POST_MORTEM="on")

    @bolide.remote
    def f(x):
        breakpoint()
        return 1 // x

    def leave(commands):
        """Connects as `bolide debug` does, sends these, and goes without reading."""
        one_waits()
        _, path = waiting()[0]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(commands)
        eventually(lambda: os.path.exists(path), False)

    for commands in (b"", b"p 'x' * 1_000_000\n"):
        ref = f.remote(1)
        leave(commands)
        assert bolide.get(ref, timeout=30) == 1
        ref = f.remote(0)
        leave(commands)  # at the breakpoint
        leave(commands)  # after the exception
        with pytest.raises(ZeroDivisionError):
            bolide.get(ref, timeout=30)


def test_without_a_folder_the_exception_is_the_result_all_the_same(session, capfd):
    session(BOLIDE_POST_MORTEM="on")
    os.chmod(folder(), 0o755)

    @bolide.remote(max_retries=0)
    def f(x):
        return 1 // x

    with pytest.raises(ZeroDivisionError):
        bolide.get(f.remote(0), timeout=30)
    bolide.shutdown()
    assert "cannot wait for a debugger: " in capfd.readouterr().err
