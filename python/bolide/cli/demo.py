"""`bolide demo`: the first program, then thousands of small simulations, then the same work
elsewhere.

It is not a benchmark: each way runs once, so its ratios are good to 10 or 20 %; `benchmarks/` is
for figures. Only the public API is used. Thread safety: none is needed, the command owns its
process. Invariants: a simulation is one task, never chunked; the three ways must give equal
results, or the exit code is 1; no two worker pools live at the same time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import bolide as ray
from bolide._progress import Progress
from bolide.cli import _outbreak

# README.md shows this program; a test compares the two.
FIRST_PROGRAM = """\
import bolide as ray

ray.init()

@ray.remote
def multiply(x):
    return x * 2

futures = [multiply.remote(i) for i in range(10)]
print(ray.get(futures))
"""

_PAIRS_OF_PROCESSES = 3
_RESULTS_A_GET = 64  # how often the progress bar moves

Results = list[_outbreak.Outbreak]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The size of the ensemble and the number of worker processes."""
    parser.add_argument(
        "--simulations", type=_positive, default=10_000, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--workers",
        type=_positive,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="worker processes, of bolide and of the process pool; default: one a core",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration; 0 if all three ways of running the ensemble gave the same results."""
    if not _show_first_program():
        return 1
    count, workers = arguments.simulations, arguments.workers
    processes = "1 worker process" if workers == 1 else f"{workers} worker processes"
    print(f"\n2. {count:,} stochastic epidemics, one task each, on {processes}", flush=True)
    results, with_bolide = _timed(_run_with_bolide, count, workers)
    print(_outbreak.report(results))
    print("\n3. The same work in other ways", flush=True)
    expected, serially = _timed(_run_serially, count, workers)
    pooled, with_pool = _timed(_run_with_process_pool, count, workers)
    print(_speed_report(count, serially, with_pool, with_bolide))
    if not expected == results == pooled:
        print(
            "bolide demo: the ways of running the ensemble gave different results.", file=sys.stderr
        )
        return 1
    print("All three gave the same results, bit for bit.")
    return 0


def _show_first_program() -> bool:
    """Run `FIRST_PROGRAM` as the script that it is, beside an interpreter that does nothing."""
    print("1. The first program\n")
    print("".join(f"    {line}".rstrip() + "\n" for line in FIRST_PROGRAM.splitlines()), flush=True)
    pairs = [
        (_timed(_run_script, FIRST_PROGRAM), _timed(_run_script, "pass"))
        for _ in range(_PAIRS_OF_PROCESSES)
    ]
    for (done, _), _nothing in pairs:
        if done.returncode != 0:
            print(done.stderr, end="", file=sys.stderr)
            print(
                f"bolide demo: the first program ended with exit code {done.returncode}.",
                file=sys.stderr,
            )
            return False
    seconds = min(program[1] for program, _ in pairs)
    seconds_of_nothing = min(nothing[1] for _, nothing in pairs)
    print(f"It prints {pairs[0][0][0].stdout.strip()}")
    print(
        f"Whole process: {seconds * 1e3:.0f} ms, {seconds / seconds_of_nothing:.1f} times an"
        f" interpreter that does nothing ({seconds_of_nothing * 1e3:.0f} ms);"
        f" best of {_PAIRS_OF_PROCESSES} each."
    )
    return True


def _run_script(text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", text]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _run_with_bolide(count: int, workers: int) -> Results:
    ray.init(num_cpus=workers)
    try:
        simulate = ray.remote(_outbreak.simulate)
        results: Results = []
        with Progress(count, "bolide".ljust(12)) as bar:
            refs = [simulate.remote(seed) for seed in range(count)]
            for first in range(0, count, _RESULTS_A_GET):
                part = ray.get(refs[first : first + _RESULTS_A_GET])
                results.extend(part)
                bar.advance(len(part))
        return results
    finally:
        ray.shutdown()


def _run_serially(count: int, workers: int) -> Results:
    results: Results = []
    with Progress(count, "serial".ljust(12)) as bar:
        for seed in range(count):
            results.append(_outbreak.simulate(seed))
            bar.advance()
    return results


def _run_with_process_pool(count: int, workers: int) -> Results:
    results: Results = []
    with Progress(count, "process pool") as bar, ProcessPoolExecutor(workers) as pool:
        for result in pool.map(_outbreak.simulate, range(count)):
            results.append(result)
            bar.advance()
    return results


def _timed(function: Callable, *arguments: object) -> tuple:
    started = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - started


def _speed_report(count: int, serially: float, with_pool: float, with_bolide: float) -> str:
    rows = [
        ("one after the other, in this process", serially),
        ("concurrent.futures.ProcessPoolExecutor", with_pool),
        ("bolide", with_bolide),
    ]
    lines = [
        f"  {'(starting and stopping the workers included)':<46}  seconds  simulations/s  vs serial"
    ]
    for name, seconds in rows:
        lines.append(
            f"  {name:<46}{seconds:>9.2f}{count / seconds:>15,.0f}{serially / seconds:>10.2f}x"
        )
    lines.append(
        f"bolide took {with_bolide / with_pool:.2f} of the process pool's time (one run each)."
    )
    return "\n".join(lines)


def _positive(text: str) -> int:
    """An argument that has to be a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number
