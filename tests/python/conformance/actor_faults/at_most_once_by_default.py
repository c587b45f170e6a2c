"""Ray's page "Actor Fault Tolerance".

A call that had begun raises, although it may have taken effect; the next one works.
"""

import os

import ray


@ray.remote(max_restarts=-1)
class Fragile:
    def note_and_die(self, path):
        with open(path, "a") as file:
            file.write("x")
        os._exit(1)

    def work(self):
        return "works"


ray.init(num_cpus=1)
path = os.path.join(os.getcwd(), "attempts")
fragile = Fragile.remote()
for attempt in (1, 2):
    try:
        ray.get(fragile.note_and_die.remote(path))
    except ray.exceptions.ActorUnavailableError as error:
        assert isinstance(error, ray.exceptions.RayActorError)
    assert open(path).read() == "x" * attempt
    while True:  # as the page says: the caller decides whether to try again
        try:
            assert ray.get(fragile.work.remote()) == "works"
            break
        except ray.exceptions.ActorUnavailableError:
            continue

print("done")
