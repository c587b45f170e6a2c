"""Ray's page "Actors".

Calls of one actor are serial, those of different actors run in parallel.
"""

import ray


@ray.remote(num_cpus=0)
class Meeting:
    """Lets those that wait go when two have come."""

    def __init__(self):
        self.come = 0

    def arrive(self):
        self.come += 1

    def complete(self):
        return self.come == 2


@ray.remote(num_cpus=0)
class Guest:
    def meet(self, meeting):
        ray.get(meeting.arrive.remote())
        while not ray.get(meeting.complete.remote()):
            pass
        return "met"


ray.init(num_cpus=2)
meeting = Meeting.remote()
guests = [Guest.remote() for _ in range(2)]
# One after the other, the first would wait for ever.
assert ray.get([guest.meet.remote(meeting) for guest in guests]) == ["met", "met"]

print("done")
