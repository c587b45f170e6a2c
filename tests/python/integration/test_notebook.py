"""Cells of a real IPython shell: what a user of a notebook does, cell by cell.

test_main_classes.py has the same without IPython, which is part of the extra `dev` only.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.dev
pytest.importorskip("IPython", reason="needs IPython (pip install '.[dev]')")

SHELL = """
import signal
import sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest may run where it is ignored
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell.instance(config=config)


def run(cell):
    result = shell.run_cell(cell, store_history=True)
    result.raise_error()
    return result.result


"""


@pytest.fixture
def run_cells(run_script, tmp_path, monkeypatch):
    """`run_cells(*cells)` gives the value of each cell's last expression, as text."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))

    def run(*cells):
        body = "".join(f"sys.stderr.write(repr(run({cell!r})) + '\\n')\n" for cell in cells)
        done = run_script(SHELL + body)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stderr.splitlines()

    return run


START = "import bolide as ray, os\nray.init(num_cpus=1)\nhome = os.getpid()"


def test_a_function_is_run_in_a_worker_and_defined_again(run_cells):
    assert run_cells(
        START,
        "@ray.remote\ndef f(x): return x + 1, os.getpid() != home",
        "ray.get(f.remote(1))",
        "@ray.remote\ndef f(x): return x + 2, os.getpid() != home",
        "ray.get(f.remote(1))",
    ) == ["None", "None", "(2, True)", "None", "(3, True)"]


def test_a_helper_that_is_defined_again_is_used_by_what_is_exported_after_it(run_cells):
    assert run_cells(
        START,
        "def helper(): return 'old'",
        "@ray.remote\ndef f(): return helper()",
        "ray.get(f.remote())",
        "def helper(): return 'new'",
        "f = ray.remote(f._function)",
        "ray.get(f.remote())",
    )[3:] == ["'old'", "None", "None", "'new'"]


def test_a_class_goes_there_and_back_also_when_it_is_defined_again(run_cells):
    point = "class Point:\n    version = {}\n    def __init__(self, x): self.x = x"
    made = "p = ray.get(make.remote(5))\n(type(p) is Point, p.x, p.version)"
    make = "@ray.remote\ndef make(x):\n    return Point(x)"
    said = run_cells(START, point.format(1), make, made, point.format(2), make, made)
    assert said[3] == "(True, 5, 1)"
    assert said[6] == "(True, 5, 2)"


def test_a_reference_can_be_awaited_in_a_cell(run_cells):
    said = run_cells(START, "f = ray.remote(lambda x: x * 2)", "await f.remote(4)")
    assert said[-1] == "8"


def test_an_error_names_the_cell_and_its_line(run_cells):
    said = run_cells(
        START,
        "@ray.remote\ndef fails():\n    return 1 / 0",
        "try:\n    ray.get(fails.remote())\n"
        "except ZeroDivisionError as error:\n    text = str(error)",
        "'ipython-input' in text and 'line 3, in fails' in text or text",
    )
    assert said[-1] == "True"


def test_output_of_a_task_comes_to_the_cell_that_waited_for_it(run_cells):
    said = run_cells(
        START,
        "from IPython.utils.capture import capture_output",
        "@ray.remote\ndef speaks(): print('from the task')",
        "with capture_output() as cell:\n    ray.get(speaks.remote())",
        "'from the task' in cell.stdout or cell.stdout",
    )
    assert said[-1] == "True"


def test_interrupt_and_restart_of_the_runtime_in_cells(run_cells):
    said = run_cells(
        START,
        "import signal, threading\nnever = ray.remote(lambda: threading.Event().wait()).remote()\n"
        "interrupts = ray.remote(num_cpus=0)(lambda: os.kill(home, signal.SIGINT))",
        "try:\n    ref = interrupts.remote()\n    ray.get(never)\n    said = 'returned'\n"
        "except KeyboardInterrupt:\n    said = 'interrupted'\nsaid",
        "ray.shutdown()\nray.init(num_cpus=1)\nray.get(ray.remote(lambda: 7).remote())",
    )
    assert said[2:] == ["'interrupted'", "7"]
