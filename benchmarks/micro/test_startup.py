"""The first program of README.md as a whole process, beside an interpreter that does nothing.

It is not about a warm runtime: everything from exec to exit counts. Invariant: the two run in
turn, and the ratio is the median of the pairs, so that a slow moment of the machine hits both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bolide.cli.demo import FIRST_PROGRAM

from ..budgets import START_UP
from ..gauge import Gauge

PAIRS = 11
ANSWER = "[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]\n"


def test_first_program(gauge: Gauge, tmp_path) -> None:
    """Whole process of ten tasks: at most 8 times `python -c pass` of the same interpreter."""
    script = tmp_path / "first_program.py"
    script.write_text(FIRST_PROGRAM)
    seconds_of_nothing: list[float] = []

    def run_nothing() -> None:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        seconds_of_nothing.append(time.perf_counter() - started)

    def run_program() -> str:
        command = [sys.executable, str(script)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def check(output: str) -> None:
        assert output == ANSWER

    seconds = gauge.seconds(run_program, check=check, setup=run_nothing, repetitions=PAIRS)
    if seconds:
        pairs = list(zip(seconds, seconds_of_nothing[-len(seconds) :], strict=True))
        ratio = statistics.median(program / nothing for program, nothing in pairs)
        cost = statistics.median(seconds) * 1e3
        nothing = statistics.median(seconds_of_nothing) * 1e3
        gauge.record(
            START_UP, ratio, f"{cost:.0f} ms", f"median of {PAIRS} pairs, unit: {nothing:.0f} ms"
        )
