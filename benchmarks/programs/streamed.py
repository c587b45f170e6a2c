"""`streamed.py N`: N tasks through a window of 10,000. Prints one line of JSON.

It does not judge the figures, test_scale.py does. `growth` is by how many bytes this process, the
driver, grew after the first tenth of the stream, at most; `right` counts the right results.
"""

import json
import sys
import time
from collections import deque

from resident import resident_bytes

import bolide as ray

BATCH = 1_000
WINDOW = 10  # batches in flight


@ray.remote
def same(x):
    return x


def right_results(first, refs):
    """How many of a batch's results are what they have to be."""
    return sum(value == first + i for i, value in enumerate(ray.get(refs)))


def main(count):
    ray.init(num_cpus=2)
    started = time.perf_counter()
    right, samples, in_flight = 0, [], deque()
    for first in range(0, count, BATCH):
        refs = [same.remote(i) for i in range(first, min(first + BATCH, count))]
        in_flight.append((first, refs))
        if len(in_flight) >= WINDOW:
            right += right_results(*in_flight.popleft())
        if first >= count // 10:
            samples.append(resident_bytes())
    while in_flight:
        right += right_results(*in_flight.popleft())
    seconds = time.perf_counter() - started
    growth = max(samples) - samples[0]
    ray.shutdown()
    print(json.dumps({"growth": growth, "right": right, "seconds": seconds}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
