"""The `bolide` command: the demonstration at a small size, the other commands, and the progress
bar.

It does not judge the speed that the demonstration prints. Commands run as processes of their own.
"""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys

import pytest

import bolide
from bolide import cli
from bolide._progress import Progress
from bolide.cli import _outbreak


def run_bolide(*words: str) -> subprocess.CompletedProcess[str]:
    """`bolide WORDS...`, with its output."""
    command = [sys.executable, "-m", "bolide", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_demo_shows_program_results_and_speed() -> None:
    done = run_bolide("demo", "--simulations", "300", "--workers", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "It prints [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]" in done.stdout
    assert "died out by chance" in done.stdout
    assert "concurrent.futures.ProcessPoolExecutor" in done.stdout
    assert done.stdout.endswith("All three gave the same results, bit for bit.\n")


def test_demo_with_one_simulation_and_one_worker() -> None:
    done = run_bolide("demo", "--simulations", "1", "--workers", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2. 1 stochastic epidemics, one task each, on 1 worker process\n" in done.stdout


@pytest.mark.parametrize("wrong", ["0", "-3", "many", "1.5"])
def test_demo_names_a_wrong_number(wrong: str) -> None:
    done = run_bolide("demo", f"--simulations={wrong}")
    assert done.returncode == 2
    assert f"argument --simulations: {wrong!r} is not a whole number of at least 1" in done.stderr


def test_version() -> None:
    done = run_bolide("version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"bolide {bolide.__version__} (")


def test_env_prints_the_settings() -> None:
    from bolide import _config

    done = run_bolide("env")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == str(_config.describe()).splitlines()[0]


def test_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["launch"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert all(name in error for name in ("launch", *cli.COMMANDS))


def test_simulation_depends_on_its_seed_only() -> None:
    outbreaks = [_outbreak.simulate(seed) for seed in range(50)]
    assert outbreaks == [_outbreak.simulate(seed) for seed in range(50)]
    assert len(set(outbreaks)) > 25
    assert all(
        1 <= most <= infected <= _outbreak.TOWN and days > 0 for infected, most, days in outbreaks
    )


def test_simulation_is_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(_outbreak.simulate)) is _outbreak.simulate


def test_outbreaks_agree_with_theory() -> None:
    outbreaks = [_outbreak.simulate(seed) for seed in range(1500)]
    died_out = sum(infected < _outbreak.DIED_OUT_BELOW for infected, _, _ in outbreaks) / len(
        outbreaks
    )
    assert died_out == pytest.approx(1 / _outbreak.CONTAGION, abs=0.05)  # four standard errors


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_silent_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Progress(3, "work", stream=stream) as bar:
        bar.advance(3)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("make", [FakeTerminal, io.StringIO], ids=["terminal", "forced"])
def test_progress_draws_one_line(make: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = make()
    with Progress(2000, "work", stream=stream, force=make is io.StringIO) as bar:
        for _ in range(2000):
            bar.advance()
    text = stream.getvalue()
    assert text.endswith("\n") and text.count("\n") == 1
    last = text.rstrip("\n").rpartition("\r")[2]
    assert last.startswith("work [" + "#" * 28 + "] 2,000/2,000 ")
    assert text.count("\r") < 100  # and not one drawing a step


def test_progress_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    stream = io.StringIO()
    with Progress(10, "a long label for a small bar", stream=stream, force=True) as bar:
        bar.advance(10)
    drawings = stream.getvalue().rstrip("\n").split("\r")
    assert max(map(len, drawings)) <= 29


@pytest.mark.parametrize("total", [0, 1])
def test_progress_of_next_to_nothing(total: int) -> None:
    stream = io.StringIO()
    with Progress(total, stream=stream, force=True) as bar:
        bar.advance(total)
    assert f"{total}/{total}" in stream.getvalue()


def test_progress_on_a_closed_stream_is_silent() -> None:
    stream = open(os.devnull, "w")
    stream.close()
    with Progress(1, stream=stream) as bar:
        bar.advance()
