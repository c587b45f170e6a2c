"""Options, fixtures and the closing table of the benchmarks.

It measures nothing itself (`gauge.py` does). Thread safety: none, benchmarks run one after
another; a parallel pytest would measure the other tests. Invariant: a runtime lives as long as its
module's tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .gauge import Gauge, Row, markdown

_ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--gate` and the size of the longest benchmark."""
    group = parser.getgroup("bolide benchmarks")
    group.addoption(
        "--gate", action="store_true", help="fail where a budget of budgets.py is broken"
    )
    group.addoption(
        "--stream-tasks",
        type=int,
        default=10_000_000,
        metavar="N",
        help="tasks streamed through a window (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The rows of this session."""
    config.stash[_ROWS] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the rows as a table in Markdown, for README.md and for notes."""
    rows = config.stash[_ROWS]
    if not rows:
        return
    terminalreporter.section("ratios, best repetition (Markdown)")
    for line in markdown(rows):
        terminalreporter.write_line(line)


@pytest.fixture
def gauge(benchmark, request: pytest.FixtureRequest) -> Gauge:
    """Times a benchmark between two measurements of its unit, and adds it to the closing table."""
    config = request.config
    return Gauge(benchmark, config.stash[_ROWS], gate=config.getoption("--gate"))


@pytest.fixture(scope="module")
def ray() -> Iterator:
    """A runtime with two workers, from a module's first benchmark to its last."""
    import numpy  # noqa: F401  # before `init`, so that workers have it, as in a program that uses arrays

    import bolide

    bolide.init(num_cpus=2)
    yield bolide
    bolide.shutdown()
