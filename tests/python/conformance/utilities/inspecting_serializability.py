"""Ray's page "Serialization", troubleshooting and custom serializers."""

import io
import threading

import ray
from ray.util import deregister_serializer, inspect_serializability, register_serializer

lock = threading.Lock()


def test():
    print(lock)


out = io.StringIO()
serializable, failures = inspect_serializability(test, name="test", print_file=out)
assert not serializable
assert [failure.name for failure in failures] == ["lock"]
assert "non-serializable" in out.getvalue()


class A:
    def __init__(self, x):
        self.x = x
        self.lock = threading.Lock()  # could not be serialized!


try:
    ray.get(ray.put(A(1)))  # fail!
except TypeError:
    pass


def custom_serializer(a):
    return a.x


def custom_deserializer(b):
    return A(b)


# Register serializer and deserializer for class A:
register_serializer(A, serializer=custom_serializer, deserializer=custom_deserializer)
assert ray.get(ray.put(A(1))).x == 1  # success!

# You can deregister the serializer at any time.
deregister_serializer(A)
try:
    ray.get(ray.put(A(1)))  # fail!
except TypeError:
    print("done")
