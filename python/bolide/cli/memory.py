"""`bolide memory`: the objects of a running program, their sizes, and why they are alive.

It is not where the table is written: that is `bolide._memory_report`. Starts no runtime.
"""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which program, and what to print."""
    from bolide._memory_report import UNITS

    parser.add_argument("--pid", type=int, help="of the program; by default the only one there is")
    parser.add_argument("--units", choices=list(UNITS), default="B", help="of sizes")
    parser.add_argument("--stats-only", action="store_true", help="without the list")
    parser.add_argument(
        "-n", "--num-entries", type=int, metavar="N", help="only the N largest objects"
    )


def run(arguments: argparse.Namespace) -> int:
    """Asks the program, and prints."""
    from bolide import _inquiry, _memory_report

    pid = arguments.pid
    if pid is None:
        running = sorted(_inquiry.drivers())
        if len(running) != 1:
            print(f"bolide memory: {_which(running)}", file=sys.stderr)
            return 1
        (pid,) = running
    limit = arguments.num_entries
    limit = _memory_report.MOST_OBJECTS if limit is None else max(0, limit)
    try:
        told = _inquiry.ask(pid, limit)
    except (ProcessLookupError, TimeoutError) as error:
        print(f"bolide memory: {error}", file=sys.stderr)
        return 1
    print(_memory_report.text(told, arguments.units, arguments.stats_only))
    return 0


def _which(running: list[int]) -> str:
    if not running:
        return "no program of this user runs bolide now"
    return f"several programs run bolide, choose one with --pid: {', '.join(map(str, running))}"
