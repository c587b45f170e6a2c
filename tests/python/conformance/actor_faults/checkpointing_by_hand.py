"""Ray's page "Actor Fault Tolerance".

A supervisor makes a new worker and gives it the last state.
"""

import os

import ray


@ray.remote(num_cpus=0)
class Worker:
    def __init__(self):
        self.state = {"steps": 0}

    def step(self):
        self.state["steps"] += 1
        if self.state["steps"] in (3, 7):
            os._exit(1)
        return self.state

    def restore(self, state):
        self.state = state


@ray.remote(num_cpus=0)
class Controller:
    def __init__(self):
        self.worker = Worker.remote()
        self.state = {"steps": 0}
        self.failures = 0

    def step(self):
        try:
            self.state = ray.get(self.worker.step.remote())
        except ray.exceptions.RayActorError:
            self.failures += 1
            self.worker = Worker.remote()
            self.state["steps"] += 1  # the page leaves out what cannot be done
            ray.get(self.worker.restore.remote(self.state))
        return self.state["steps"], self.failures


ray.init(num_cpus=2)
controller = Controller.remote()
assert ray.get([controller.step.remote() for _ in range(10)])[-1] == (10, 2)

print("done")
