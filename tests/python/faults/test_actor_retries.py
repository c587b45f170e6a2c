"""Calls of actors that are run again, after a death or an exception: how often, and in which order.

RELIABILITY rows A6, B10; Ray's page "Actor fault tolerance". Every attempt appends to a journal.
"""

from __future__ import annotations

import os
import signal

import pytest
from actor_tools import Notes, killed

import bolide
from bolide.exceptions import ActorUnavailableError


def test_queued_calls_are_sent_again_and_burn_no_retry(two, journal, gate):
    actor = Notes.options(max_restarts=1).remote(journal)
    two.get([actor.note.remote("warm") for _ in range(2000)])  # many are sent ahead now
    running = actor.stay.remote("running", gate.path)
    queued = [actor.note.remote(i) for i in range(64)]
    killed(actor, journal, "running")
    with pytest.raises(ActorUnavailableError, match="The call may or may not have been executed"):
        two.get(running, timeout=10)
    assert two.get(queued, timeout=10) == list(range(64))
    assert two.retries == 0
    order = [what for what, _ in journal.entries() if what.isdigit()]
    assert order == [str(i) for i in range(64)]
    assert journal.count("made") == 2


def test_max_task_retries_is_exact(two, journal):
    @bolide.remote(max_restarts=-1)
    class Dies:
        def until(self, times):
            journal.note("attempt")
            if journal.count("attempt") <= times:
                os.kill(os.getpid(), signal.SIGKILL)
            return "done"

    actor = Dies.remote()
    assert two.get(actor.until.options(max_task_retries=3).remote(3)) == "done"
    assert journal.count("attempt") == 4 and two.retries == 3
    with pytest.raises(ActorUnavailableError):
        two.get(actor.until.options(max_task_retries=2).remote(100))
    assert journal.count("attempt") == 4 + 3
    assert two.get(actor.until.options(max_task_retries=-1).remote(20)) == "done"


def test_max_task_retries_of_actor_method_and_call(two, journal):
    @bolide.remote(max_restarts=-1, max_task_retries=1)
    class Dies:
        def of_actor(self):
            self.die("actor")

        @bolide.method(max_task_retries=2)
        def of_method(self):
            self.die("method")

        def die(self, what):
            journal.note(what)
            os._exit(1)

    actor = Dies.remote()
    calls = actor.of_actor, actor.of_method, actor.die.options(max_task_retries=0)
    for call, args in zip(calls, [(), (), ("call",)]):
        with pytest.raises(ActorUnavailableError):
            two.get(call.remote(*args))
    assert journal.counts() == {"actor": 2, "method": 3, "call": 1}


def test_retry_exceptions_of_methods(two, journal):
    @bolide.remote(max_task_retries=3)
    class Fails:
        @bolide.method(retry_exceptions=[OSError])
        def sometimes(self, error, times):
            journal.note(error.__name__)
            if journal.count(error.__name__) <= times:
                raise error("again")
            return "done"

        def never(self):
            journal.note("never")
            raise OSError("no retry was asked for")

    actor = Fails.remote()
    assert two.get(actor.sometimes.remote(OSError, 3)) == "done"
    with pytest.raises(KeyError):
        two.get(actor.sometimes.remote(KeyError, 3))
    with pytest.raises(OSError):
        two.get(actor.never.remote())
    with pytest.raises(TimeoutError):
        two.get(actor.sometimes.remote(TimeoutError, 9))
    assert two.get(actor.sometimes.options(retry_exceptions=True).remote(ValueError, 2)) == "done"
    assert journal.counts() == {
        "OSError": 4, "KeyError": 1, "never": 1, "TimeoutError": 4, "ValueError": 3
    }  # fmt: skip


def test_a_call_that_is_retried_holds_back_its_callers_later_calls(two, journal):
    @bolide.remote(max_task_retries=-1)
    class Fails:
        def flaky(self):
            journal.note("flaky")
            if journal.count("flaky") < 4:
                raise OSError("again")

        def later(self):
            journal.note("later")

    actor = Fails.remote()
    two.get([actor.flaky.options(retry_exceptions=True).remote(), actor.later.remote()])
    assert [what for what, _ in journal.entries()] == ["flaky"] * 4 + ["later"]
