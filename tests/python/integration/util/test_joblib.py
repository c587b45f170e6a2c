"""joblib's Parallel, and scikit-learn, on bolide's backend: results are joblib's own."""

from __future__ import annotations

import multiprocessing
import os
import threading

import numpy
import pytest

joblib = pytest.importorskip("joblib")
try:  # here, because it starts threads that stay
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
except ImportError:
    GridSearchCV = None

import bolide.integrations.joblib  # noqa: E402
from bolide.util.joblib import register_ray  # noqa: E402

from . import calls  # noqa: E402

pytestmark = pytest.mark.dev


@pytest.fixture(scope="module", autouse=True)
def threads_of_libraries():
    """BLAS and OpenMP start threads at their first use, which stay: before any test is watched."""
    if GridSearchCV is not None:
        LogisticRegression().fit(*make_classification(n_samples=2000, random_state=0))


@pytest.fixture(autouse=True)
def registered(ray):
    register_ray()


@pytest.mark.parametrize("name", ["ray", "bolide"])
def test_results_are_in_order(name):
    with joblib.parallel_config(backend=name, n_jobs=2):
        results = joblib.Parallel()(joblib.delayed(calls.square)(i) for i in range(500))
    assert results == [i * i for i in range(500)]


def test_an_instance_is_a_backend_too():
    backend = bolide.integrations.joblib.BolideBackend()
    with joblib.parallel_config(backend=backend, n_jobs=2):
        assert joblib.Parallel()(joblib.delayed(abs)(-i) for i in range(5)) == list(range(5))


def test_calls_run_in_workers():
    with joblib.parallel_backend("ray"):
        pids = set(joblib.Parallel()(joblib.delayed(calls.pid)() for _ in range(50)))
    assert os.getpid() not in pids


@pytest.mark.parametrize("kind", ["generator", "generator_unordered"])
def test_results_as_they_come(kind):
    with joblib.parallel_config(backend="bolide", n_jobs=2):
        results = joblib.Parallel(return_as=kind)(
            joblib.delayed(calls.square)(i) for i in range(100)
        )
        assert sorted(results) == [i * i for i in range(100)]


def test_an_exception_ends_the_call_and_the_next_works():
    with joblib.parallel_config(backend="bolide", n_jobs=2):
        with pytest.raises(ValueError) as caught:
            joblib.Parallel()(joblib.delayed(calls.fail_at)(i, 7) for i in range(100))
        assert type(caught.value) is ValueError
        with joblib.Parallel() as parallel:
            with pytest.raises(ValueError):
                parallel(joblib.delayed(calls.fail_at)(i, 7) for i in range(100))
            assert parallel(joblib.delayed(calls.square)(i) for i in range(3)) == [0, 1, 4]


def test_a_timeout(gate):
    with joblib.parallel_config(backend="bolide", n_jobs=2):
        with pytest.raises(multiprocessing.TimeoutError):
            joblib.Parallel(timeout=0.05)(joblib.delayed(calls.wait_at)(gate) for _ in range(3))
    gate.open()


def test_functions_of_scripts_are_sent():
    offset = 5
    with joblib.parallel_config(backend="bolide", n_jobs=2):
        results = joblib.Parallel()(joblib.delayed(lambda x: x + offset)(i) for i in range(5))
    assert results == [5, 6, 7, 8, 9]


def test_large_arguments_are_stored_once(stats):
    data = numpy.arange(1_000_000.0)

    def total(array, i, *, other):
        assert not array.flags.writeable  # it is the store's
        return float(array.sum() + other[i])

    with joblib.parallel_config(backend="bolide", n_jobs=2):
        results = joblib.Parallel()(joblib.delayed(total)(data, i, other=data) for i in range(40))
    assert results == [data.sum() + i for i in range(40)]


def test_calls_may_be_nested():
    def inner(x):
        return joblib.Parallel(n_jobs=2)(joblib.delayed(calls.square)(x + i) for i in range(3))

    with joblib.parallel_config(backend="bolide", n_jobs=2):
        results = joblib.Parallel()(joblib.delayed(inner)(i) for i in range(3))
    assert results == [[0, 1, 4], [1, 4, 9], [4, 9, 16]]


def blas_threads():
    import threadpoolctl

    found = threadpoolctl.threadpool_info()
    return os.environ["OMP_NUM_THREADS"], {i["num_threads"] for i in found}


@pytest.mark.parametrize("inner", [1, 3])
def test_threads_of_libraries_are_limited(inner):
    pytest.importorskip("threadpoolctl")
    before = os.environ.get("OMP_NUM_THREADS")
    with joblib.parallel_config(backend="bolide", n_jobs=2, inner_max_num_threads=inner):
        for said, threads in joblib.Parallel()(joblib.delayed(blas_threads)() for _ in range(4)):
            assert said == str(inner) and threads <= {inner}
    assert os.environ.get("OMP_NUM_THREADS") == before
    after = bolide.get(bolide.remote(lambda: os.environ.get("OMP_NUM_THREADS")).remote())
    assert after == before


def test_n_jobs(ray):
    count = bolide.integrations.joblib.BolideBackend().effective_n_jobs
    assert [count(5), count(-1), count(-2), count(-9), count(None)] == [5, 2, 1, 1, 1]
    with pytest.raises(ValueError, match="n_jobs == 0 in Parallel has no meaning"):
        count(0)


def test_its_thread_ends_with_the_call():
    with joblib.parallel_config(backend="bolide", n_jobs=2):
        joblib.Parallel()(joblib.delayed(abs)(i) for i in range(3))
    for thread in threading.enumerate():
        if thread.name == "bolide-joblib":
            thread.join(45)
            assert not thread.is_alive()


@pytest.mark.skipif(GridSearchCV is None, reason="scikit-learn is not installed")
def test_grid_search_gives_what_it_gives_elsewhere():
    x, y = make_classification(n_samples=2000, n_features=20, random_state=0)

    def scores(**options):
        search = GridSearchCV(LogisticRegression(), {"C": [0.01, 0.1, 1, 10]}, cv=5)
        with joblib.parallel_config(**options):
            search.fit(x, y)
        return search.best_params_, search.cv_results_["mean_test_score"].tolist()

    assert scores(backend="ray", n_jobs=2) == scores(backend="sequential")
