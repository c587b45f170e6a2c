"""Named actors, namespaces, get-or-create and detached lifetimes: Ray's page "Named Actors"."""

from __future__ import annotations

import threading

import pytest

import bolide
from bolide.exceptions import ActorAlreadyExistsError, ActorDiedError


@bolide.remote
class Counter:
    def __init__(self, value=0):
        self.value = value

    def increment(self):
        self.value += 1
        return self.value


def test_a_named_actor_is_found_by_its_name(ray):
    counter = Counter.options(name="some_name").remote()
    assert ray.get(counter.increment.remote()) == 1
    found = ray.get_actor("some_name")
    assert found == counter
    assert ray.get(found.increment.remote()) == 2


def test_the_handle_of_get_actor_keeps_the_actor_alive(ray):
    counter = Counter.options(name="some_name").remote()
    counter = ray.get_actor("some_name")
    assert ray.get([counter.increment.remote() for _ in range(3)]) == [1, 2, 3]


def test_get_actor_in_tasks_and_actors(ray):
    @ray.remote
    def increments(name):
        return ray.get(ray.get_actor(name).increment.remote())

    @ray.remote
    class Other:
        def increments(self, name):
            return ray.get(ray.get_actor(name).increment.remote())

    counter = Counter.options(name="shared").remote()
    other = Other.remote()
    assert ray.get([increments.remote("shared") for _ in range(3)]) is not None
    assert ray.get(other.increments.remote("shared")) == 4
    assert ray.get(counter.increment.remote()) == 5


def test_get_actor_of_no_name(ray):
    with pytest.raises(ValueError, match="Failed to look up actor with name 'nobody'"):
        ray.get_actor("nobody")
    with pytest.raises(ValueError, match="Please supply a non-empty name"):
        ray.get_actor("")
    with pytest.raises(ValueError, match='"" is not a valid namespace'):
        ray.get_actor("x", namespace="")

    @ray.remote
    def look():
        try:
            ray.get_actor("nobody")
        except ValueError as error:
            return str(error)

    assert "Failed to look up actor with name 'nobody'" in ray.get(look.remote())


def test_duplicate_names(ray):
    counter = Counter.options(name="taken").remote()
    with pytest.raises(ValueError, match="The name 'taken' is already taken") as caught:
        Counter.options(name="taken").remote()
    assert isinstance(caught.value, ActorAlreadyExistsError)

    @ray.remote
    def duplicate():
        try:
            Counter.options(name="taken").remote()
        except ValueError as error:
            return type(error).__name__, str(error)

    name, text = ray.get(duplicate.remote())
    assert name == "ActorAlreadyExistsError" and "The name 'taken' is already taken" in text
    assert ray.get(counter.increment.remote()) == 1
    assert ray.get_actor("taken") == counter


def test_a_name_is_free_again_after_kill(ray):
    for _ in range(3):
        counter = Counter.options(name="again").remote()
        assert ray.get(counter.increment.remote()) == 1
        ray.kill(counter)
    with pytest.raises(ValueError):
        ray.get_actor("again")


def test_a_name_is_free_again_when_the_last_handle_is_gone(ray):
    for _ in range(3):
        counter = Counter.options(name="again").remote()
        assert ray.get(counter.increment.remote()) == 1
        del counter


def test_a_name_is_free_again_when_the_actor_has_died(ray):
    @ray.remote
    class Broken:
        def __init__(self):
            raise RuntimeError("no")

        def f(self):
            pass

    for _ in range(2):
        broken = Broken.options(name="again").remote()
        with pytest.raises(ActorDiedError):
            ray.get(broken.f.remote())


def test_names_count_within_a_namespace():
    bolide.init(num_cpus=2, namespace="colors")
    orange = Counter.options(name="orange", namespace="fruit").remote(10)
    other = Counter.options(name="orange").remote(20)
    assert bolide.get_actor("orange") == other
    assert bolide.get_actor("orange", namespace="colors") == other
    assert bolide.get_actor("orange", namespace="fruit") == orange

    @bolide.remote
    def in_namespace():
        return bolide.get(bolide.get_actor("orange").increment.remote())

    assert bolide.get(in_namespace.remote()) == 21
    assert bolide.util.list_named_actors() == ["orange"]
    assert bolide.util.list_named_actors(all_namespaces=True) == [
        {"name": "orange", "namespace": "colors"},
        {"name": "orange", "namespace": "fruit"},
    ]


def test_the_anonymous_namespace_is_the_sessions_own(ray):
    first = ray.init(ignore_reinit_error=True).namespace
    assert len(first) == 36
    bolide.shutdown()
    assert ray.init(num_cpus=1).namespace != first


def test_get_if_exists(ray):
    first = Counter.options(name="g1", get_if_exists=True).remote(100)
    assert ray.get(first.increment.remote()) == 101
    second = Counter.options(name="g1", get_if_exists=True).remote(200)  # arguments are ignored
    assert second == first
    assert ray.get(second.increment.remote()) == 102

    @ray.remote
    def third():
        return ray.get(Counter.options(name="g1", get_if_exists=True).remote().increment.remote())

    assert ray.get(third.remote()) == 103


def test_get_if_exists_from_many_at_a_time(ray):
    @ray.remote(num_cpus=0)
    def make(barrier):
        actor = Counter.options(name="race", get_if_exists=True, lifetime="detached").remote()
        return actor, ray.get(actor.increment.remote())

    made = ray.get([make.remote(None) for _ in range(20)])
    assert len({actor for actor, _ in made}) == 1
    assert sorted(value for _, value in made) == list(range(1, 21))

    handles = []
    threads = [
        threading.Thread(
            target=lambda: handles.append(
                Counter.options(name="race2", get_if_exists=True).remote()
            )
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(handles)) == 1
    del handles[:]
    ray.kill(ray.get_actor("race"))


def test_detached_actors_live_without_handles(ray, stats):
    counter = Counter.options(name="detached", lifetime="detached").remote()
    assert ray.get(counter.increment.remote()) == 1
    del counter
    assert stats()["actors"] == 1
    found = ray.get_actor("detached")
    assert ray.get(found.increment.remote()) == 2
    ray.kill(found)
    with pytest.raises(ValueError):
        ray.get_actor("detached")
    assert stats()["actors"] == 0


def test_detached_actors_without_a_name(ray, stats, eventually):
    counter = Counter.options(lifetime="detached").remote()
    ray.get(counter.increment.remote())
    assert stats()["actors"] == 1
    ray.kill(counter)
    del counter
    eventually(lambda: stats()["actors"], 0)


def test_non_detached_is_the_default(ray, stats, eventually):
    counter = Counter.options(lifetime="non_detached").remote()
    assert ray.get(counter.increment.remote()) == 1
    del counter
    eventually(lambda: stats()["actors"], 0)


@pytest.mark.parametrize("name", ["a" * 2000, "nul\0", "\ud800"])
def test_names_that_cannot_be(ray, name):
    with pytest.raises(ValueError, match="name"):
        Counter.options(name=name)


def test_names_of_all_kinds(ray):
    for name in ("ä€😀", "a b", "'", "x" * 1024, "a/b\\c"):
        counter = Counter.options(name=name).remote()
        assert ray.get_actor(name) == counter
