"""What the tests here call in workers: functions of a module, which any executor can send."""

from __future__ import annotations

import os
import time

state = "none"


def square(x):
    return x * x


def keywords(*args, **kwargs):
    return args, kwargs


def fail(x):
    raise ValueError(x)


def fail_at(x, bad):
    if x == bad:
        raise ValueError(x)
    return x


def die(*_):
    os._exit(3)


def pid(*_):
    return os.getpid()


def set_state(value):
    global state
    state = value


def get_state(*_):
    return state


def wait_at(gate, value=None):
    gate.wait()
    return value


def say_and_wait(channel, gate, value=None):
    channel.say("in")
    gate.wait()
    return value


def note(journal, x):
    journal.note("+")
    journal.note("-")
    return x


def stay(journal, x):
    """Is in for a while, so that others would be seen beside it."""
    journal.note("+")
    end = time.monotonic() + 0.002
    while time.monotonic() < end:
        pass
    journal.note("-")
    return x


def fail_at_two(x):
    return fail_at(x, 2)


def wait_if(what):
    gate, value = what
    if gate is not None:
        gate.wait()
    return value


class note_in:
    """`note` in one journal."""

    def __init__(self, journal):
        self.journal = journal

    def __call__(self, x):
        return note(self.journal, x)


def say_and_sleep(channel):
    channel.say("in")
    time.sleep(1000)


def assigned():
    import bolide

    return bolide.get_runtime_context().get_assigned_resources()
