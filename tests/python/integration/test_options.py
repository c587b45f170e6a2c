"""num_returns, CPUs and custom resources: counted, respected, given back."""

from __future__ import annotations

import pytest

import bolide


@pytest.fixture
def concurrency(make_latch, channel, journal):
    """`concurrency(function_options, tasks, expected)` runs tasks that all wait at a latch.

    Asserts that exactly `expected` of them come to wait, and that never more ran at a time.
    """

    def check(options, tasks, expected):
        latch = make_latch()

        @bolide.remote(**options)
        def work():
            journal.note("+")
            channel.say("in")
            latch.wait()
            journal.note("-")

        refs = [work.remote() for _ in range(tasks)]
        channel.hear(expected)
        latch.open()
        bolide.get(refs)
        channel.hear(tasks - expected)
        assert journal.highest() == expected

    return check


def test_no_returns(ray, channel):
    @ray.remote(num_returns=0)
    def act(word):
        channel.say(word)

    assert act.remote("done") is None
    assert channel.hear() == ["done"]


def test_three_returns(ray):
    @ray.remote(num_returns=3)
    def split(x):
        return x, [x], "y" * 50_000

    refs = split.remote(1)
    assert isinstance(refs, list)
    assert len(set(refs)) == 3
    assert ray.get(refs) == [1, [1], "y" * 50_000]
    assert ray.get(refs[1]) == [1]


@pytest.mark.parametrize("made", [lambda: [1, 2], lambda: iter((1, 2)), lambda: {1: 0, 2: 0}])
def test_several_returns_from_any_iterable(ray, made):
    assert ray.get(ray.remote(num_returns=2)(made).remote()) == [1, 2]


@pytest.mark.parametrize(
    ("value", "text"),
    [((1, 2), "but it returned 2"), ((1, 2, 3, 4), "but it returned 4"), (5, "returned a int")],
)
def test_a_wrong_count_is_an_error_in_every_reference(ray, value, text):
    @ray.remote(num_returns=3)
    def give():
        return value

    for ref in give.remote():
        with pytest.raises(ValueError, match=rf"num_returns=3, so it must return 3.*{text}"):
            ray.get(ref)


def test_an_error_is_in_every_reference(ray):
    @ray.remote(num_returns=2)
    def fail():
        raise KeyError("gone")

    for ref in fail.remote():
        with pytest.raises(KeyError):
            ray.get(ref)


def test_one_of_several_returns_may_be_dropped(ray):
    @ray.remote(num_returns=2)
    def pair():
        return b"a" * 300_000, b"b" * 300_000

    first, _ = pair.remote()
    del _
    assert ray.get(first) == b"a" * 300_000


def test_options_of_one_call(ray):
    @ray.remote
    def pair():
        return 1, 2

    assert ray.get(pair.remote()) == (1, 2)
    assert ray.get(pair.options(num_returns=2).remote()) == [1, 2]
    assert ray.get(pair.remote()) == (1, 2)


def test_one_cpu_each(ray, concurrency):
    concurrency({"max_retries": 0}, 6, 2)


def test_two_cpus_each(ray, concurrency):
    concurrency({"num_cpus": 2}, 4, 1)


def test_half_a_cpu_each(ray, concurrency):
    concurrency({"num_cpus": 0.5}, 8, 4)


def test_no_cpu_is_never_held_up(ray, concurrency):
    concurrency({"num_cpus": 0}, 6, 6)


def test_a_custom_resource(concurrency):
    bolide.init(num_cpus=8, resources={"licence": 3})
    concurrency({"num_cpus": 0.1, "resources": {"licence": 1}}, 7, 3)


def test_a_fraction_of_a_custom_resource(concurrency):
    bolide.init(num_cpus=8, resources={"licence": 1})
    concurrency({"num_cpus": 0, "resources": {"licence": 0.25}}, 7, 4)


def test_gpus_are_counted(concurrency):
    bolide.init(num_cpus=8, num_gpus=2)
    concurrency({"num_gpus": 1}, 5, 2)


def test_resources_are_shown_and_given_back(latch, channel):
    bolide.init(num_cpus=4, resources={"licence": 2})

    @bolide.remote(num_cpus=1.5, resources={"licence": 2})
    def hold():
        channel.say("in")
        latch.wait()

    total = bolide.cluster_resources()
    assert (total["CPU"], total["licence"]) == (4, 2)
    assert bolide.available_resources() == total
    ref = hold.remote()
    channel.hear()
    free = bolide.available_resources()
    assert free["CPU"] == 2.5
    assert "licence" not in free
    latch.open()
    bolide.get(ref)
    assert bolide.available_resources() == total


def test_different_classes_run_together(latch, channel):
    bolide.init(num_cpus=3, resources={"a": 1, "b": 1})

    @bolide.remote
    def work(name):
        channel.say(name)
        latch.wait()

    refs = [
        work.options(resources={"a": 1}).remote("a"),
        work.options(resources={"b": 1}).remote("b"),
        work.remote("plain"),
    ]
    assert sorted(channel.hear(3)) == ["a", "b", "plain"]
    latch.open()
    bolide.get(refs)


def test_a_wide_task_is_not_starved_by_narrow_ones(ray, journal):
    @ray.remote
    def narrow(i):
        return i

    @ray.remote(num_cpus=2)
    def wide():
        journal.note("wide")
        return "wide"

    refs = [narrow.remote(i) for i in range(2000)]
    ref = wide.remote()
    refs += [narrow.remote(i) for i in range(2000)]
    assert ray.get(ref) == "wide"
    assert ray.get(refs) == [*range(2000), *range(2000)]


def test_an_infeasible_task_warns_and_names_what_is_missing(ray, capsys, eventually):
    @ray.remote(resources={"unicorn": 1})
    def never():
        pass

    ref = never.remote()
    err = []

    def warned():
        err.append(capsys.readouterr().err)
        return "unicorn" in "".join(err)

    eventually(warned, True)
    with pytest.raises(bolide.exceptions.GetTimeoutError):
        ray.get(ref, timeout=0)
    ray.shutdown()  # the task would be a problem of an idle runtime
