"""Fixtures of these tests: a gate that forked processes may have inherited."""

from __future__ import annotations

import os

import pytest


class Gate:
    """Closed until `open`; as `support.Latch`, but it does not matter who has its descriptors.

    ProcessPoolExecutor forks, and a Latch opens when its last writer is gone.
    """

    _PASSES = 4000  # how often it can be waited at, less than a pipe holds

    def __init__(self, path):
        self._path = str(path)
        self._pipe = None

    @classmethod
    def make(cls, path):
        os.mkfifo(path)
        gate = cls(path)
        gate._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        return gate

    def wait(self):
        with open(self._path, "rb", buffering=0) as pipe:
            pipe.read(1)

    def open(self):
        if not os.path.exists(self._path + ".open"):
            os.close(os.open(self._path + ".open", os.O_CREAT | os.O_WRONLY))
            os.write(self._pipe, b"x" * self._PASSES)

    def close(self):
        self.open()
        os.close(self._pipe)

    def __reduce__(self):
        return Gate, (self._path,)


@pytest.fixture
def gate(tmp_path):
    """A closed Gate, which is opened when the test is over."""
    made = Gate.make(tmp_path / "gate")
    yield made
    made.close()
