"""Packages of runtime environments: Ray's page "Environment dependencies", `pip` and `uv`. Nothing
is fetched: what is installed are wheels that the tests write."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile

import numpy  # so that the job's template has it
import pytest

import bolide
from bolide.exceptions import RuntimeEnvSetupError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache directory of this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bolide" / "environments"


@pytest.fixture
def wheels(tmp_path):
    """A folder of wheels: `tiny` 1.0 and 2.0, `needy`, which needs tiny 2.0, and a `numpy`."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "tiny", "1.0", "VALUE = 1\n")
    write_wheel(folder, "tiny", "2.0", "VALUE = 2\n")
    write_wheel(folder, "needy", "1.0", "import tiny\n", "Requires-Dist: tiny==2.0\n")
    write_wheel(folder, "numpy", "0.0.1", "__version__ = '0.0.1'\n")
    return folder


def write_wheel(folder, name, version, code, more=""):
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": code,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in files) + f"{about}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as made:
        for path, text in {**files, f"{about}/RECORD": record}.items():
            made.writestr(path, text)


INSTALLERS = [
    "pip",
    pytest.param(
        "uv",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("uv") is None and shutil.which("uv") is None,
            reason="uv is not here, and nothing is to be fetched",
        ),
    ),
]
each_installer = pytest.mark.parametrize("installer", INSTALLERS)


def packages(wheels, *names):
    return ["--no-index", f"--find-links={wheels}", *names]


@bolide.remote
def value_of(module):
    return importlib.import_module(module).VALUE


@bolide.remote
def is_there(module):
    return importlib.util.find_spec(module) is not None


@each_installer
def test_a_task_has_its_packages_and_others_do_not(ray, wheels, installer):
    one = value_of.options(runtime_env={installer: packages(wheels, "tiny==1.0")})
    two = value_of.options(runtime_env={installer: packages(wheels, "tiny")})
    assert ray.get([one.remote("tiny"), two.remote("tiny")]) == [1, 2]
    assert not ray.get(is_there.remote("tiny"))
    assert importlib.util.find_spec("tiny") is None


@each_installer
def test_packages_of_the_driver_are_there_too(ray, wheels, installer):
    @ray.remote(runtime_env={installer: packages(wheels, "tiny==1.0")})
    def look():
        import cloudpickle
        import numpy

        return numpy.__version__, cloudpickle.__file__

    import cloudpickle

    assert ray.get(look.remote()) == (numpy.__version__, cloudpickle.__file__)


@each_installer
def test_a_package_wins_over_what_a_template_of_the_job_has_imported(ray, wheels, installer):
    @ray.remote
    def version():
        import numpy

        return numpy.__version__

    env = {installer: packages(wheels, "numpy==0.0.1")}
    assert ray.get(version.options(runtime_env=env).remote()) == "0.0.1"
    assert ray.get(version.remote()) == numpy.__version__


def test_what_was_installed_is_used_again_in_the_next_session(ray, wheels):
    @ray.remote(runtime_env={"pip": packages(wheels, "tiny==1.0")})
    def look():
        import tiny

        status = os.stat(tiny.__file__)
        return tiny.__file__, status.st_ino, sys.prefix

    first = ray.get(look.remote())
    ray.shutdown()
    ray.init(num_cpus=1)
    assert ray.get(look.remote()) == first


def test_wheels_that_were_added_are_seen(ray, wheels):
    env = {"pip": packages(wheels, "tiny")}
    assert ray.get(value_of.options(runtime_env=env).remote("tiny")) == 2
    ray.shutdown()
    write_wheel(wheels, "tiny", "3.0", "VALUE = 3\n")
    ray.init(num_cpus=1)
    assert ray.get(value_of.options(runtime_env=env).remote("tiny")) == 3


@each_installer
def test_children_inherit_the_packages_of_the_job(wheels, installer):
    bolide.init(num_cpus=1, runtime_env={installer: packages(wheels, "needy")})

    @bolide.remote
    def parent():
        child = value_of.options(runtime_env={"env_vars": {"A": "1"}}).remote("tiny")
        return bolide.get([value_of.remote("tiny"), child])

    assert bolide.get(parent.remote()) == [2, 2]
    other = value_of.options(runtime_env={installer: packages(wheels, "tiny==1.0")})
    assert bolide.get(other.remote("tiny")) == 1


def test_an_actor_has_packages(ray, wheels):
    @ray.remote(runtime_env={"pip": packages(wheels, "tiny==1.0")})
    class Actor:
        def __init__(self):
            import tiny

            self.value = tiny.VALUE

        def get(self):
            return self.value

    assert ray.get(Actor.remote().get.remote()) == 1


def test_programs_that_a_task_starts_have_them_too(ray, wheels):
    @ray.remote(runtime_env={"pip": packages(wheels, "tiny==1.0")})
    def run():
        program = "import tiny, cloudpickle, sys; print(tiny.VALUE, sys.prefix)"
        by_name = subprocess.run(["python", "-c", program], capture_output=True, text=True)
        by_path = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        return by_name.stdout, by_path.stdout, os.environ["VIRTUAL_ENV"]

    by_name, by_path, folder = ray.get(run.remote())
    assert by_name == by_path == f"1 {folder}\n"


