"""Environments whose processes die or do not start: their own tasks tell, others go on."""

from __future__ import annotations

import os

import psutil
import pytest

import bolide
from bolide.exceptions import RuntimeEnvSetupError


@bolide.remote
def pid():
    return os.getpid()


def templates():
    """The template processes of this driver, the job's first."""
    return [child.pid for child in psutil.Process().children()]


def test_a_template_that_cannot_start_fails_its_tasks_alone(ray):
    broken = pid.options(runtime_env={"env_vars": {"PYTHONHOME": "/no/such/folder"}})
    with pytest.raises(RuntimeEnvSetupError, match="(?s)No worker could be started.*encodings"):
        ray.get(broken.remote())
    assert ray.get(pid.remote()) > 0
    with pytest.raises(RuntimeEnvSetupError, match="No worker could be started"):
        ray.get(broken.remote())


def test_the_template_of_an_environment_is_started_again(ray):
    own = pid.options(runtime_env={"env_vars": {"PYTHONHASHSEED": "1"}})
    worker = ray.get(own.remote())
    job, template = templates()
    os.kill(template, 9)
    assert ray.get(own.remote()) == worker  # it lives on
    os.kill(worker, 9)
    psutil.Process(worker).wait(10) if psutil.pid_exists(worker) else None
    again = ray.get(own.options(max_retries=-1).remote())
    assert again != worker and templates()[0] == job
    assert ray.get(pid.remote()) > 0


def test_the_jobs_template_may_die_while_an_environment_has_its_own(ray):
    own = pid.options(runtime_env={"env_vars": {"PYTHONHASHSEED": "1"}})
    worker = ray.get(own.remote())
    plain = ray.get(pid.remote())
    os.kill(templates()[0], 9)
    assert ray.get([own.remote(), pid.remote()]) == [worker, plain]


def test_a_worker_that_dies_is_replaced_by_one_of_its_environment(ray):
    @ray.remote(max_retries=1, runtime_env={"env_vars": {"A": "1"}})
    def die_once(path):
        if not os.path.exists(path):
            open(path, "w").close()
            os._exit(1)
        return os.environ["A"]

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert ray.get(die_once.remote(os.path.join(folder, "died"))) == "1"


def test_more_environments_than_there_are_cpus(ray):
    def own(i):
        return pid.options(runtime_env={"env_vars": {"NUMBER": str(i)}})

    pids = ray.get([own(i).remote() for i in range(12)])
    assert len(set(pids)) == 12
    assert ray.get(pid.options(num_cpus=2).remote()) not in pids


def test_an_environment_that_a_blocked_parent_waits_for(ray):
    @ray.remote
    def parent(depth):
        if depth == 0:
            return 0
        env = {"env_vars": {"DEPTH": str(depth)}}
        return 1 + ray.get(parent.options(runtime_env=env).remote(depth - 1))

    assert ray.get(parent.options(num_cpus=2).remote(6)) == 6
