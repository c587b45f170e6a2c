"""Ray's page "Distributed multiprocessing.Pool": the interface of the standard library's Pool."""

import ray
from ray.util.multiprocessing import Pool


def f(index):
    return index


pool = Pool(2)
assert pool.map(f, range(100)) == list(range(100))
assert pool.apply(f, (5,)) == 5
assert sorted(pool.imap_unordered(f, range(20))) == list(range(20))
assert pool.starmap_async(pow, [(2, 3)]).get() == [8]
pool.close()
pool.join()
assert ray.cluster_resources()["CPU"] == 2
print("done")
