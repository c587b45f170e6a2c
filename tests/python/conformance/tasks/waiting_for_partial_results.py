"""Ray's page "Tasks", "Waiting for Partial Results": `wait` gives what is ready, in order."""

import time

import ray

ray.init(num_cpus=2)


@ray.remote
def after(seconds):
    time.sleep(seconds)
    return seconds


refs = [after.remote(seconds) for seconds in (0, 0, 30)]
ready, others = ray.wait(refs, num_returns=2, timeout=20)
assert (ready, others) == (refs[:2], refs[2:])
assert ray.get(ready) == [0, 0]
assert ray.wait(others, timeout=0.01) == ([], others)
ray.cancel(others[0])

print("done")
