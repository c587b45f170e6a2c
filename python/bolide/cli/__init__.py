"""The `bolide` command: finds the subcommand and hands over to its module.

It is not where commands do their work: each is a module of this package with
`add_arguments(parser)` and `run(arguments) -> exit code`, and a row in `COMMANDS`. Thread safety:
none is needed, a command owns its process. Invariant: only the module of the chosen command is
imported.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

# name -> (module, one line of help)
COMMANDS = {
    "debug": ("bolide.cli.debug", "open the debugger of a task that waits for one"),
    "demo": ("bolide.cli.demo", "run the first program and an ensemble of simulations"),
    "env": ("bolide.cli.env", "print every setting with its environment variable and value"),
    "memory": ("bolide.cli.memory", "list the objects of a running program, and who holds them"),
    "run": ("bolide.cli.run", "run a program for Ray, unmodified, on bolide"),
    "version": ("bolide.cli.version", "print the version of bolide and of Python"),
}

_INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand that `argv` (by default the command line) names; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser(words).parse_args(words)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print("bolide: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _parser(words: list[str]) -> argparse.ArgumentParser:
    """The parser, with the arguments of the command in `words` filled in."""
    chosen = next((word for word in words if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="bolide",
        description="Ray Core's programming model on one machine, at the cost of a few calls.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (module_name, help_line) in COMMANDS.items():
        command = commands.add_parser(name, help=help_line, description=help_line)
        if name == chosen:
            module = importlib.import_module(module_name)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser
