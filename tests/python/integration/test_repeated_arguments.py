"""A large argument that is passed to many calls: stored once, never stale, and hinted at once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

MB = 1 << 20


def pass_to_many(ray, stats, array, calls):
    """Sums from `calls` tasks, and the most bytes that the store held meanwhile."""

    @ray.remote
    def ends(values):
        return float(values[0]) + float(values[-1])

    most = 0
    refs = []
    for _ in range(calls):
        refs.append(ends.remote(array))
        most = max(most, stats()["store"]["live"])
    assert ray.get(refs) == [float(array[0]) + float(array[-1])] * calls
    return most


@pytest.mark.filterwarnings("ignore:.*is the same in many calls:RuntimeWarning")
def test_a_read_only_array_passed_to_many_tasks_is_stored_once(ray, stats):
    array = np.arange(20 * MB // 8, dtype=float)
    array.flags.writeable = False
    assert pass_to_many(ray, stats, array, 200) < array.nbytes + MB


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:.*is the same in many calls:RuntimeWarning")
def test_200_mb_passed_to_1000_tasks_are_stored_once(ray, stats):
    array = np.arange(200 * MB // 8, dtype=float)
    array.flags.writeable = False
    most = pass_to_many(ray, stats, array, 1000)
    print(f"200 MB to 1,000 tasks: at most {most / MB:.1f} MB in the store")
    assert most < array.nbytes + MB


@pytest.mark.filterwarnings("ignore:.*is the same in many calls:RuntimeWarning")
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x]], ids=["array", "list"])
def test_mutating_one_element_between_100_submits_every_task_sees_its_own_version(ray, wrap):
    """The tasks run after the last change, so that one which shared a copy would be wrong."""

    @ray.remote
    def look(value, i):
        array = value[0] if isinstance(value, list) else value
        return float(array[i]), float(array.sum())

    array = np.zeros(200_000)
    refs = []
    for i in range(100):
        array[i * 2000] = i + 1
        refs.append(look.remote(wrap(array), i * 2000))
        array[i * 2000] += 0.5  # after the submit: for the next one
    for i, ref in enumerate(refs):
        expected = sum(k + 1.5 for k in range(i)) + i + 1
        assert ray.get(ref) == (i + 1, expected)


@pytest.mark.filterwarnings("ignore:.*is the same in many calls:RuntimeWarning")
def test_a_view_that_is_read_only_over_an_array_that_is_not_is_not_believed(ray):
    @ray.remote
    def first(array):
        return float(array[0])

    array = np.zeros(200_000)
    view = array.view()
    view.flags.writeable = False
    refs = []
    for i in range(10):
        array[0] = i
        refs.append(first.remote(view))
    assert ray.get(refs) == [float(i) for i in range(10)]


def test_one_hint_names_file_and_line(ray):
    @ray.remote
    def length(array):
        return len(array)

    array = np.zeros(2 * MB // 8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        refs = []
        for _ in range(6):
            refs.append(length.remote(array))  # the line
        assert ray.get(refs) == [len(array)] * 6
    (hint,) = caught
    with open(__file__, encoding="utf-8") as file:
        assert file.read().splitlines()[hint.lineno - 1].endswith("# the line")
    assert hint.filename == __file__
    assert str(hint.message).endswith(
        "(2.1 MB) is the same in many calls; put() it once before them and pass the reference "
        "instead, then nothing has to be looked at again"
    )
