"""Ray's page "ray.method": numbers of returns, names and retries of methods."""

import ray

ray.init(num_cpus=2)


@ray.remote(max_task_retries=0)
class Actor:
    def __init__(self):
        self.tries = 0

    @ray.method(num_returns=2)
    def pair(self):
        return "a", "b"

    @ray.method(retry_exceptions=[OSError], max_task_retries=5)
    def flaky(self):
        self.tries += 1
        if self.tries < 3:
            raise OSError("not yet")
        return self.tries

    def name(self):
        return ray.get_runtime_context().get_task_name()

    def three(self):
        return 1, 2, 3


actor = Actor.remote()
a, b = actor.pair.remote()
assert ray.get([a, b]) == ["a", "b"]
assert ray.get(actor.pair.options(num_returns=1).remote()) == ("a", "b")
assert ray.get(actor.three.options(num_returns=3).remote()) == [1, 2, 3]
assert ray.get(actor.flaky.remote()) == 3
assert ray.get(actor.name.options(name="my call").remote()) == "my call"

print("done")
