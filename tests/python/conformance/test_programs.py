"""Unmodified Ray programs, each named after the behaviour that Ray's documentation describes.

Each file below runs under `bolide run` as a user would run it, and asserts by itself. A program
must end well, say "done" last, and write nothing to stderr. Those in integrations/ need libraries
of the extra dev, and are skipped without them.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROGRAMS = sorted(path for path in HERE.rglob("*.py") if path.parent != HERE)


def name_of(path):
    return str(path.relative_to(HERE).with_suffix(""))


def missing(path):
    """The first module that a program imports and that is not here, or None."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            top = name.partition(".")[0]
            if top != "ray" and find_spec(top) is None:
                return top
    return None


def marks_of(path):
    return [pytest.mark.dev] if path.parent.name == "integrations" else []


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=name_of(path), marks=marks_of(path)) for path in PROGRAMS]
)
def test_program(path, tmp_path):
    if path.parent.name == "integrations" and missing(path):
        pytest.skip(f"{missing(path)} is not installed")
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
