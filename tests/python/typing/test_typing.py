"""What type checkers say of typed programs; the stubs name what the extension modules have.

Needs mypy and pyright, of the extra dev. They look at the installed package, as for a user.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = [pytest.mark.dev, pytest.mark.slow, pytest.mark.timeout(300)]


def run(command, cwd):
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=cwd
    )


def mypy(path, folder):
    """(line, kind, text) of what mypy says of a file; kind: "error" or "note"."""
    pytest.importorskip("mypy", reason="needs the extra dev")
    cache = f"--cache-dir={folder / 'cache'}"
    done = run(["mypy", "--strict", "--no-error-summary", cache, path.name], HERE)
    assert not done.stderr, done.stderr
    found = re.findall(r"^(\S+):(\d+): (error|note): (.*)$", done.stdout, re.MULTILINE)
    assert {name for name, *_ in found} <= {path.name}, done.stdout
    return [(int(line), kind, text) for _, line, kind, text in found]


def pyright(path, folder):
    """The same of pyright, for which what is revealed is "information"."""
    pytest.importorskip("pyright", reason="needs the extra dev")
    (folder / path.name).write_bytes(path.read_bytes())  # it looks below its configuration only
    config = folder / "pyrightconfig.json"
    config.write_text(json.dumps({"include": [path.name], "typeCheckingMode": "strict"}))
    done = run(
        ["pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config)], folder
    )
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright cannot run here: {(done.stdout + done.stderr)[-300:]}")
    return [
        (each["range"]["start"]["line"] + 1, each["severity"], each["message"])
        for each in json.loads(done.stdout)["generalDiagnostics"]
        if each["severity"] in ("error", "information")
    ]


CHECKERS = pytest.mark.parametrize("checker", [mypy, pyright])


def plain(text):
    """A type without the modules of its parts."""
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text)


@CHECKERS
def test_types_are_as_the_comments_say(checker, tmp_path):
    path = HERE / "right.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = {
        number: line.partition("  # ")[2]
        for number, line in enumerate(lines, 1)
        if line.lstrip().startswith("reveal_type(")
    }
    assert len(wanted) >= 20
    said = checker(path, tmp_path)
    assert [each for each in said if each[1] == "error"] == []
    revealed = {
        line: plain(re.search(r'is "(.*)"$', text).group(1))
        for line, _, text in said
        if "evealed type" in text or text.startswith("Type of")
    }
    assert revealed == wanted


@CHECKERS
def test_wrong_calls_are_refused(checker, tmp_path):
    path = HERE / "wrong.py"
    lines = path.read_text(encoding="utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) >= 10
    assert {line for line, kind, _ in checker(path, tmp_path) if kind == "error"} == wrong


# What stubtest says of classes that are not written in Python.
NOT_PYTHON = re.compile(
    r"__(pyx_vtable|test|reduce_cython|setstate_cython)__|disjoint base|metaclass differs"
    r"|does not have \*args parameter"
    r"|_core\.(arm_faults|fault_visits) is not present"  # in builds with fault points
)


@pytest.mark.parametrize("module", ["_hot", "_core"])
def test_the_stub_of_an_extension_module_has_its_names(module, tmp_path):
    pytest.importorskip("mypy", reason="needs the extra dev")
    done = run(["mypy.stubtest", "--concise", f"bolide.{module}"], tmp_path)
    assert not done.stderr, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if not NOT_PYTHON.search(line)] == []
