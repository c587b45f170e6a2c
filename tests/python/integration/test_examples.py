"""The examples run as they are, at a small size, and their results are those of a serial run.

Skipped only where `rebound`, of the extra `bolide[examples]`, is not installed. Speed is not
judged.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.dev
EXAMPLES = Path(__file__).parents[3] / "examples"


def run_example(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`python examples/NAME WORDS...`, with its output."""
    command = [sys.executable, str(EXAMPLES / name), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)


@pytest.fixture(autouse=True)
def _rebound() -> None:
    pytest.importorskip(
        "rebound", reason="rebound is not installed (pip install 'bolide[examples]')"
    )


def test_solar_system_equals_the_serial_run() -> None:
    done = run_example("solar_system.py", "--orbits", "60", "--years", "50")
    assert (done.returncode, done.stderr) == (0, "")
    assert "60 orbits of 50 years" in done.stdout
    assert done.stdout.endswith("60 of 60 orbits checked: equal to the serial run, bit for bit.\n")


def test_solar_system_with_a_sample_checked() -> None:
    done = run_example("solar_system.py", "--orbits", "40", "--years", "50", "--check", "7")
    assert (done.returncode, done.stderr) == (0, "")
    assert "serial" in done.stdout and "(from 7 orbits)" in done.stdout
    assert done.stdout.endswith("7 of 40 orbits checked: equal to the serial run, bit for bit.\n")


def test_solar_system_is_regular_when_hardly_perturbed() -> None:
    done = run_example("solar_system.py", "--orbits", "8", "--years", "400", "--check", "0")
    assert (done.returncode, done.stderr) == (0, "")
    row = next(line.split() for line in done.stdout.splitlines() if line.split()[:1] == ["1%"])
    _, orbits, energy_error, megno, chaotic, lost, _, _ = row
    assert (orbits, chaotic, lost) == ("2", "0.0%", "0.0%")
    assert float(energy_error) < 1e-5
    assert 1.5 < float(megno) < 2.8


@pytest.mark.parametrize("words", [["--check", "some"], ["--orbits", "0"], ["--years", "-1"]])
def test_solar_system_names_a_wrong_option(words: list[str]) -> None:
    done = run_example("solar_system.py", *words)
    assert done.returncode == 2
    assert words[0] in done.stderr.splitlines()[-1]
