"""Ray's page "Starting Ray": init, its context, once more, and shutdown."""

import ray

context = ray.init(num_cpus=2, namespace="mine")
assert ray.is_initialized() and "node_ip_address" in context.address_info
assert ray.get_runtime_context().namespace == "mine"
try:
    ray.init()
except RuntimeError as error:
    assert "ignore_reinit_error" in str(error)
else:
    raise AssertionError("it ran already")
ray.init(ignore_reinit_error=True)
ref = ray.put(1)
ray.shutdown()
assert not ray.is_initialized()
ray.shutdown()  # again, without effect

with ray.init(num_cpus=1):
    assert ray.get(ray.put(2)) == 2
assert not ray.is_initialized()
try:
    ray.get(ref)
except Exception as error:
    assert "shut down" in str(error)
else:
    raise AssertionError("a reference of an ended runtime was read")

print("done")
