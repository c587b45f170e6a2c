"""README.md tells the truth: its program runs as printed, its commands and files are there.

It does not measure anything. The program is taken from README.md and run as a script of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bolide.cli import demo

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ("pip install '.[examples]' && bolide demo", "pip install '.[test]' && pytest")


def first_program() -> str:
    """The first block of Python in README.md."""
    found = re.search(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found, "README.md has no block of Python."
    return found[1]


def test_first_program_runs_as_a_script(tmp_path: Path) -> None:
    script = tmp_path / "first_program.py"
    script.write_text(first_program(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]\n"
    assert done.stdout.strip() in README


def test_demo_runs_the_same_program() -> None:
    assert first_program() == demo.FIRST_PROGRAM


def test_only_the_import_differs_from_ray() -> None:
    assert [line for line in first_program().splitlines() if "bolide" in line] == [
        "import bolide as ray"
    ]


def test_commands_stand_there_verbatim() -> None:
    lines = [line.strip() for line in README.splitlines()]
    assert [command for command in COMMANDS if command not in lines] == []


def test_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_figure_is_filled_in() -> None:
    assert re.findall(r"MEASURE_\w+", README) == []


def test_every_example_is_listed() -> None:
    examples = ROOT / "examples"
    text = (examples / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in examples.glob("*.py") if f"`{path.name}`" not in text] == []
