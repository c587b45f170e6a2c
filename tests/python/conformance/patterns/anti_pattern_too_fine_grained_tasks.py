"""Ray's page "Anti-pattern: Over-parallelizing with too fine-grained tasks harms speedup".

Many tiny tasks and few that take a batch each give the same.
"""

import ray

ray.init(num_cpus=2)


@ray.remote
def double(number):
    return number * 2


@ray.remote
def double_many(numbers):
    return [number * 2 for number in numbers]


numbers = list(range(5_000))
tiny = ray.get([double.remote(number) for number in numbers])
batches = ray.get([double_many.remote(numbers[i : i + 500]) for i in range(0, 5_000, 500)])
assert tiny == [number for batch in batches for number in batch] == [2 * n for n in numbers]

print("done")
