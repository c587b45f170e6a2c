"""Ray's page "Anti-pattern: Serialize ray.ObjectRef out of band": it is kept, with one warning."""

import pickle
import warnings

import ray

ray.init(num_cpus=1)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    data = pickle.dumps(ray.put("kept"))
assert ray.get(pickle.loads(data)) == "kept"

print("done")
