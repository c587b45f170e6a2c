"""kill, whatever the actor is doing, and constructors that die or hang. RELIABILITY row B11."""

from __future__ import annotations

import os
import signal

import pytest
from actor_tools import Notes
from fault_tools import is_alive, pass_gate, wait_until

import bolide
from bolide.exceptions import ActorDiedError, ActorUnavailableError


def test_b11_a_constructor_that_dies_consumes_restarts(two, journal):
    @bolide.remote(max_restarts=2)
    class DiesAtOnce:
        def __init__(self):
            journal.note("made")
            os.kill(os.getpid(), signal.SIGKILL)

        def f(self):
            return 1

    actor = DiesAtOnce.remote()
    with pytest.raises(ActorDiedError, match="died in the constructor: killed by signal 9"):
        two.get(actor.f.remote(), timeout=20)
    assert journal.count("made") == 3


def test_b11_kill_works_while_a_constructor_hangs(two, journal, gate):
    @bolide.remote(max_restarts=3)
    class Hangs:
        def __init__(self):
            journal.note("made")
            pass_gate(gate.path)

        def f(self):
            return 1

    actor = Hangs.remote()
    ref = actor.f.remote()
    (pid,) = wait_until(lambda: journal.pids("made"))
    bolide.kill(actor)
    with pytest.raises(ActorDiedError, match="it was killed by kill()"):
        two.get(ref, timeout=10)
    wait_until(lambda: not is_alive(pid), 2)
    assert journal.count("made") == 1


def test_kill_of_an_actor_that_waits_for_a_dependency_or_for_room(start, gate):
    two = start(num_cpus=2)

    @bolide.remote
    def never(path):
        pass_gate(path)

    dependency = never.remote(gate.path)
    waits = Notes.remote(dependency)
    room = Notes.options(num_cpus=2).remote(None)
    refs = [waits.note.remote(1), room.note.remote(1)]
    bolide.kill(waits)
    bolide.kill(room)
    for ref in refs:
        with pytest.raises(ActorDiedError, match="it was killed by kill()"):
            two.get(ref, timeout=10)
    gate.open()
    two.get(dependency)


def test_kill_ends_the_process_and_fails_current_pending_and_future_calls(two, journal, gate):
    actor = Notes.options(max_restarts=5, max_task_retries=-1).remote(journal)
    refs = [actor.stay.remote("running", gate.path), actor.note.remote("pending")]
    (pid,) = wait_until(lambda: journal.pids("running"))
    bolide.kill(actor)
    for ref in [*refs, actor.note.remote("future")]:
        with pytest.raises(ActorDiedError, match="it was killed by kill()"):
            two.get(ref, timeout=10)
    wait_until(lambda: not is_alive(pid), 2)
    bolide.kill(actor)  # may be said again


def test_kill_with_no_restart_false_restarts_it(two, journal, gate):
    actor = Notes.options(max_restarts=1).remote(journal)
    first = two.get(actor.pid.remote())
    running = actor.stay.remote("running", gate.path)
    wait_until(lambda: journal.pids("running"))
    bolide.kill(actor, no_restart=False)
    with pytest.raises(ActorUnavailableError, match=r"killed by kill\(no_restart=False\)"):
        two.get(running, timeout=10)
    assert two.get(actor.pid.remote(), timeout=10) != first
    bolide.kill(actor, no_restart=False)  # no restart is left
    with pytest.raises(ActorDiedError):
        two.get(actor.pid.remote(), timeout=10)


def test_kill_of_something_else_is_a_value_error(two):
    with pytest.raises(ValueError, match="only supported for actors"):
        bolide.kill(5)
