"""Ray's page "Actors".

Classes and methods that are called without remote.
"""

import ray


@ray.remote
class Plain:
    def method(self):
        return 1


ray.init(num_cpus=1)
plain = Plain.remote()
for use, text in (
    (lambda: Plain(), "Actors cannot be instantiated directly"),
    (lambda: plain.method(), "Actor methods cannot be called directly"),
    (lambda: plain.method.remote(1), "too many positional arguments"),
):
    try:
        use()
    except TypeError as error:
        assert text in str(error), error
    else:
        raise AssertionError(text)
try:
    plain.nothing  # noqa: B018  (that it raises is the test)
except AttributeError:
    pass
assert ray.get(plain.method.remote()) == 1

print("done")
