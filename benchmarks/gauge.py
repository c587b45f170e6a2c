"""The fixture's class that times a benchmark between two measurements of its unit.

It is not pytest-benchmark, which does the timing and the statistics, and not the table of budgets.
Thread safety: one gauge belongs to one test. Invariants: the result of every repetition is
checked, outside of the timed part, and freed before the next begins; the unit is measured right
before and right after, and the ratio is that of the two best values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from .budgets import ABSOLUTE, BUDGETS, Budget
from .units import UNITS

REPETITIONS = 7  # at least 5: the best of them counts


@dataclass(frozen=True)
class Row:
    """One line of the closing table."""

    name: str
    cost: str
    ratio: float | None
    budget: Budget
    note: str = ""

    @property
    def held(self) -> bool:
        """Whether the budget is kept, as far as it was measured."""
        return self.ratio is None or self.budget.is_held_by(self.ratio)


class Gauge:
    """Times functions and adds rows; with `gate` a row that breaks its budget fails the test."""

    def __init__(self, benchmark: Any, rows: list[Row], gate: bool) -> None:
        self.benchmark = benchmark
        self._rows = rows
        self._gate = gate

    def time(
        self,
        name: str,
        run: Callable[[], Any],
        *,
        check: Callable[[Any], None],
        per: int = 1,
        setup: Callable[[], None] | None = None,
        unit: Callable[[], float | None] | None = None,
        repetitions: int = REPETITIONS,
        also: tuple[str, ...] = (),
    ) -> None:
        """Time `run` (which does `per` operations) and give `check` each of its results.

        The row gets the ratio to its unit; `also` names rows with the same cost in other units.
        """
        measures = [
            unit or UNITS[BUDGETS[name].unit],
            *(UNITS[BUDGETS[other].unit] for other in also),
        ]
        before = [measure() for measure in measures]
        seconds = self.seconds(run, check=check, setup=setup, repetitions=repetitions)
        if not seconds:
            return
        cost = min(seconds) / per * 1e9
        for row_name, first, measure in zip((name, *also), before, measures, strict=True):
            last = measure()
            best = None if first is None or last is None else min(first, last)
            self._add_timed(row_name, cost, best)

    def seconds(
        self,
        run: Callable[[], Any],
        *,
        check: Callable[[Any], None],
        setup: Callable[[], None] | None = None,
        repetitions: int = REPETITIONS,
    ) -> list[float]:
        """The times of the repetitions, after a first that is not counted.

        None at all under --benchmark-disable.
        """
        results: list[Any] = []

        def target() -> None:
            results.append(run())

        def check_and_free() -> None:
            check(results.pop())

        self.benchmark.pedantic(
            target, setup=setup, teardown=check_and_free, rounds=repetitions, warmup_rounds=1
        )
        if self.benchmark.disabled:
            check_and_free()
            return []
        return list(self.benchmark.stats.stats.data)

    def record(self, name: str, ratio: float, cost: str, note: str = "") -> None:
        """Add the row `name` with a ratio that the test worked out itself."""
        self._finish(Row(name, cost, ratio, BUDGETS[name], note))

    def _add_timed(self, name: str, cost: float, unit: float | None) -> None:
        budget = BUDGETS[name]
        if unit is None:
            self._finish(
                Row(name, readable(cost), None, budget, "the unit cannot be measured here")
            )
            return
        ratio = unit / cost if budget.at_least else cost / unit
        self._finish(Row(name, readable(cost), ratio, budget, f"unit: {readable(unit)}"))

    def _finish(self, row: Row) -> None:
        self._rows.append(row)
        self.benchmark.extra_info[f"{row.name} / {row.budget.unit}"] = row.ratio
        if self._gate and not row.held:
            sense = "at least" if row.budget.at_least else "at most"
            pytest.fail(
                f"{row.name}: {row.ratio:.3g} in units of {row.budget.unit}, the budget is {sense}"
                f" {row.budget.limit:g}."
                " Run it again on a quiet machine; if it stays so, the last change made it slower.",
                pytrace=False,
            )


def readable(nanoseconds: float) -> str:
    """A duration with three digits and the unit that suits it."""
    for size, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {name}"
    return f"{nanoseconds:.3g} ns"


def markdown(rows: list[Row]) -> list[str]:
    """The closing table."""
    lines = [
        "| what | cost | ratio to its unit | budget | held | Ray 2.60 |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        budget = row.budget
        times = "" if budget.unit in ABSOLUTE else "x "
        ratio = "not measured" if row.ratio is None else f"{row.ratio:.3g} {times}{budget.unit}"
        limit, held = "none", ""
        if budget.limit is not None:
            limit = f"{'>=' if budget.at_least else '<='} {budget.limit:g}"
            held = "yes" if row.held else "NO"
        note = f" ({row.note})" if row.note else ""
        lines.append(
            f"| {row.name} | {row.cost}{note} | {ratio} | {limit} | {held} | {budget.ray} |"
        )
    return lines
