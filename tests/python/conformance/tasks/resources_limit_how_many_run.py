"""Ray's page "Resources": tasks hold CPUs, parts of one, and custom resources while they run."""

import time

import ray

ray.init(num_cpus=2, resources={"special": 1})


@ray.remote
def span():
    began = time.time()
    time.sleep(0.1)  # the work: long enough that what may overlap does
    return began, time.time()


def at_most(refs):
    spans = ray.get(refs)
    return max(sum(b <= began < e for b, e in spans) for began, _ in spans)


assert at_most([span.remote() for _ in range(6)]) <= 2
assert at_most([span.options(num_cpus=2).remote() for _ in range(3)]) == 1
special = span.options(num_cpus=0, resources={"special": 1})
assert at_most([special.remote() for _ in range(3)]) == 1
assert at_most([span.options(num_cpus=0.5).remote() for _ in range(8)]) <= 4
assert ray.cluster_resources()["special"] == 1.0
assert ray.available_resources()["CPU"] == 2.0

print("done")
