"""Ray's page "Anti-pattern: Using global variables to share state between tasks and actors".

Each process has its own; an actor is the shared one.
"""

import ray

shared = 3


@ray.remote
class Global:
    def __init__(self, value):
        self.value = value

    def set(self, value):
        self.value = value

    def get(self):
        return self.value


@ray.remote
class User:
    def see(self):
        return shared

    def see_actor(self, actor):
        return ray.get(actor.get.remote())


ray.init(num_cpus=2)
user, actor = User.remote(), Global.remote(3)
assert ray.get(user.see.remote()) == 3
shared = 4
ray.get(actor.set.remote(4))
assert ray.get(user.see.remote()) == 3  # what the class captured
assert ray.get(user.see_actor.remote(actor)) == 4

print("done")
