"""`bolide run`: programs that say `import ray`, and what they find there.

Each program runs as a process of its own; an installed Ray, were there one, would be found by a
fake one on PYTHONPATH that ends the program.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import bolide


@pytest.fixture
def run_program(tmp_path):
    """`run_program(source, *arguments, options=())` runs `bolide run script.py ...`."""
    installed = tmp_path / "installed"
    (installed / "ray").mkdir(parents=True)
    (installed / "ray" / "__init__.py").write_text("raise SystemExit('the installed Ray')\n")

    def run(source, *arguments, options=()):
        script = tmp_path / "script.py"
        script.write_text(source, encoding="utf-8")
        command = [sys.executable, "-m", "bolide", "run", *options, str(script), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=50, check=False, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
        )  # fmt: skip

    return run


def printed(done):
    """What a program printed that ended well and complained about nothing."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_an_unmodified_program_runs_and_its_tasks_import_ray_too(run_program):
    done = run_program("""
import ray

@ray.remote
def inner(x):
    return x + 1

@ray.remote
def outer(x):
    import ray.exceptions
    from ray.util import as_completed
    names = ray.__version__, ray.exceptions.__name__, as_completed.__module__
    return ray.get(inner.remote(x)), *names

ray.init(num_cpus=2)
print(*ray.get(outer.remote(1)))
print(ray.ObjectRef.__module__)
""")
    first, second = printed(done)
    assert first == "2 2.60.0 bolide.exceptions bolide.util._completed"
    assert second.startswith("bolide.")


def test_submodules_are_the_modules_of_bolide_themselves(run_program):
    done = run_program("""
import ray, sys, bolide
import ray.actor, ray.runtime_context, ray.util
from ray.exceptions import GetTimeoutError
print(ray.actor is bolide.actor, ray.util is bolide.util, sys.modules["ray.util"] is bolide.util)
print(GetTimeoutError is bolide.exceptions.GetTimeoutError)
print(bolide.actor.__spec__.name, ray.get is bolide.get, set(bolide.__all__) - set(dir(ray)))
""")
    assert printed(done) == ["True True True", "True", "bolide.actor True set()"]


def test_classes_and_functions_of_ray_travel_by_name(run_program):
    done = run_program("""
import ray

@ray.remote
def back(error, get, module):
    return error, get is ray.get, module is ray

error, same, module = ray.get(back.remote(ray.exceptions.OutOfMemoryError("m"), ray.get, ray))
print(type(error) is ray.exceptions.OutOfMemoryError, same, module)
""")
    assert printed(done) == ["True True True"]


def test_the_program_finds_argv_path_and_main_as_without_us(run_program, tmp_path):
    (tmp_path / "beside.py").write_text("VALUE = 7\n")
    source = """
import sys, os, __main__
from beside import VALUE
print(VALUE, sys.argv[1:], os.path.basename(sys.argv[0]), __name__, os.path.basename(__file__))
print(sys.path[0] == os.path.dirname(os.path.abspath(__file__)), __main__.VALUE, __doc__)
sys.exit(3)
"""
    done = run_program(source, "-x", "--num", "2", "--", "y")
    assert done.returncode == 3
    assert done.stdout.splitlines() == [
        "7 ['-x', '--num', '2', '--', 'y'] script.py __main__ script.py",
        "True 7 None",
    ]


def test_a_module_is_run_as_python_does(run_program, tmp_path):
    (tmp_path / "tool.py").write_text("import ray, sys\nprint(ray.__version__, sys.argv[1:])\n")
    command = [sys.executable, "-m", "bolide", "run", "-m", "tool", "-v"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False, cwd=tmp_path
    )
    assert printed(done) == ["2.60.0 ['-v']"]


def test_an_exception_is_shown_as_python_shows_it(run_program, tmp_path):
    source = "def f():\n    return 1 // 0\n\nf()\n"
    done = run_program(source)
    plain = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, plain.stderr)
    assert "ZeroDivisionError" in done.stderr


def test_a_file_that_is_not_there_is_named(run_program, tmp_path):
    command = [sys.executable, "-m", "bolide", "run", "absent.py"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr == "bolide run: cannot open 'absent.py': No such file or directory\n"


@pytest.mark.parametrize(
    "statement", ["import ray.llm", "from ray import llm", "import ray.llm.x", "ray.llm.x"]
)
def test_what_bolide_has_not_is_refused_with_a_sentence(run_program, statement):
    kind = "AttributeError" if statement == "ray.llm.x" else "ModuleNotFoundError"
    done = run_program(f"import ray\n{statement}\n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"{kind}: ray.llm is not in bolide {bolide.__version__}, which stands for ray in this "
        "process (bolide run); leave it out, or run the program with Ray itself"
    )


@pytest.mark.parametrize("name", ["_hot", "_runtime", "cli", "testing", "util._completed"])
def test_what_is_not_of_ray_is_not_there(run_program, name):
    done = run_program(f"import importlib\nimportlib.import_module('ray.{name}')\n")
    assert f"ModuleNotFoundError: ray.{name} is not in bolide" in done.stderr


def test_absent_names_can_be_asked_for(run_program):
    done = run_program("""
import ray
print(hasattr(ray, "llm"), hasattr(ray, "util"))
try:
    from ray import serve_of_another_version
except ImportError:
    print("guarded")
""")
    assert printed(done) == ["False True", "guarded"]


def test_the_module_of_runtime_environments_is_there(run_program):
    done = run_program("""
import os, ray
from ray.runtime_env import RuntimeEnv

@ray.remote
def ask():
    return os.environ["WORD"]

ray.init(num_cpus=1, runtime_env=RuntimeEnv(env_vars={"WORD": "w"}))
print(ray.get(ask.remote()))
""")
    assert printed(done) == ["w"]


def test_private_names_that_libraries_import(run_program):
    done = run_program("""
import ray
from ray._private.services import get_node_ip_address
from ray._private.worker import BaseContext
context = ray.init(num_cpus=1)
here = ray.nodes()[0]["NodeManagerAddress"]
print(get_node_ip_address() == here, isinstance(context, BaseContext))
""")
    assert printed(done) == ["True True"]


def test_a_ray_that_was_imported_before_is_not_replaced():
    program = """
import sys, types
sys.modules["ray"] = types.ModuleType("ray")
sys.modules["ray"].__file__ = "/elsewhere/ray/__init__.py"
from bolide import _drop_in
try:
    _drop_in.install()
except RuntimeError as error:
    print(error)
print(_drop_in.is_installed())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )
    assert printed(done) == [
        "ray is imported already, from /elsewhere/ray/__init__.py; it cannot become bolide now. "
        "Start the program with `bolide run`, and take `import ray` out of what Python imports "
        "before it",
        "False",
    ]


def test_a_process_that_did_not_ask_is_not_touched(ray):
    @ray.remote
    def seen():
        return "ray" in sys.modules, any("_drop_in" in type(f).__module__ for f in sys.meta_path)

    assert ray.get(seen.remote()) == (False, False)
    assert not any("_drop_in" in getattr(type(f), "__module__", "") for f in sys.meta_path)


@pytest.mark.parametrize("arguments", [["--"], ["--", "x"], ["x", "--", "-m"], ["-m", "-h", "--"]])
def test_every_argument_behind_the_program_is_its_own(run_program, arguments):
    done = run_program("import sys; print(*sys.argv[1:])", *arguments)
    assert printed(done) == [" ".join(arguments)]


def test_the_program_may_come_behind_two_dashes(run_program):
    done = run_program("import sys; print(*sys.argv[1:])", "--", options=["--"])
    assert printed(done) == ["--"]
