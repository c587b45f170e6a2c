"""Unmodified Ray programs, each named after the behaviour that Ray's documentation describes.

Each file below runs under `bolide run` as a user would run it, and asserts by itself. A program
must end well, say "done" last, and write nothing to stderr.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = sorted(path for path in HERE.rglob("*.py") if path.parent != HERE)


def name_of(path):
    return str(path.relative_to(HERE).with_suffix(""))


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_program(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bolide", "run", str(path)],
        capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.splitlines()[-1:] == ["done"]


def test_every_program_says_which_page_it_follows():
    assert len(PROGRAMS) >= 80
    for path in PROGRAMS:
        source = path.read_text(encoding="utf-8")
        assert source.startswith('"""Ray\'s page'), name_of(path)
        assert "import ray\n" in source and "bolide" not in source, name_of(path)