def test_a_requirements_file(ray, wheels, tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text(f"# these\n--no-index\n--find-links {wheels}\n\ntiny==1.0  # one\n")
    for given in (str(path), {"packages": str(path)}):
        remote = value_of.options(runtime_env={"pip": given})
        assert ray.get(remote.remote("tiny")) == 1


def test_options_of_pip_and_a_path_in_the_working_directory(ray, wheels):
    env = {
        "working_dir": str(wheels),
        "pip": {
            "packages": ["${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/tiny-1.0-py3-none-any.whl"],
            "pip_install_options": ["--no-index", "--no-deps", "--disable-pip-version-check"],
        },
    }
    assert ray.get(value_of.options(runtime_env=env).remote("tiny")) == 1
    env["pip"]["packages"] = ["./tiny-2.0-py3-none-any.whl"]
    assert ray.get(value_of.options(runtime_env=env).remote("tiny")) == 2


def test_ray_is_bolide_and_is_not_installed(ray, wheels):
    names = ("ray", "ray[serve]==2.9", "Ray>=2", "tiny==1.0")
    remote = value_of.options(runtime_env={"pip": packages(wheels, *names)})
    assert ray.get(remote.remote("tiny")) == 1


# ---- what goes wrong


def fails(ray, env, sentence):
    """Tasks and actors with that environment get the sentence; others go on."""

    @ray.remote
    class Actor:
        def f(self):
            pass

    actor = Actor.options(runtime_env=env).remote()
    for reference in (value_of.options(runtime_env=env).remote("tiny"), actor.f.remote()):
        with pytest.raises(RuntimeEnvSetupError, match=sentence) as caught:
            ray.get(reference)
        assert len(str(caught.value)) < 4000
    assert ray.get(is_there.remote("os"))


@each_installer
def test_a_package_that_is_not_there(ray, wheels, cache, installer):
    said = "No matching distribution" if installer == "pip" else "no-such-package"
    env = {installer: packages(wheels, "no-such-package")}
    fails(ray, env, rf"(?s)runtime_env\['{installer}'\] could not be installed: .*{said}")
    assert all(name.endswith(".lock") for name in os.listdir(cache))
    write_wheel(wheels, "no_such_package", "1", "VALUE = 8\n")
    assert ray.get(value_of.options(runtime_env=env).remote("no_such_package")) == 8


@each_installer
def test_a_check_that_fails(ray, wheels, installer):
    option = "pip_install_options" if installer == "pip" else "uv_pip_install_options"
    asked = {"packages": packages(wheels, "needy"), option: ["--no-deps"]}
    env = {installer: {**asked, f"{installer}_check": False}}
    assert ray.get(is_there.options(runtime_env=env).remote("needy"))
    fails(ray, {installer: {**asked, f"{installer}_check": True}}, "(?s)check.*needy.*tiny")


@pytest.fixture
def endless(tmp_path):
    """A list of packages that pip never comes to the end of: it waits for a writer."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return ["-r " + str(path)]


def test_the_time_that_it_may_take(ray, endless):
    env = {"pip": endless, "config": {"setup_timeout_seconds": 2}}
    with pytest.raises(RuntimeEnvSetupError, match="it was not ready after 2 seconds; raise"):
        ray.get(value_of.options(runtime_env=env).remote("tiny"))


def test_tasks_of_others_run_meanwhile_and_shutdown_ends_it(endless):
    bolide.init(num_cpus=1)
    reference = value_of.options(runtime_env={"pip": endless}).remote("tiny")
    assert bolide.get(is_there.remote("os"))
    assert bolide.wait([reference], timeout=0.2) == ([], [reference])
    bolide.shutdown()
    del reference


def test_the_jobs_environment_may_fail_too(wheels):
    bolide.init(num_cpus=1, runtime_env={"pip": packages(wheels, "no-such-package")})
    with pytest.raises(RuntimeEnvSetupError, match="No matching distribution"):
        bolide.get(is_there.remote("os"))


WRONG = [
    ({"pip": 3}, TypeError, "must be a list of packages, the path of a requirements file or a"),
    ({"pip": [3]}, TypeError, r"\['pip'\]\['packages'\] must be a list of strings"),
    ({"pip": "/no/such/file"}, ValueError, "'/no/such/file', which is no requirements file here"),
    ({"pip": {"pip_check": True}}, ValueError, "is a dict without packages"),
    ({"pip": {"packages": [], "check": 1}}, ValueError, "has 'check', which is no key of it"),
    ({"pip": {"packages": ["x"], "pip_check": 1}}, TypeError, "must be a bool, not 1"),
    ({"pip": {"packages": ["x"], "pip_version": 3}}, TypeError, "must be a str such as '==1.0'"),
    ({"pip": ["x\ny"]}, ValueError, "which is not one line"),
    (
        {"uv": {"packages": ["x"], "pip_check": True}},
        ValueError,
        "has 'pip_check', which is no key",
    ),
    ({"pip": ["x"], "uv": ["y"]}, ValueError, "has both 'pip' and 'uv'"),
    ({"conda": ["x"]}, ValueError, "has 'conda', which this version does not carry out"),
    ({"py_executable": "uv run"}, ValueError, "has 'py_executable', which this version does not"),
]


@pytest.mark.parametrize(("given", "kind", "sentence"), WRONG)
def test_what_is_wrong_is_told_at_once(given, kind, sentence):
    with pytest.raises(kind, match=sentence) as caught:
        bolide.remote(runtime_env=given)(os.getpid)
    assert isinstance(caught.value, RuntimeEnvSetupError)


def test_no_packages_are_no_environment(ray):
    assert ray.get(is_there.options(runtime_env={"pip": []}).remote("os"))
