"""`live.py N KIND`: N objects of 1 KiB are put and kept. Prints one line of JSON.

It does not judge the figures, test_objects.py does. `growth` is by how many bytes this process and
what its object store takes grew meanwhile, the list of references included and the values
themselves too; `right` counts the right values afterwards. KIND is "bytes" or "array".
"""

import json
import sys

from resident import resident_bytes

import bolide as ray
from bolide import _runtime

SIZE = 1024


def main(count, kind):
    import numpy

    make = {
        "bytes": lambda i: i.to_bytes(SIZE, "little"),
        "array": lambda i: numpy.full(SIZE // 8, i),
    }[kind]
    ray.init(num_cpus=1)
    ray.get([ray.put(make(i)) for i in range(1000)])
    before = taken()
    refs = [ray.put(make(i)) for i in range(count)]
    growth = taken() - before
    right = 0
    for i, ref in enumerate(refs):
        value = ray.get(ref)
        right += len(value) * (1 if kind == "bytes" else 8) == SIZE and (
            value == make(i) if kind == "bytes" else value[0] == value[-1] == i
        )
    ray.shutdown()
    print(json.dumps({"growth": growth, "right": int(right)}))


def taken():
    store = _runtime._node.stats()["store"]
    return resident_bytes() + store["touched"]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
