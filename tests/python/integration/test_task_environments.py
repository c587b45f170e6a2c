"""Runtime environments of single tasks and actors: Ray's page "Environment dependencies", the
sections on tasks and actors and on inheritance."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys

import numpy  # noqa: F401  # so a job's template has it
import pytest

import bolide
from bolide.runtime_env import RuntimeEnv, RuntimeEnvConfig


@bolide.remote
def variable(name):
    return os.environ.get(name)


@bolide.remote
def pid():
    return os.getpid()


def with_variables(remote, **variables):
    return remote.options(runtime_env={"env_vars": variables})


def test_variables_are_those_of_one_task_only(ray):
    before = ray.get(variable.remote("ONE"))
    assert ray.get(with_variables(variable, ONE="1").remote("ONE")) == "1"
    assert before is None and ray.get(variable.remote("ONE")) is None
    assert "ONE" not in os.environ


def test_equal_environments_share_workers_and_different_ones_do_not(ray):
    first = with_variables(pid, A="1")
    second = pid.options(runtime_env=RuntimeEnv(env_vars={"A": "1"}), num_cpus=2)
    other = with_variables(pid, A="2")
    pids = ray.get(first.remote()), ray.get(other.remote()), ray.get(pid.remote())
    assert len(set(pids)) == 3
    assert ray.get(second.remote()) == ray.get(first.remote()) == pids[0]


def test_options_replace_what_the_decorator_gave(ray):
    @ray.remote(runtime_env={"env_vars": {"A": "a", "B": "b"}})
    def both():
        return os.environ.get("A"), os.environ.get("B")

    assert ray.get(both.remote()) == ("a", "b")
    assert ray.get(with_variables(both, B="c").remote()) == (None, "c")


def test_a_tasks_environment_is_merged_over_the_jobs(tmp_path):
    for name in ("job", "task"):
        (tmp_path / name).mkdir()
    job = {"env_vars": {"A": "a", "B": "b"}, "working_dir": str(tmp_path / "job")}
    own = {"env_vars": {"B": "${A}2", "C": "c"}, "working_dir": str(tmp_path / "task")}
    bolide.init(num_cpus=1, runtime_env=job)

    @bolide.remote
    def ask():
        context = bolide.get_runtime_context()
        return [os.environ.get(n) for n in "ABC"], os.getcwd(), context.runtime_env

    variables = {"env_vars": {"A": "a", "B": "${A}2", "C": "c"}}
    assert bolide.get(ask.options(runtime_env=own).remote()) == (
        ["a", "a2", "c"],
        str(tmp_path / "task"),
        {**own, **variables},
    )
    assert bolide.get(with_variables(ask, C="c").remote())[1] == str(tmp_path / "job")
    assert bolide.get(ask.remote()) == (["a", "b", None], str(tmp_path / "job"), job)


def test_children_inherit_the_environment_and_may_change_it(ray):
    @ray.remote
    def child():
        return os.environ.get("A"), os.environ.get("B")

    @ray.remote
    def parent(other):
        @ray.remote
        class Reader:
            def read(self):
                return os.environ.get("A"), os.environ.get("B")

        reader = Reader.remote()
        return ray.get(
            [
                child.remote(),
                other.remote(),  # what came as an argument too
                with_variables(child, B="3").remote(),
                reader.read.remote(),
                with_variables(Reader, A="4").remote().read.remote(),
            ]
        )

    found = ray.get(with_variables(parent, A="1", B="2").remote(child))
    assert found == [("1", "2"), ("1", "2"), ("1", "3"), ("1", "2"), ("4", "2")]
    assert ray.get(child.remote()) == (None, None)


def test_a_function_that_calls_itself_stays_in_its_environment(ray):
    @ray.remote
    def count(n):
        deeper = ray.get(count.remote(n - 1)) if n else []
        return [os.environ.get("A"), *deeper]

    assert ray.get(with_variables(count, A="1").remote(3)) == ["1"] * 4


def test_an_actor_has_its_environment_for_life(ray):
    @ray.remote(max_restarts=1, max_task_retries=-1, runtime_env={"env_vars": {"A": "1"}})
    class Actor:
        def ask(self):
            return os.environ.get("A"), os.getpid()

        def die(self, pid):
            if os.getpid() == pid:
                os._exit(1)

    actor = Actor.remote()
    value, before = ray.get(actor.ask.remote())
    ray.get(actor.die.remote(before))
    assert value == "1"
    value, after = ray.get(actor.ask.remote())
    assert value == "1" and after != before


def test_a_tasks_directory_and_modules(ray, tmp_path):
    package = tmp_path / "modules" / "of_one_task"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("VALUE = 5\n")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "beside.py").write_text("VALUE = 6\n")

    @ray.remote(runtime_env={"working_dir": tmp_path / "work", "py_modules": [package]})
    def look():
        import beside
        import of_one_task

        return beside.VALUE, of_one_task.VALUE, os.getcwd()

    assert ray.get(look.remote()) == (6, 5, str(tmp_path / "work"))

    @ray.remote
    def absent():
        import importlib.util

        return importlib.util.find_spec("of_one_task")

    assert ray.get(absent.remote()) is None


def test_a_module_of_the_directory_is_found_although_the_template_has_another(ray, tmp_path):
    import cloudpickle

    shutil.copytree(os.path.dirname(cloudpickle.__file__), tmp_path / "cloudpickle")

    @ray.remote(runtime_env={"working_dir": tmp_path})
    def look():
        import cloudpickle

        return cloudpickle.__file__

    assert ray.get(look.remote()) == str(tmp_path / "cloudpickle" / "__init__.py")


HASH = "import os; print(hash('a word'), os.environ['OMP_NUM_THREADS'])"


def what_python_says():
    environ = {**os.environ, "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", HASH], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("whose", ["job", "task", "actor"])
def test_a_variable_that_is_read_at_start_acts_on_the_worker_itself(whose):
    env = {"env_vars": {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "3"}}
    bolide.init(num_cpus=1, runtime_env=env if whose == "job" else None)

    def say(*_):
        return f"{hash('a word')} {os.environ['OMP_NUM_THREADS']}\n"

    if whose == "actor":
        actor = bolide.remote(type("Actor", (), {"say": say})).options(runtime_env=env).remote()
        said = actor.say.remote()
    else:
        function = bolide.remote(say)
        said = (function.options(runtime_env=env) if whose == "task" else function).remote()
    assert bolide.get(said) == what_python_says()


def test_numpy_is_imported_with_the_variables_of_the_environment():
    bolide.init(num_cpus=1)

    @bolide.remote
    def threads():
        before = len(os.listdir("/proc/self/task"))
        importlib.import_module("numpy")
        return len(os.listdir("/proc/self/task")) - before

    count = "import os, numpy; print(len(os.listdir('/proc/self/task')) - 1)"
    for number in "12":
        environ = {**os.environ, "OPENBLAS_NUM_THREADS": number}
        done = subprocess.run(
            [sys.executable, "-c", count], env=environ, capture_output=True, text=True, check=True
        )
        started = bolide.get(with_variables(threads, OPENBLAS_NUM_THREADS=number).remote())
        assert started == int(done.stdout)
    assert bolide.get(threads.remote()) == 0


def test_a_task_that_waits_for_its_environment_can_be_cancelled(ray):
    reference = with_variables(variable.options(num_cpus=3), A="1").remote("A")  # it waits for ever
    ray.cancel(reference)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(reference)


def test_the_driver_s_path_of_modules_reaches_other_environments_too(ray, tmp_path, monkeypatch):
    remote = with_variables(variable, A="1")
    assert ray.get(remote.remote("A")) == "1"
    (tmp_path / "found_later.py").write_text("VALUE = 8\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    @ray.remote(num_cpus=0, runtime_env={"env_vars": {"A": "1"}})
    def look():
        import found_later

        return found_later.VALUE

    @ray.remote(max_calls=1, runtime_env={"env_vars": {"A": "1"}})
    def leave():
        pass  # the worker that began with the old path

    ray.get(leave.remote())
    assert ray.get(look.remote()) == 8


def test_wrong_ones_are_told_where_they_are_given(ray):
    with pytest.raises(ValueError, match="runtime_env has 'envvars', which is no key of one"):
        ray.remote(runtime_env={"envvars": {}})(os.getpid)
    with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match="has 'A': 1, but takes strings"):
        variable.options(runtime_env={"env_vars": {"A": 1}})

    class Actor:
        pass

    with pytest.raises(TypeError, match="'working_dir'] must be a path, not 3"):
        ray.remote(Actor).options(runtime_env={"working_dir": 3})


def test_a_runtime_env_checks_what_it_is_given_later():
    env = RuntimeEnv(env_vars={"A": "1"}, config=RuntimeEnvConfig(setup_timeout_seconds=5))
    assert env == {
        "env_vars": {"A": "1"},
        "config": {"setup_timeout_seconds": 5, "eager_install": True},
    }
    with pytest.raises(ValueError, match="is no key of one"):
        env["unknown"] = 1
    env["env_vars"] = {"B": "2"}
    assert env["env_vars"] == {"B": "2"}


@pytest.mark.parametrize(
    ("given", "kind", "sentence"),
    [
        ({"setup_timeout_seconds": 0}, ValueError, "is 0, but must be above 0, or -1"),
        ({"setup_timeout_seconds": 1.5}, TypeError, "must be an int, not 1.5"),
        ({"eager_install": 1}, TypeError, "must be a bool, not 1"),
        ({"later": 1}, ValueError, "has 'later', which is no key of it"),
    ],
)
def test_a_wrong_configuration_is_told(given, kind, sentence):
    with pytest.raises(kind, match=sentence):
        RuntimeEnvConfig(**given)
    with pytest.raises(kind, match=sentence):
        bolide.remote(runtime_env={"config": given})(os.getpid)


def test_in_local_mode_there_are_no_workers_that_could_have_one():
    bolide.init(local_mode=True)
    assert bolide.get(with_variables(variable, A="1").remote("A")) is None


def set_a_variable():
    os.environ["HOOKED"] = f"by {os.getpid()}"


@bolide.remote
def hooked():
    return os.environ.get("HOOKED") == f"by {os.getpid()}"


@pytest.mark.parametrize("by_name", [False, True])
def test_a_hook_runs_in_each_worker_before_its_tasks(by_name, tmp_path, monkeypatch):
    hook = set_a_variable
    if by_name:
        (tmp_path / "with_a_hook.py").write_text(
            "import os\n\ndef hook():\n    os.environ['HOOKED'] = f'by {os.getpid()}'\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        hook = "with_a_hook.hook"
    env = RuntimeEnv(worker_process_setup_hook=hook)
    bolide.init(num_cpus=1, runtime_env=env)
    assert bolide.get(hooked.remote())
    told = bolide.get_runtime_context().runtime_env
    assert bolide.get(with_variables(hooked, A="1").remote())
    assert bolide.get(hooked.options(runtime_env=told).remote())
    assert "HOOKED" not in os.environ


def test_a_hook_that_fails_is_told(ray):
    def hook():
        raise KeyError("of the hook")

    env = {"worker_process_setup_hook": hook}
    with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match="(?s)No worker .*of the hook"):
        ray.get(hooked.options(runtime_env=env).remote())
    assert not ray.get(hooked.remote())


@pytest.mark.parametrize(
    ("hook", "kind", "sentence"),
    [
        ("no_module", ValueError, "not of the form 'module.function'"),
        (3, TypeError, "must be a function, or a str such as 'module.function', not 3"),
    ],
)
def test_a_wrong_hook_is_told(hook, kind, sentence):
    with pytest.raises(kind, match=sentence):
        bolide.remote(runtime_env={"worker_process_setup_hook": hook})(os.getpid)


def test_an_environment_and_a_bundle_go_together(ray):
    from bolide.util.placement_group import placement_group, remove_placement_group
    from bolide.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    group = placement_group([{"CPU": 1}])
    ray.get(group.ready())
    inside = variable.options(scheduling_strategy=PlacementGroupSchedulingStrategy(group))
    asked = inside, with_variables(inside, A="1"), with_variables(variable, A="1")
    assert ray.get([remote.remote("A") for remote in asked]) == [None, "1", "1"]
    remove_placement_group(group)
