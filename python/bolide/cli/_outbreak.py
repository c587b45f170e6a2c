"""The simulation that `bolide demo` runs: an epidemic in one town, event by event.

It is not a library of models and knows nothing of bolide. Thread safety: pure functions.
Invariants: `simulate` depends on its seed only, so every way of running an ensemble gives the same
floats; it needs nothing but the standard library, so a worker starts at once.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

TOWN = 500  # inhabitants, one of them infectious at the start
CONTAGION = 1.8  # people whom an infectious person would infect if nobody were immune (R0)
RECOVERY_DAYS = 5.0  # mean time for which a person is infectious
DIED_OUT_BELOW = TOWN // 5  # an outbreak that ends with fewer cases has died out by chance

Outbreak = tuple[
    int, int, float
]  # people infected in all, most at once, days until the last recovery


def simulate(seed: int) -> Outbreak:
    """One outbreak: Gillespie's exact algorithm for the SIR model."""
    rng = random.Random(seed)
    susceptible, infectious, most, clock = TOWN - 1, 1, 1, 0.0
    while infectious:
        infection_rate = CONTAGION * susceptible * infectious / TOWN
        rate = infection_rate + infectious
        clock += rng.expovariate(rate)
        if rng.random() * rate < infection_rate:
            susceptible -= 1
            infectious += 1
            most = max(most, infectious)
        else:
            infectious -= 1
    return TOWN - susceptible, most, clock * RECOVERY_DAYS


def report(outbreaks: Sequence[Outbreak]) -> str:
    """What the ensemble says, in a few lines, beside what theory says of an endless town."""
    small = [o for o in outbreaks if o[0] < DIED_OUT_BELOW]
    large = [o for o in outbreaks if o[0] >= DIED_OUT_BELOW]
    share = len(small) / len(outbreaks)
    lines = [
        f"  a town of {TOWN}, one infectious person, R0 = {CONTAGION},"
        f" seeds 0 to {len(outbreaks) - 1:,}",
        f"  died out by chance: {share:.1%}"
        f" (theory for an endless town: 1/R0 = {1 / CONTAGION:.1%})",
    ]
    if large:
        infected = statistics.fmean(o[0] for o in large) / TOWN
        lines += [
            f"  infected in the others: {infected:.1%} (theory: {_final_share():.1%})",
            f"  most at once: {_quantiles([o[1] for o in large])}",
            f"  days:         {_quantiles([o[2] for o in large])}",
        ]
    return "\n".join([*lines, "  people infected:", *_histogram([o[0] for o in outbreaks])])


def _final_share() -> float:
    """The share z of an endless town that a large outbreak infects: z = 1 - exp(-R0 z)."""
    share = 1.0
    for _ in range(200):
        share = 1.0 - 2.718281828459045 ** (-CONTAGION * share)
    return share


def _quantiles(values: Sequence[float]) -> str:
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    mean = statistics.fmean(ordered)
    return f"mean {mean:5.0f}   5 % {at(0.05):5.0f}   median {at(0.5):5.0f}   95 % {at(0.95):5.0f}"


def _histogram(values: Sequence[int], bins: int = 10, cells: int = 40) -> list[str]:
    width = TOWN // bins
    counts = [0] * bins
    for value in values:
        counts[min(value // width, bins - 1)] += 1
    tallest = max(counts)
    lines = []
    for index, count in enumerate(counts):
        last = TOWN if index == bins - 1 else (index + 1) * width - 1
        bar = "#" * -(-count * cells // tallest)
        lines.append(f"  {index * width:>5} - {last:>4}  {bar:<{cells}} {count:>6,}")
    return lines
