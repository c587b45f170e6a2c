"""Ray's page "Pattern: Using resources to limit the number of concurrently running tasks"."""

import os
import tempfile

import ray

ray.init(num_cpus=4, resources={"seat": 2})
folder = tempfile.mkdtemp()


@ray.remote(num_cpus=0, resources={"seat": 1})
def sit(name):
    mine = os.path.join(folder, name)
    open(mine, "w").close()
    seen = len(os.listdir(folder))
    os.unlink(mine)
    return seen


assert max(ray.get([sit.remote(str(i)) for i in range(60)])) <= 2

print("done")
