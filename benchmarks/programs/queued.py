"""`queued.py N`: N tasks queue behind a slow one, then drain. Prints one line of JSON.

It does not judge the figures, test_scale.py does. `growth` is by how many bytes this process, the
driver, grew while it queued them, its list of references included; `right` counts the right
results.
"""

import json
import os
import sys
import tempfile
import time

from resident import resident_bytes

import bolide as ray

SLICE = 10_000


@ray.remote
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)
    return path


@ray.remote
def same(x):
    return x


def main(count):
    ray.init(num_cpus=1)
    ray.get([same.remote(i) for i in range(1000)])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "go")
        slow = wait_for.remote(path)
        before = resident_bytes()
        refs = [same.remote(i) for i in range(count)]
        growth = resident_bytes() - before
        done, _ = ray.wait([refs[0], refs[-1]], num_returns=2, timeout=0.2)
        if done:
            raise SystemExit("A task behind the slow one has run: nothing was queued.")
        started = time.perf_counter()
        open(path, "w").close()
        right = 0
        for first in range(0, count, SLICE):
            results = ray.get(refs[first : first + SLICE])
            right += sum(value == first + i for i, value in enumerate(results))
        seconds = time.perf_counter() - started
        if ray.get(slow) != path:
            raise SystemExit("The slow task returned something else than its argument.")
    ray.shutdown()
    print(json.dumps({"growth": growth, "right": right, "drain_seconds": seconds}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
