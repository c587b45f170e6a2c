"""The debugger: breakpoint() in tasks and actors, after exceptions, `bolide debug`."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

import bolide
from bolide._debugger import folder, waiting


def is_waiting():
    """Waits until a task waits for a debugger; false if none does in half a minute."""
    deadline = time.monotonic() + 30
    while not waiting() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(waiting())


@pytest.fixture
def debug():
    """`debug(commands, *arguments)` runs `bolide debug` when a task waits; what it prints."""

    def run(commands, *arguments, when=is_waiting):
        assert when()
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


def test_a_breakpoint_in_a_task(session, debug, capfd):
    session()

    @bolide.remote
    def f(x):
        y = [x + 1]
        breakpoint()
        return y

    ref = f.remote(1)
    said = debug("p 'x is', x\ny.append(40)\nc\n")
    assert "('x is', 1)" in said
    assert bolide.get(ref, timeout=30) == [2, 40]
    assert waiting() == []
    assert "waits for a debugger: run `bolide debug " in capfd.readouterr().err


def test_a_breakpoint_in_an_actor_and_the_end_of_the_input(session, debug):
    session()

    @bolide.remote
    class A:
        def f(self):
            breakpoint()
            return "went on"

    actor = A.remote()
    ref = actor.f.remote()
    assert "breakpoint() at" in debug("")
    assert bolide.get(ref, timeout=30) == "went on"


def test_quit_ends_the_task(session, debug):
    session()

    @bolide.remote
    def f():
        breakpoint()
        return 1

    ref = f.remote()
    debug("q\n")
    with pytest.raises(bolide.exceptions.RayTaskError, match="BdbQuit"):
        bolide.get(ref, timeout=30)


def test_after_an_exception(session, debug):
    session(BOLIDE_POST_MORTEM="on")

    @bolide.remote
    def f(x):
        return 1 // x

    ref = f.remote(0)
    said = debug("p 'x is', x\nc\n")
    assert "ZeroDivisionError at" in said
    assert "('x is', 0)" in said
    with pytest.raises(ZeroDivisionError):
        bolide.get(ref, timeout=30)


def test_a_task_that_waits_can_be_cancelled(session):
    session()

    @bolide.remote
    def f():
        breakpoint()

    ref = f.remote()
    assert is_waiting()
    bolide.cancel(ref)
    with pytest.raises(bolide.exceptions.TaskCancelledError):
        bolide.get(ref, timeout=30)


def test_nobody_waits(session, debug):
    session()
    assert "no task waits for a debugger" in debug("", when=lambda: True)
    assert "no task of pid 1 waits" in debug("", "1", when=lambda: True)


def test_the_folder_is_this_users_alone(session, tmp_path):
    session()
    path = folder()
    assert path.startswith(str(tmp_path))
    assert os.stat(path).st_mode & 0o777 == 0o700
    os.chmod(path, 0o755)
    with pytest.raises(PermissionError, match="that only this user can open"):
        folder()
