"""Ray's page "Pattern: Using nested tasks to achieve nested parallelism": quick sort by tasks."""

import random

import ray

ray.init(num_cpus=2)


def divide(values):
    pivot = values.pop()
    return [v for v in values if v <= pivot], pivot, [v for v in values if v > pivot]


@ray.remote
def quick_sort(values):
    if len(values) <= 2000:
        return sorted(values)
    smaller, pivot, larger = divide(values)
    left, right = ray.get([quick_sort.remote(smaller), quick_sort.remote(larger)])
    return [*left, pivot, *right]


random.seed(1)
values = [random.randrange(10**6) for _ in range(10_000)]
assert ray.get(quick_sort.remote(list(values))) == sorted(values)

print("done")
