"""Metrics: counters, gauges, histograms, from all processes; their text; wrong use."""

from __future__ import annotations

import pickle

import pytest

import bolide
from bolide.util.metrics import Counter, Gauge, Histogram, exposition


def test_a_counter_counts_in_all_processes(ray):
    counter = Counter("requests", "Requests so far.", tag_keys=("route",))

    @ray.remote
    def serve(route, n):
        for _ in range(n):
            counter.inc(tags={"route": route})

    counter.inc(0.5, {"route": "/b"})
    ray.get([serve.remote("/a", 2), serve.remote("/a", 1), serve.remote("/b", 4)])
    assert exposition() == (
        "# HELP requests Requests so far.\n"
        "# TYPE requests counter\n"
        'requests{route="/a"} 3\n'
        'requests{route="/b"} 4.5\n'
    )


def test_a_gauge_is_what_was_set_last(ray):
    gauge = Gauge("depth")

    @ray.remote
    class Queue:
        def __init__(self):
            self.gauge = Gauge("depth")

        def set(self, value):
            self.gauge.set(value)

    gauge.set(3)
    queue = Queue.remote()
    ray.get([queue.set.remote(5), queue.set.remote(2.25)])
    assert exposition() == "# TYPE depth gauge\ndepth 2.25\n"
    gauge.set(None)
    gauge.set(-1)
    assert "depth -1\n" in exposition()


def test_a_histogram_counts_by_size(ray):
    histogram = Histogram("took", "Seconds.", boundaries=[0.1, 1, 10], tag_keys=("of",))
    for value in (0.05, 0.1, 0.5, 50):
        histogram.observe(value, tags={"of": "x"})
    assert exposition() == (
        "# HELP took Seconds.\n"
        "# TYPE took histogram\n"
        'took_bucket{of="x",le="0.1"} 2\n'
        'took_bucket{of="x",le="1"} 3\n'
        'took_bucket{of="x",le="10"} 3\n'
        'took_bucket{of="x",le="+Inf"} 4\n'
        'took_count{of="x"} 4\n'
        'took_sum{of="x"} 50.65\n'
    )
    assert histogram.info["boundaries"] == [0.1, 1, 10]


def test_default_tags_and_what_a_change_says(ray):
    counter = Counter("c", tag_keys=("a", "b")).set_default_tags({"a": "1"})
    counter.inc(tags={"b": "2"})
    counter.inc(tags={"b": 'quo"te\n', "a": "3"})
    assert exposition() == '# TYPE c counter\nc{a="1",b="2"} 1\nc{a="3",b="quo\\"te\\n"} 1\n'
    assert counter.info == {
        "name": "c",
        "description": "",
        "tag_keys": ("a", "b"),
        "default_tags": {"a": "1"},
    }


def test_metrics_travel(ray):
    for metric in (Counter("c"), Gauge("g", "d", ("k",)), Histogram("h", boundaries=[1])):
        copy = pickle.loads(pickle.dumps(metric.set_default_tags({})))
        assert copy.info == metric.info


def test_a_session_begins_without_metrics(ray):
    Counter("c").inc()
    ray.shutdown()
    ray.init(num_cpus=1)
    assert exposition() == ""


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: Counter(""), ValueError, "Empty name is not allowed"),
        (lambda: Counter("a b"), ValueError, "has other characters than letters"),
        (lambda: Counter("a", 3), TypeError, "description must be str"),
        (lambda: Counter("a", tag_keys="k"), TypeError, "tag_keys should be a tuple type"),
        (lambda: Counter("a", tag_keys=(1,)), TypeError, "Tag keys must be str"),
        (lambda: Gauge("a").set_default_tags({"k": "v"}), ValueError, "Unrecognized tag key k"),
        (lambda: Counter("a").inc(0), ValueError, "value must be >0, got 0"),
        (lambda: Counter("a").inc("1"), TypeError, "value must be int or float"),
        (lambda: Counter("a").inc(tags={"k": "v"}), ValueError, "Unrecognized tag key"),
        (lambda: Gauge("a", tag_keys=("k",)).set(1), ValueError, "Missing value for tag key"),
        (lambda: Gauge("a", tag_keys=("k",)).set(1, {"k": 1}), TypeError, "Tag values must be str"),
        (lambda: Histogram("a"), ValueError, "boundaries argument should be provided"),
        (lambda: Histogram("a", boundaries=[0, 1]), ValueError, "at index 0, 0. Use positive"),
        (lambda: Histogram("a", boundaries=[2, 1]), ValueError, "must be ascending"),
    ],
)
def test_wrong_use_is_told(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()


def test_local_mode_has_metrics(local):
    @local.remote
    def count():
        Counter("c").inc()

    bolide.get([count.remote() for _ in range(3)])
    assert exposition() == "# TYPE c counter\nc 3\n"
