"""An actor that fault tests kill, and how they do it."""

from __future__ import annotations

import os
import signal
import time

from fault_tools import pass_gate, wait_until

import bolide


@bolide.remote
class Notes:
    """Notes each call; `stay` blocks until its gate is opened."""

    def __init__(self, journal):
        self.journal = journal
        journal.note("made")

    def note(self, what):
        self.journal.note(what)
        return what

    def stay(self, what, gate_path):
        self.journal.note(what)
        pass_gate(gate_path)
        return what

    def pid(self):
        return os.getpid()

    def leave(self, status):
        os._exit(status)


def killed(actor, journal, what):
    """Kills the actor's process once it has noted `what`; when that was."""
    (victim,) = wait_until(lambda: journal.pids(what))
    os.kill(victim, signal.SIGKILL)
    return time.monotonic()
