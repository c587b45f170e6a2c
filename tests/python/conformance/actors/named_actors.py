"""Ray's page "Named Actors".

get_actor, namespaces, get_if_exists and names that are taken.
"""

import ray


@ray.remote
class Greeter:
    def __init__(self, word="hello"):
        self.word = word

    def greet(self):
        return self.word


@ray.remote
def greet_from_a_task():
    return ray.get(ray.get_actor("greeter").greet.remote())


def fails(use, text):
    try:
        use()
    except ValueError as error:
        assert text in str(error), error
        return
    raise AssertionError(text)


ray.init(num_cpus=2, namespace="colours")
greeter = Greeter.options(name="greeter").remote()
assert ray.get(ray.get_actor("greeter").greet.remote()) == "hello"
assert ray.get(greet_from_a_task.remote()) == "hello"
fails(lambda: Greeter.options(name="greeter").remote(), "already taken")
same = Greeter.options(name="greeter", get_if_exists=True).remote("not made")
assert ray.get(same.greet.remote()) == "hello"
other = Greeter.options(name="greeter", namespace="fruit").remote("orange")
assert ray.get(ray.get_actor("greeter", namespace="fruit").greet.remote()) == "orange"
fails(lambda: ray.get_actor("nobody"), "Failed to look up actor with name 'nobody'")
fails(lambda: ray.get_actor("greeter", namespace="empty"), "Failed to look up actor")
assert ray.util.list_named_actors() == ["greeter"]
assert len(ray.util.list_named_actors(all_namespaces=True)) == 2

print("done")
