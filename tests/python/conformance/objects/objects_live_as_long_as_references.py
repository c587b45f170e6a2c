"""Ray's page "Memory Management": an object lives while a reference does, wherever that is."""

import ray

ray.init(num_cpus=2)


@ray.remote
class Keeper:
    def keep(self, refs):
        self.refs = refs

    def value(self):
        return ray.get(self.refs[0])


@ray.remote
def use(refs):
    return ray.get(refs[0]) + 1


def reader_of(ref):
    return ray.remote(lambda: ray.get(ref))


keeper = Keeper.remote()
ref = ray.put(41)
ray.get(keeper.keep.remote([ref]))
used = use.remote([ref])
from_closure = reader_of(ref).remote()
del ref
assert ray.get([used, from_closure, keeper.value.remote()]) == [42, 41, 41]
inner = ray.put([ray.put("inner")])
assert ray.get(ray.get(inner)[0]) == "inner"

print("done")
