"""Ray's page "Actor Fault Tolerance".

max_task_retries and retry_exceptions, True or a list of types.
"""

import os

import ray


class MyError(Exception):
    pass


@ray.remote
class Flaky:
    def __init__(self, path):
        self.path = path

    def attempts(self):
        with open(self.path, "a") as file:
            file.write("x")
        return os.path.getsize(self.path)

    @ray.method(max_task_retries=5, retry_exceptions=True)
    def any_error(self):
        if self.attempts() < 4:
            raise ValueError
        return "good"

    @ray.method(max_task_retries=2, retry_exceptions=[MyError])
    def only_mine(self, error):
        self.attempts()
        raise error


def attempts_until(error):
    flaky = Flaky.remote(path)
    try:
        ray.get(flaky.only_mine.remote(error))
    except type(error):
        size = os.path.getsize(path)
        os.remove(path)
        return size


ray.init(num_cpus=1)
path = os.path.join(os.getcwd(), "attempts")
assert ray.get(Flaky.remote(path).any_error.remote()) == "good"
assert os.path.getsize(path) == 4
os.remove(path)
assert attempts_until(MyError()) == 3
assert attempts_until(ValueError()) == 1

print("done")
