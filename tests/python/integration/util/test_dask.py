"""Dask's graphs on bolide: results are Dask's own, hooks are called, persist keeps references."""

from __future__ import annotations

import operator

import numpy
import pytest

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
try:
    import pandas
    from dask import dataframe as dd
except ImportError:
    dd = None

import bolide  # noqa: E402
from bolide.util.dask import (  # noqa: E402
    ProgressBarCallback,
    RayDaskCallback,
    dataframe_optimize,
    disable_dask_on_ray,
    enable_dask_on_ray,
    ray_dask_get,
    ray_dask_get_sync,
    ray_dask_persist,
)

needs_frames = pytest.mark.skipif(dd is None, reason="dask.dataframe is not installed")
pytestmark = [pytest.mark.dev, pytest.mark.usefixtures("ray")]


@pytest.fixture
def enabled():
    with enable_dask_on_ray():
        yield


def numbers():
    return da.arange(10_000, chunks=1000).reshape(100, 100)


def frame():
    table = pandas.DataFrame({"key": [i % 7 for i in range(1000)], "x": range(1000)})
    table["word"] = table["key"].map("w{}".format)
    return dd.from_pandas(table, npartitions=6)


@pytest.mark.parametrize("scheduler", [ray_dask_get, ray_dask_get_sync])
def test_old_graphs(scheduler):
    graph = {"x": 1, "y": 2, "z": (operator.add, "x", "y"), "w": (sum, ["x", "y", "z"])}
    graph["alias"] = "w"
    assert scheduler(graph, "w") == 6
    assert scheduler(graph, ["alias", ["x", "z"]]) == (6, (1, 3))


def test_delayed():
    @dask.delayed
    def add(x, y=0):
        return x + y

    total = add(add(1, 2), y=add(3))
    assert total.compute(scheduler=ray_dask_get) == 6
    assert dask.compute(add(1), {"a": add(2)}, scheduler=ray_dask_get) == (1, {"a": 2})


@pytest.mark.parametrize(
    "compute",
    [
        lambda a: a + a.T,
        lambda a: a.sum(axis=0),
        lambda a: a.dot(a.T).mean(),
        lambda a: da.linalg.qr(a.rechunk((20, 100)).astype(float))[1],
        lambda a: a[a > 500],
        lambda a: da.map_blocks(lambda b: b * 2, a).cumsum(axis=1),
        lambda a: da.random.default_rng(5).normal(size=(100, 10), chunks=20),
    ],
    ids=["transpose", "sum", "dot", "qr", "mask", "map_blocks", "random"],
)
def test_arrays(enabled, compute):
    lazy = compute(numbers())
    numpy.testing.assert_array_equal(lazy.compute(), lazy.compute(scheduler="sync"))


@needs_frames
@pytest.mark.parametrize(
    "compute",
    [
        lambda f: f.groupby("key").x.sum(),
        lambda f: f.x.mean(),
        lambda f: f.merge(f[f.x < 20], on="key").sort_values(["x_x", "x_y"]),
        lambda f: f.set_index("x", npartitions=3).loc[100:200],
        lambda f: f.shuffle("key").map_partitions(len),
        lambda f: f.groupby("word").x.max(),
        lambda f: f.assign(y=f.x * 2)[f.key == 3],
    ],
    ids=["groupby", "mean", "merge", "set_index", "shuffle", "strings", "assign"],
)
def test_frames(enabled, compute):
    ours = compute(frame()).compute()
    theirs = compute(frame()).compute(scheduler="sync")
    if hasattr(theirs, "reset_index"):
        assert ours.equals(theirs)
    else:
        assert ours == theirs


def test_tasks_run_in_workers(enabled):
    import os

    assert os.getpid() not in dask.compute(*[dask.delayed(os.getpid)() for _ in range(8)])


def test_enabling_and_disabling():
    before = dask.config.get("scheduler", None)
    with enable_dask_on_ray(shuffle="disk"):
        assert dask.config.get("scheduler") is ray_dask_get
        assert dask.config.get("dataframe.shuffle.method") == "disk"
        with disable_dask_on_ray():
            assert dask.config.get("scheduler") is None
    assert dask.config.get("scheduler", None) is before


def test_an_exception_is_raised(enabled):
    @dask.delayed
    def fail(x):
        raise KeyError(x)

    with pytest.raises(KeyError) as caught:
        (fail(1) + 1).compute()
    assert isinstance(caught.value, bolide.exceptions.RayTaskError)


