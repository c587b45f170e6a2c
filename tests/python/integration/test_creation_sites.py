"""Where objects were made: recorded when asked for, and said in errors about memory."""

from __future__ import annotations

import numpy
import pytest

import bolide
from bolide import exceptions

MIB = 1 << 20
HERE = __file__


def line_of(marker):
    """The number of the line of this file that ends with that comment."""
    with open(HERE) as file:
        [number] = [n for n, line in enumerate(file, 1) if line.rstrip().endswith(f"# {marker}")]
    return number


def said_by_a_full_store():
    """The sentence about what takes the room, by someone for whom there is none."""
    with pytest.raises(exceptions.ObjectStoreFullError) as caught:
        bolide.put(numpy.ones(6 * MIB))
    return str(caught.value)


@pytest.fixture
def recorded(leaves_nothing, tmp_path, monkeypatch):
    monkeypatch.setenv("BOLIDE_RECORD_REF_CREATION_SITES", "on")
    bolide.init(num_cpus=2, object_store_memory=64 * MIB, object_spilling_directory=str(tmp_path))
    yield bolide
    bolide.shutdown()


@bolide.remote
def make(mib):
    return numpy.ones(mib * MIB // 8)


@bolide.remote
def put_nested(mib):
    return [bolide.put(numpy.ones(mib * MIB // 8))]  # in a worker


@bolide.remote(num_returns=2)
def make_two(mib):
    return numpy.ones(mib * MIB // 8), 1


@bolide.remote(_generator_backpressure_num_objects=1)
def hold(array):
    yield "begun"
    yield array.size
    yield array.size


@bolide.remote
class Maker:
    def make(self, mib):
        return numpy.ones(mib * MIB // 8)


def test_put_tasks_methods_and_workers_are_named(recorded):
    put = bolide.put(numpy.ones(16 * MIB // 8))  # by put
    task = make.remote(12)  # by a task
    viewed = bolide.get([put, task])
    sentence = said_by_a_full_store()
    where = "test_put_tasks_methods_and_workers_are_named"
    assert f"made by put() at {HERE}:{line_of('by put')} in {where}" in sentence
    assert f"made by make.remote() at {HERE}:{line_of('by a task')} in {where}" in sentence
    assert "BOLIDE_RECORD_REF_CREATION_SITES" not in sentence
    del put, task, viewed

    actor = Maker.remote()
    method = actor.make.remote(16)  # by a method
    inner = bolide.get(put_nested.remote(12))[0]
    several = make_two.remote(9)  # by one of two
    viewed = bolide.get([method, inner, several[0]])
    sentence = said_by_a_full_store()
    assert f"made by Maker.make.remote() at {HERE}:{line_of('by a method')} in {where}" in sentence
    assert f"made by put() at {HERE}:{line_of('in a worker')} in put_nested" in sentence
    assert f"made by make_two.remote() at {HERE}:{line_of('by one of two')} in {where}" in sentence
    del viewed


def test_a_large_argument_is_named(recorded):
    items = hold.remote(numpy.ones(4 * MIB))  # as an argument
    next(items)  # it has begun, and waits now for the next to be taken
    sentence = said_by_a_full_store()
    assert f"made by argument 'array' of 'hold' at {HERE}:{line_of('as an argument')}" in sentence
    assert [bolide.get(item) for item in items] == [4 * MIB, 4 * MIB]


def test_without_the_variable_the_sentence_names_it(leaves_nothing):
    bolide.init(num_cpus=1, object_store_memory=64 * MIB)
    viewed = bolide.get(bolide.put(numpy.ones(4 * MIB)))
    sentence = said_by_a_full_store()
    assert "made by" not in sentence
    assert sentence.endswith(
        "Start with BOLIDE_RECORD_REF_CREATION_SITES=on in the environment to be told where they "
        "were made"
    )
    del viewed
    bolide.shutdown()
