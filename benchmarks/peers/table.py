"""`python -m benchmarks.peers.table`: bolide beside its peers, as a table in Markdown.

It times processes; what runs in them is in `adapters.py`. Peers that are not installed are left
out and named. Thread safety: none. Invariants: the peers run in turn, round after round, never two
at a time; every figure is the median of the rounds; a peer that fails ends the run with its own
message.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict

from ..gauge import readable
from .adapters import PEERS

ANSWER = "[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]"
SUBJECT = "bolide"
NOTHING = "python -c pass"


def measure(names: list[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """What each peer took in each round, in nanoseconds."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(rounds):
        found[NOTHING]["first"].append(timed([sys.executable, "-c", "pass"])[0])
        for name in names:
            command = [sys.executable, "-m", "benchmarks.peers.adapters", name]
            nanoseconds, output = timed([*command, "first"])
            if ANSWER not in output:
                raise SystemExit(f"{name} printed {output!r} instead of {ANSWER}.")
            found[name]["first"].append(nanoseconds)
            _, output = timed([*command, "tasks"])
            for what, value in json.loads(output.splitlines()[-1]).items():
                found[name][what].append(value)
    return found


def timed(command: list[str]) -> tuple[float, str]:
    """The wall time of a whole process in nanoseconds, and what it printed."""
    started = time.perf_counter_ns()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    nanoseconds = time.perf_counter_ns() - started
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[2:])} ended with exit code {done.returncode}.")
    return nanoseconds, done.stdout


def markdown(found: dict[str, dict[str, list[float]]], names: list[str]) -> list[str]:
    """One line a peer: the time, in units, and how many times bolide's."""
    medians = {
        name: {what: statistics.median(values) for what, values in rows.items()}
        for name, rows in found.items()
    }
    nothing = medians[NOTHING]["first"]
    lines = [
        f"| peer | ten tasks, whole process (x {NOTHING}) | one task at a time (x plain call)"
        " | many in flight, each (x plain call) |",
        "|---|---|---|---|",
    ]
    for name in names:
        cells = []
        for what, unit in (("first", nothing), ("sync", None), ("async", None)):
            value = medians[name][what]
            ratio = value / (unit or medians[name]["plain call"])
            cell = f"{readable(value)} ({ratio:,.1f} x)"
            if name != SUBJECT and SUBJECT in names:
                cell += f", {value / medians[SUBJECT][what]:,.1f} times {SUBJECT}"
            cells.append(cell)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure the installed peers and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.table", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    options = parser.parse_args()
    names = [name for name in options.peers if importlib.util.find_spec(PEERS[name].module)]
    print("\n".join(markdown(measure(names, max(options.rounds, 1)), names)))
    for name in options.peers:
        if name not in names:
            print(f"{name} is not installed and was left out.", file=sys.stderr)


if __name__ == "__main__":
    main()
