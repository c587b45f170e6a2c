"""`bolide run program.py [arguments]`: run a program for Ray, unmodified, on bolide.

In this process, and in the workers of its runtime, `import ray` gives bolide. The program finds
sys.argv, sys.path and `__main__` as if Python had been given it.
"""

from __future__ import annotations

import argparse
import io
import os
import runpy
import sys
import types


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The program and what belongs to it."""
    parser.add_argument(
        "-m", action="store_true", dest="module", help="PROGRAM is a module, as for python -m"
    )
    # Not two arguments: argparse would take a "--" between them for itself.
    parser.add_argument(
        "command", metavar="PROGRAM", nargs=argparse.PARSER, help="the file to run; its arguments"
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs the program; what it raises is printed as Python would."""
    from bolide import _drop_in

    command = arguments.command
    if command[0] == "--":  # argparse of Python 3.11 leaves it there
        del command[0]
    program = command[0]
    _drop_in.install()
    sys.argv = command
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.getcwd() if arguments.module else os.path.dirname(os.path.abspath(program))
    try:
        if arguments.module:
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            _run_file(program)
    except SystemExit:
        raise
    except BaseException as error:
        # The traceback begins with the program's frames, as without us.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals is globals():
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _run_file(path: str) -> None:
    try:
        with io.open_code(os.path.abspath(path)) as file:
            source = file.read()
    except OSError as error:
        raise SystemExit(f"bolide run: cannot open {path!r}: {error.strerror}") from None
    module = types.ModuleType("__main__")
    module.__file__ = path
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
