"""Fixtures of the unit tests of pure-Python modules: a worker process, and a stand-in for __main__.

No runtime is started here: the worker is a bare interpreter that can import bolide but none of the
test modules, so it shows what travels by value. Functions are loaded once, each argument and each
result in a pickle of its own, as in the real worker.
"""

import os
import pickle
import subprocess
import sys

import pytest

import bolide
from bolide import _serialize

_WORKER = """
import os, pickle, sys
from bolide import _serialize

functions = {}
source, sink = sys.stdin.buffer, sys.stdout.buffer
while True:
    size = int.from_bytes(source.read(8), "little")
    if not size:
        break
    exported, arguments = pickle.loads(source.read(size))
    try:
        if exported not in functions:
            functions[exported] = pickle.loads(exported)
        result = functions[exported](*map(pickle.loads, arguments))
        reply = (True, _serialize.dumps_in_band(result))
    except BaseException as error:
        reply = (False, _serialize.pack_error(error, "task", os.getpid()))
    data = pickle.dumps(reply)
    sink.write(len(data).to_bytes(8, "little") + data)
    sink.flush()
"""


class Worker:
    """A process that calls functions; `call` gives the result or raises as `get` would."""

    def __init__(self):
        package = os.path.dirname(os.path.dirname(os.path.abspath(bolide.__file__)))
        environment = {**os.environ, "PYTHONPATH": package}
        command = [sys.executable, "-c", _WORKER]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd="/"
        )
        self.pid = self._process.pid

    def call(self, function, *arguments):
        return self.call_exported(self.export(function), *arguments)

    @staticmethod
    def export(function):
        return _serialize.dumps_in_band(function)

    def call_exported(self, exported, *arguments):
        return self.load(self.call_raw(exported, *map(_serialize.dumps_in_band, arguments)))

    def call_raw(self, exported, *arguments):
        """The reply to already pickled arguments: (whether it returned, pickle)."""
        data = pickle.dumps((exported, arguments))
        self._process.stdin.write(len(data).to_bytes(8, "little") + data)
        self._process.stdin.flush()
        size = int.from_bytes(self._process.stdout.read(8), "little")
        return pickle.loads(self._process.stdout.read(size))

    @staticmethod
    def load(reply):
        returned, data = reply
        if returned:
            return pickle.loads(data)
        raise _serialize.unpack_error(data)

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture
def worker():
    """One worker process."""
    one = Worker()
    yield one
    one.close()


@pytest.fixture
def two_workers():
    """Two worker processes."""
    both = Worker(), Worker()
    yield both
    for one in both:
        one.close()


@pytest.fixture
def in_main():
    """`in_main(source)` runs source as a script's __main__ would and returns its namespace."""

    def run(source):
        namespace = {"__name__": "__main__", "__builtins__": __builtins__}
        exec(compile(source, "<script>", "exec"), namespace)
        return namespace

    return run
