"""Ray's page "AsyncIO / Concurrency for Actors".

await ref, asyncio.wait, asyncio.wrap_future(ref.future()), concurrent.futures.
"""

import asyncio
import concurrent.futures

import ray


@ray.remote
def double(x):
    return 2 * x


@ray.remote
def fail():
    raise KeyError("no")


async def main():
    assert await double.remote(1) == 2
    done, pending = await asyncio.wait(
        [asyncio.wrap_future(double.remote(i).future()) for i in (2, 3)]
    )
    assert sorted(task.result() for task in done) == [4, 6] and not pending
    assert await asyncio.gather(*(double.remote(i) for i in range(5))) == [0, 2, 4, 6, 8]
    try:
        await fail.remote()
    except KeyError:
        return True


ray.init(num_cpus=2)
assert asyncio.run(main())
futures = [double.remote(i).future() for i in range(4)]
results = [future.result() for future in concurrent.futures.as_completed(futures)]
assert sorted(results) == [0, 2, 4, 6]

print("done")
