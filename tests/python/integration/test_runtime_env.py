"""`init(runtime_env=...)`: Ray's page "Environment dependencies", as far as it is carried out."""

from __future__ import annotations

import json
import os
import sys

import pytest

import bolide
from bolide.runtime_env import RuntimeEnv


@pytest.fixture
def package(tmp_path):
    """The directory of a package `a_package` with the value 5."""
    folder = tmp_path / "modules" / "a_package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("VALUE = 5\n")
    return folder


def test_variables_are_those_of_workers_only(monkeypatch):
    monkeypatch.setenv("BEFORE", "b")
    env = {"env_vars": {"ADDED": "1", "BEFORE": "a:${BEFORE}:${NOT_SET}"}}
    bolide.init(num_cpus=1, runtime_env=env)

    @bolide.remote
    def ask():
        context = bolide.get_runtime_context()
        return os.environ["ADDED"], os.environ["BEFORE"], context.runtime_env

    assert bolide.get(ask.remote()) == ("1", "a:b:", env)
    assert "ADDED" not in os.environ and os.environ["BEFORE"] == "b"
    assert json.loads(bolide.get_runtime_context().get_runtime_env_string()) == env


def test_the_directory_is_entered_and_its_modules_are_found(tmp_path, monkeypatch):
    (tmp_path / "beside_the_data.py").write_text("VALUE = 6\n")
    (tmp_path / "data.txt").write_text("seven")
    monkeypatch.chdir(tmp_path.parent)
    bolide.init(num_cpus=1, runtime_env={"working_dir": tmp_path.name})

    @bolide.remote
    class Reader:
        def read(self):
            import beside_the_data

            with open("data.txt") as file:
                return os.getcwd(), beside_the_data.VALUE, file.read()

    assert bolide.get(Reader.remote().read.remote()) == (str(tmp_path), 6, "seven")
    assert os.getcwd() == str(tmp_path.parent) and str(tmp_path) not in sys.path


@pytest.mark.parametrize("as_module", [False, True])
def test_packages_can_be_imported(package, as_module, monkeypatch):
    given = package
    if as_module:
        monkeypatch.syspath_prepend(str(package.parent))
        import a_package as given

        monkeypatch.undo()
        monkeypatch.delitem(sys.modules, "a_package")
    bolide.init(num_cpus=1, runtime_env=RuntimeEnv(py_modules=[given]))

    @bolide.remote
    def use():
        import a_package

        return a_package.VALUE, a_package.__file__

    assert bolide.get(use.remote()) == (5, str(package / "__init__.py"))
    assert str(package.parent) not in sys.path


WRONG = [
    (["x"], TypeError, "runtime_env must be a dict, not"),
    ({"conda": ["numpy"]}, ValueError, "runtime_env has 'conda', which this version does not"),
    ({"envvars": {}}, ValueError, "runtime_env has 'envvars', which is no key of one"),
    ({"env_vars": ["A=1"]}, TypeError, "must be a dict of strings"),
    ({"env_vars": {"A": 1}}, TypeError, "has 'A': 1, but takes strings only"),
    ({"env_vars": {"A=B": "1"}}, ValueError, "has 'A=B', which cannot be set"),
    ({"working_dir": 3}, TypeError, "must be a path, not 3"),
    ({"working_dir": "/no/such"}, ValueError, "'/no/such', which is neither a directory nor"),
    ({"working_dir": "s3://bucket/x.zip"}, ValueError, "the address 's3://bucket/x.zip', but not"),
    ({"excludes": "*.bin"}, TypeError, "'excludes'] must be a list of strings, not '"),
    ({"py_modules": "x"}, TypeError, "must be a list"),
    ({"py_modules": ["/no/such"]}, ValueError, "neither the directory of a package"),
    ({"py_modules": [1]}, TypeError, "takes paths and modules"),
]


@pytest.mark.parametrize(("given", "kind", "sentence"), WRONG)
def test_what_is_wrong_or_not_carried_out_is_told_and_nothing_starts(given, kind, sentence):
    with pytest.raises(kind, match=sentence):
        bolide.init(num_cpus=1, runtime_env=given)
    assert not bolide.is_initialized()


def test_an_empty_one_is_none():
    bolide.init(num_cpus=1, runtime_env={"env_vars": {}, "working_dir": None, "config": {}})
    assert bolide.get_runtime_context().runtime_env == {}


def test_pythonpath_is_searched_behind_the_other_folders(package, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "of the driver"))
    (tmp_path / "work").mkdir()
    folders = f"{package.parent}{os.pathsep}{os.pathsep}${{PYTHONPATH}}"
    bolide.init(
        num_cpus=1,
        runtime_env={
            "env_vars": {"PYTHONPATH": folders},
            "working_dir": str(tmp_path / "work"),
        },
    )

    @bolide.remote
    def look():
        import a_package

        return a_package.VALUE, sys.path[:3]

    wanted = [tmp_path / "work", package.parent, tmp_path / "of the driver"]
    assert bolide.get(look.remote()) == (5, [str(folder) for folder in wanted])
    assert str(package.parent) not in sys.path
