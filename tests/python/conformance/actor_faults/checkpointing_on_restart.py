"""Ray's page "Actor Fault Tolerance".

A restarted actor reads its last state from a file.
"""

import json
import os

import ray


@ray.remote(max_restarts=-1, max_task_retries=-1)
class Remembers:
    def __init__(self, path):
        self.path = path
        self.seen = []
        if os.path.exists(path):
            with open(path) as file:
                self.seen = json.load(file)

    def see(self, item, crash=False):
        if item not in self.seen:
            self.seen.append(item)
            with open(self.path + ".new", "w") as file:
                json.dump(self.seen, file)
            os.replace(self.path + ".new", self.path)
            if crash:
                os._exit(1)
        return len(self.seen)

    def restarted(self):
        return ray.get_runtime_context().was_current_actor_reconstructed


ray.init(num_cpus=1)
actor = Remembers.remote(os.path.join(os.getcwd(), "state"))
assert not ray.get(actor.restarted.remote())
counts = ray.get([actor.see.remote(item, crash=item % 3 == 2) for item in range(10)])
assert counts == list(range(1, 11))
assert ray.get(actor.restarted.remote())

print("done")
