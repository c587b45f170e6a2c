"""Dependencies run one way: in cpp/ by layer, in python/bolide/ by what may touch the core.

Reads #include and import lines of the source tree; builds and imports nothing, except for the last
tests, which look at what a bare `import bolide` brings in.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CPP = ROOT / "cpp"
PACKAGE = ROOT / "python" / "bolide"

# What each layer may include, itself apart. store and sched do not know each other.
MAY_INCLUDE = {
    "base": set(),
    "os": {"base"},
    "ipc": {"base", "os"},
    "store": {"base", "os", "ipc"},
    "sched": {"base", "os", "ipc"},
    "node": {"base", "os", "ipc", "store", "sched"},
    "bindings": {"base", "os", "ipc", "store", "sched", "node"},
}
LIBRARIES = ("data", "tune", "train", "serve", "dag")
CORE_MODULES = {"_core", "_hot"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

pytestmark = pytest.mark.skipif(not CPP.is_dir(), reason="the source tree is not here")


def includes():
    """(layer, file, kind of bracket, what is included) for every #include line of cpp/."""
    for path in sorted(CPP.rglob("*")):
        if path.suffix in {".h", ".cpp"}:
            layer = path.relative_to(CPP).parts[0]
            for bracket, target in INCLUDE.findall(path.read_text(encoding="utf-8")):
                yield layer, path.relative_to(ROOT), bracket, target


def imported_modules(path: Path):
    """Absolute names of everything that a file of python/bolide/ imports."""
    package = ["bolide", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def modules_after(statement: str) -> set[str]:
    """Names in sys.modules of a fresh interpreter that ran `statement`."""
    program = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_every_folder_of_cpp_is_a_known_layer():
    folders = {path.name for path in CPP.iterdir() if path.is_dir()}
    assert folders <= MAY_INCLUDE.keys()


def test_layers_include_only_what_is_below_them():
    wrong = []
    for layer, path, bracket, target in includes():
        if bracket == '"':
            owner = target.split("/")[0]
            if owner != layer and owner not in MAY_INCLUDE[layer]:
                wrong.append(f'{path} includes "{target}"')
    assert wrong == []


def test_includes_are_written_from_the_root_of_cpp():
    wrong = [
        f'{path} includes "{target}"'
        for _, path, bracket, target in includes()
        if bracket == '"' and not (CPP / target).is_file()
    ]
    assert wrong == []


def test_only_the_bindings_know_python():
    wrong = [
        f"{path} includes {target}"
        for layer, path, _, target in includes()
        if layer != "bindings" and (target.startswith("pybind11/") or target == "Python.h")
    ]
    assert wrong == []


def test_base_needs_only_the_standard_library():
    wrong = [
        f"{path} includes <{target}>"
        for layer, path, bracket, target in includes()
        if layer == "base" and bracket == "<" and ("/" in target or target.endswith(".h"))
    ]
    assert wrong == []


def test_libraries_on_top_do_not_touch_the_core():
    wrong = []
    for library in LIBRARIES:
        for path in sorted((PACKAGE / library).rglob("*.py")):
            core = sorted(
                name
                for name in imported_modules(path)
                if name.split(".")[0] == "bolide" and CORE_MODULES & set(name.split("."))
            )
            wrong += [f"{path.relative_to(ROOT)} imports {name}" for name in core]
    assert wrong == []


@pytest.mark.skipif(importlib.util.find_spec("bolide") is None, reason="bolide is not installed")
@pytest.mark.parametrize("heavy", ["numpy", "cloudpickle", "asyncio", "multiprocessing"])
def test_import_is_light(heavy):
    before = modules_after("pass")
    assert heavy not in before, f"the interpreter itself imports {heavy} at its start"
    assert heavy not in modules_after("import bolide")