def test_persist_leaves_results_in_the_store(enabled):
    from bolide.util.dask._scheduler import kept_ref

    array = numbers() + 1
    for kept in (array.persist(), dask.persist(array)[0], ray_dask_persist(array)[0]):
        graph = kept.__dask_graph__()
        refs = [kept_ref(graph[key]) for key in dask.core.flatten(kept.__dask_keys__())]
        assert refs and all(isinstance(ref, bolide.ObjectRef) for ref in refs)
        assert kept.sum().compute() == sum(range(10_000)) + 10_000
        assert kept.sum().compute(scheduler="sync") == sum(range(10_000)) + 10_000
        numpy.testing.assert_array_equal(kept.compute(), numpy.arange(10_000).reshape(100, 100) + 1)


@needs_frames
def test_persist_of_frames(enabled):
    kept = frame().assign(y=1).persist()
    assert kept.y.sum().compute() == 1000


def test_persist_of_others_is_dasks_own():
    kept = (numbers() + 1).persist(scheduler="sync")
    assert kept.sum().compute(scheduler="sync") == sum(range(10_000)) + 10_000


def test_options_of_tasks(enabled):
    read = dask.delayed(lambda: bolide.get_runtime_context().get_assigned_resources())
    assert dask.compute(read(), ray_remote_args={"num_cpus": 0.5})[0]["CPU"] == 0.5
    with dask.annotate(ray_remote_args={"num_cpus": 0.25}):
        annotated = read()
    assert annotated.compute()["CPU"] == 0.25


def test_hooks_are_called(channel):
    calls = []

    class Watcher(RayDaskCallback):
        def _ray_presubmit(self, task, key, deps):
            calls.append(("presubmit", key, sorted(deps)))

        def _ray_postsubmit(self, task, key, deps, object_ref):
            assert isinstance(object_ref, bolide.ObjectRef)
            calls.append(("postsubmit", key))

        def _ray_pretask(self, key, values):
            channel.say(f"pre {key} {values}")
            return 5

        def _ray_posttask(self, key, result, pre_state):
            channel.say(f"post {key} {result} {pre_state}")

        def _ray_postsubmit_all(self, object_refs, dsk):
            calls.append(("all", len(object_refs)))

        def _ray_finish(self, result):
            calls.append(("finish", result))

    graph = {"x": 1, "y": (operator.add, "x", 2)}
    with Watcher():
        assert ray_dask_get(graph, ["y"]) == (3,)
    assert calls == [
        ("presubmit", "y", ["x"]), ("postsubmit", "y"), ("all", 1), ("finish", (3,)),
    ]  # fmt: skip
    assert channel.hear(2) == ["pre y (1,)", "post y 3 5"]
    ray_dask_get(graph, "y")
    assert len(calls) == 4


def test_a_hook_may_give_the_result():
    graph = {"x": 1, "y": (operator.add, "x", 2), "z": (operator.add, "y", 1)}
    callback = RayDaskCallback(ray_presubmit=lambda task, key, deps: 10 if key == "y" else None)
    assert ray_dask_get(graph, "z", ray_callbacks=[callback]) == 11
    callback.register()
    try:
        assert ray_dask_get(graph, "z") == 11
    finally:
        callback.unregister()
    assert ray_dask_get(graph, "z") == 4
    with pytest.raises(TypeError, match="Callbacks must be RayDaskCallbacks, but one is 5"):
        ray_dask_get(graph, "z", ray_callbacks=[5])


def test_dasks_own_callbacks_are_called():
    heard = []
    callback = dask.callbacks.Callback(
        start=lambda dsk: heard.append("start"),
        pretask=lambda key, dsk, state: heard.append(key),
        posttask=lambda key, result, dsk, state, worker: heard.append(key),
        finish=lambda dsk, state, failed: heard.append(failed),
    )
    with callback:
        ray_dask_get({"y": (operator.add, 1, 2)}, "y")
    assert heard == ["start", "y", "y", False]


def test_progress_is_counted(capsys, monkeypatch):
    tqdm = pytest.importorskip("tqdm")
    monkeypatch.setattr(tqdm.tqdm, "monitor_interval", 0)  # or it starts a thread that stays
    with ProgressBarCallback() as callback:
        (numbers() + 1).sum().compute(scheduler=ray_dask_get, _ray_enable_progress_bar=True)
    submitted, finished = bolide.get(callback.pb.result.remote())
    assert submitted == finished > 1
    report = bolide.get(callback.pb.report.remote())
    assert len(report["submission_order"]) == submitted and len(report) == submitted + 1
    captured = capsys.readouterr()
    assert "All tasks are completed." in captured.out and "100%" in captured.err


def test_optimizing_culls():
    graph = {"x": 1, "y": (operator.add, "x", 2), "z": (operator.add, "x", 1)}
    assert set(dataframe_optimize(graph, ["y"])) == {"x", "y"}


def test_an_executor_is_a_scheduler():
    with bolide.Executor() as executor:
        total = (numbers() + 1).sum()
        assert total.compute(scheduler=executor) == sum(range(10_000)) + 10_000
        (found,) = dask.compute(dask.delayed(sum)([1, 2]), scheduler=executor)
        assert found == 3
