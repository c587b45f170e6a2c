"""Ray's page "Terminating Actors".

Handles that go out of scope, __ray_terminate__, exit_actor, kill, __ray_shutdown__.
"""

import os

import ray


@ray.remote
class Ends:
    def __init__(self, path):
        self.path = path

    def note(self, word):
        with open(self.path, "a") as file:
            file.write(word + "\n")

    def leave(self):
        ray.actor.exit_actor()

    def __ray_shutdown__(self):
        self.note("cleaned up")


def fails(ref):
    try:
        ray.get(ref)
    except ray.exceptions.RayActorError:
        return
    raise AssertionError("the actor lives")


def wait_for(count):
    while open(path).read().count("cleaned up") < count:
        pass


ray.init(num_cpus=2)
path = os.path.join(os.getcwd(), "notes")
out_of_scope = Ends.remote(path)
out_of_scope.note.remote("last call")
del out_of_scope  # what was submitted is run first
while not os.path.exists(path):
    pass
wait_for(1)
assert open(path).read() == "last call\ncleaned up\n"
leaves = Ends.remote(path)
fails(leaves.leave.remote())
wait_for(2)
fails(leaves.note.remote("too late"))
told = Ends.remote(path)
fails(told.__ray_terminate__.remote())
wait_for(3)
killed = Ends.remote(path)
ray.get(killed.note.remote("alive"))
ray.kill(killed)
fails(killed.note.remote("too late"))
assert open(path).read().count("cleaned up") == 3  # kill does not wait for it

print("done")
