"""Ray's page "Task Fault Tolerance": after the worker's death, and on request after exceptions."""

import os
import tempfile

import ray

ray.init(num_cpus=1)
folder = tempfile.mkdtemp()


def attempt(name):
    path = os.path.join(folder, name)
    with open(path, "a") as file:
        file.write("x")
    return os.path.getsize(path)


@ray.remote(max_retries=2)
def dies_twice():
    if attempt("dies") < 3:
        os._exit(1)
    return "alive"


@ray.remote(max_retries=1)
def dies():
    attempt("always")
    os._exit(1)


@ray.remote(max_retries=5, retry_exceptions=[ConnectionError])
def raises(kind, name):
    if attempt(name) < 3:
        raise kind("again")
    return name


assert ray.get(dies_twice.remote()) == "alive"
try:
    ray.get(dies.remote())
except ray.exceptions.WorkerCrashedError:
    assert attempt("always") == 3
else:
    raise AssertionError("the worker's death was not told")
assert ray.get(raises.remote(ConnectionError, "listed")) == "listed"
try:
    ray.get(raises.remote(KeyError, "unlisted"))
except KeyError:
    assert attempt("unlisted") == 2
else:
    raise AssertionError("an exception that is not listed was retried")

print("done")
