"""Options of actors: resources, limits, and what is told of wrong ones."""

from __future__ import annotations

import pytest

import bolide
from bolide.exceptions import ActorUnschedulableError, PendingCallsLimitExceeded

from .counter import OfModule

# ---- resources


def test_an_actor_takes_a_cpu_to_be_placed_and_none_afterwards(ray):
    actors = [OfModule.remote() for _ in range(6)]
    ray.get([actor.__ray_ready__.remote() for actor in actors])
    assert ray.available_resources()["CPU"] == 2


def test_an_actor_holds_the_resources_that_it_asks_for(ray):
    actor = OfModule.options(num_cpus=1).remote()
    ray.get(actor.__ray_ready__.remote())
    assert ray.available_resources()["CPU"] == 1
    del actor


def test_an_actor_that_asks_for_custom_resources_holds_a_cpu_too():
    bolide.init(num_cpus=2, resources={"disk": 1})
    actor = OfModule.options(resources={"disk": 1}).remote()
    bolide.get(actor.__ray_ready__.remote())
    assert bolide.available_resources().get("disk") is None
    assert bolide.available_resources()["CPU"] == 1
    waits = OfModule.options(resources={"disk": 1}).remote()
    ref = waits.increment.remote()
    assert bolide.wait([ref], timeout=0.2) == ([], [ref])
    bolide.kill(actor)
    assert bolide.get(ref) == 1


def test_an_actor_waits_while_resources_are_short(ray, latch, channel):
    @ray.remote(num_cpus=2)
    def holds():
        channel.say("holding")
        latch.wait()

    task = holds.remote()
    channel.hear()
    counter = OfModule.remote()
    ref = counter.increment.remote()
    assert ray.wait([ref], timeout=0.2) == ([], [ref])
    latch.open()
    assert ray.get([ref, task]) == [1, None]


def test_an_actor_that_can_never_be_placed_fails_with_a_sentence(ray):
    actor = OfModule.options(num_gpus=4).remote()
    with pytest.raises(ActorUnschedulableError, match="The actor 'OfModule' .* needs 1 CPU, 4 GPU"):
        ray.get(actor.increment.remote())


# ---- options


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_concurrency": 0}, ValueError, "max_concurrency is 0"),
        ({"max_restarts": -2}, ValueError, "max_restarts is -2"),
        ({"max_restarts": "1"}, TypeError, "max_restarts is '1'"),
        ({"lifetime": "forever"}, ValueError, "actor `lifetime` is 'forever'"),
        ({"name": ""}, ValueError, "name cannot be an empty string"),
        ({"namespace": ""}, ValueError, "namespace is ''"),
        ({"get_if_exists": True}, ValueError, "The actor name must be specified to use"),
        ({"max_retries": 1}, ValueError, "max_retries is an option of tasks"),
        ({"nonsense": 1}, ValueError, "'nonsense' is not an option of an actor"),
        ({"max_concurrency": 2, "allow_out_of_order_execution": False}, ValueError, "in order"),
        ({"concurrency_groups": {"io": 1}}, ValueError, "not supported in '.options()'"),
    ],
)
def test_wrong_options(options, error, text):
    with pytest.raises(error) as caught:
        OfModule.options(**options)
    assert text in str(caught.value)


def test_wrong_options_of_the_decorator_are_told_at_once():
    with pytest.raises(ValueError, match="max_restarts is -2"):
        bolide.remote(max_restarts=-2)
    with pytest.raises(ValueError, match="num_cpus is -1"):
        bolide.remote(num_cpus=-1)
    with pytest.raises(ValueError, match="max_restarts is an option of actors and not of a task"):
        bolide.remote(max_restarts=1)(lambda: 1)


def test_options_override_the_decorators_one_by_one(ray):
    @ray.remote(num_cpus=2, max_restarts=3)
    class Heavy:
        def f(self):
            return 1

    light = Heavy.options(num_cpus=0).remote()
    assert ray.get(light.f.remote()) == 1
    assert ray.available_resources()["CPU"] == 2
    assert Heavy.options(num_cpus=0)._ray_options.max_restarts == 3


def test_max_pending_calls(ray, latch):
    @ray.remote(max_pending_calls=2)
    class Slow:
        def wait(self, latch):
            latch.wait()

    slow = Slow.remote()
    refs = [slow.wait.remote(latch), slow.wait.remote(latch)]
    with pytest.raises(PendingCallsLimitExceeded, match="has 2 pending calls of this process"):
        slow.wait.remote(latch)

    @ray.remote
    def calls(slow):
        mine = [slow.wait.remote(latch), slow.wait.remote(latch)]  # each process has its own limit
        try:
            slow.wait.remote(latch)
        except PendingCallsLimitExceeded as error:
            return str(error), mine

    text, others = ray.get(calls.remote(slow))
    assert "The actor 'Slow' has 2 pending calls of this process" in text
    latch.open()
    ray.get([*refs, *others])
    ray.get(slow.wait.remote(latch))


@pytest.mark.parametrize("overtakes", [False, True])
def test_allow_out_of_order_execution(ray, latch, overtakes):
    @ray.remote(allow_out_of_order_execution=overtakes)
    class Lists:
        def __init__(self):
            self.items = []

        def add(self, item):
            self.items.append(item)
            return self.items

    @ray.remote
    def wait(item):
        latch.wait()
        return item

    lists = Lists.remote()
    first, second = lists.add.remote(wait.remote("first")), lists.add.remote("second")
    if overtakes:
        assert ray.get(second) == ["second"]
        latch.open()
        assert ray.get(first) == ["second", "first"]
    else:
        assert ray.wait([second], timeout=0.2) == ([], [second])
        latch.open()
        assert ray.get([first, second]) == [["first"], ["first", "second"]]


def test_options_without_a_meaning_here_are_accepted(ray):
    @ray.remote(enable_task_events=False)
    class Quiet:
        @ray.method(enable_task_events=False)
        def f(self):
            return 1

    quiet = Quiet.remote()
    assert ray.get([quiet.f.remote(), quiet.f.options(enable_task_events=True).remote()]) == [1, 1]


def test_a_limit_of_no_pending_calls_refuses_all(ray):
    counter = OfModule.options(max_pending_calls=0).remote()
    with pytest.raises(PendingCallsLimitExceeded, match="has 0 pending calls"):
        counter.increment.remote()
