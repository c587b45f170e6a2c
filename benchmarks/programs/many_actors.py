"""`many_actors.py N`: N live actors under a soft limit of 1,024 descriptors. Prints a line of JSON.

It does not judge the figures, test_actors.py does. `seconds` is from the first creation until each
has answered a call; `memory` is by how much that many processes lessen the memory that the machine
has available.
"""

import json
import resource
import sys
import time

import bolide as ray


@ray.remote
class Numbered:
    def __init__(self, number):
        self.number = number

    def get(self):
        return self.number


def available_bytes():
    with open("/proc/meminfo") as file:
        line = next(line for line in file if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def main(count):
    hard = min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    ray.init(num_cpus=2)
    first = Numbered.remote(-1)
    ray.get(first.get.remote())
    before = available_bytes()
    started = time.perf_counter()
    actors = [Numbered.remote(i) for i in range(count)]
    values = ray.get([actor.get.remote() for actor in actors])
    seconds = time.perf_counter() - started
    memory = before - available_bytes()
    right = sum(value == i for i, value in enumerate(values))
    ray.shutdown()
    print(json.dumps({"right": right, "seconds": seconds, "memory": memory}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
