"""ActorPool and ActorGroup: calls spread over actors, in order or as they come."""

from __future__ import annotations

import pytest

from bolide.util import ActorGroup, ActorPool


class Doubler:
    def __init__(self, factor=2):
        self.factor = factor

    def double(self, x):
        return self.factor * x

    def wait(self, gate):
        gate.wait()
        return "waited"

    def fail(self, x):
        raise ValueError(x)

    not_callable = 3


@pytest.fixture
def actors(ray):
    made = ray.remote(Doubler)
    return [made.remote(), made.remote()]


def double(actor, x):
    return actor.double.remote(x)


def wait(actor, gate):
    return actor.wait.remote(gate)


def test_map(actors):
    pool = ActorPool(actors)
    assert list(pool.map(double, range(20))) == [2 * i for i in range(20)]
    assert sorted(pool.map_unordered(double, range(20))) == [2 * i for i in range(20)]
    assert list(pool.map(double, [])) == []


def test_submit_and_get_next(actors):
    pool = ActorPool(actors)
    assert not pool.has_next()
    for i in range(5):
        pool.submit(double, i)
    assert pool.has_next()
    assert [pool.get_next() for _ in range(5)] == [0, 2, 4, 6, 8]
    with pytest.raises(StopIteration, match="No more results to get"):
        pool.get_next()
    with pytest.raises(StopIteration):
        pool.get_next_unordered()


def test_unordered_results_do_not_wait_for_a_slow_one(actors, gate):
    pool = ActorPool(actors)
    pool.submit(wait, gate)
    for i in range(3):
        pool.submit(double, i)
    assert [pool.get_next_unordered() for _ in range(3)] == [0, 2, 4]
    with pytest.raises(TimeoutError, match="Timed out waiting for result"):
        pool.get_next_unordered(timeout=0.01)
    gate.open()
    assert pool.get_next_unordered() == "waited"


def test_order_is_lost_by_get_next_unordered(actors, gate):
    pool = ActorPool(actors)
    pool.submit(wait, gate)
    pool.submit(double, 1)
    assert pool.get_next_unordered() == 2
    with pytest.raises(ValueError, match=r"not allowed to call get_next\(\) after"):
        pool.get_next()
    gate.open()
    assert pool.get_next_unordered() == "waited"


def test_timeouts(ray, actors, gate):
    pool = ActorPool(actors)
    ignored = []
    pool.submit(lambda actor, gate: ignored.append(wait(actor, gate)) or ignored[0], gate)
    pool.submit(double, 4)
    with pytest.raises(TimeoutError, match="Timed out"):
        pool.get_next(timeout=0.01)
    with pytest.raises(TimeoutError, match="has been ignored"):
        pool.get_next(timeout=0.01, ignore_if_timedout=True)
    assert pool.get_next() == 8
    gate.open()
    assert ray.get(ignored) == ["waited"]


def test_an_exception_leaves_the_pool_usable(actors):
    pool = ActorPool(actors)
    pool.submit(lambda actor, x: actor.fail.remote(x), 1)
    pool.submit(double, 4)
    with pytest.raises(ValueError):
        pool.get_next()
    assert pool.get_next() == 8
    assert list(pool.map(double, [1])) == [2]


def test_actors_come_and_go(ray, actors, gate):
    pool = ActorPool(actors[:1])
    assert pool.has_free()
    with pytest.raises(ValueError, match="Actor already belongs to current ActorPool"):
        pool.push(actors[0])
    pool.submit(wait, gate)
    pool.submit(double, 3)
    assert not pool.has_free() and pool.pop_idle() is None
    pool.push(actors[1])
    assert pool.get_next_unordered() == 6
    assert pool.pop_idle() == actors[1]
    gate.open()
    assert pool.get_next_unordered() == "waited"


def test_a_group_calls_every_actor(ray):
    group = ActorGroup(Doubler, num_actors=3, num_cpus_per_actor=0.5, init_args=(5,))
    assert len(group) == len(group.actors) == 3
    assert ray.get(group.double.remote(2)) == [10, 10, 10]
    assert ray.get(group[1].double.remote(1)) == 5
    with pytest.raises(AttributeError, match="ActorGroup has no method 'not_callable'"):
        group.not_callable  # noqa: B018
    with pytest.raises(RuntimeError, match="actors have already been started"):
        group.start()
    group.shutdown()
    assert len(group) == 0
    with pytest.raises(RuntimeError, match="has been shutdown"):
        group.double.remote(2)
    group.start()
    assert ray.get(group.double.remote(1)) == [5, 5, 5]
    group.shutdown(patience_s=0)


def test_bad_groups_are_refused(ray):
    with pytest.raises(ValueError, match="`num_actors` must be greater than 0"):
        ActorGroup(Doubler, num_actors=0)
    with pytest.raises(ValueError, match="must not be negative"):
        ActorGroup(Doubler, num_cpus_per_actor=-1)
