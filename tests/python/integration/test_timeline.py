"""`timeline()`: Ray's page "ray.timeline"; the format is Chrome's."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

import bolide


@pytest.fixture
def recorded(monkeypatch):
    """A runtime that records."""
    monkeypatch.setenv("BOLIDE_TIMELINE", "on")
    bolide.init(num_cpus=2)


@bolide.remote
def inner():
    return 1


@bolide.remote
def outer():
    return bolide.get(inner.remote())


def test_tasks_and_what_they_call_are_in_it(recorded, tmp_path):
    before = time.time() * 1e6
    ref = outer.remote()
    assert bolide.get(ref) == 1
    with pytest.raises(ZeroDivisionError):
        bolide.get(bolide.remote(lambda: 1 // 0).remote())
    after = time.time() * 1e6
    file = str(tmp_path / "timeline.json")
    assert bolide.timeline(file) is None
    with open(file, encoding="utf-8") as stream:
        events = json.load(stream)
    assert events == bolide.timeline()
    assert [event["name"] for event in events][:2] == ["inner", "outer"]
    assert "lambda" in events[2]["name"]
    within, around = events[:2]
    assert around["args"]["task_id"] == ref.task_id().hex()
    assert within["tid"] != around["tid"]
    assert before - 1e3 < around["ts"] <= within["ts"]
    assert within["ts"] + within["dur"] <= around["ts"] + around["dur"] < after + 1e3
    assert {event["ph"] for event in events} == {"X"}


def test_calls_of_actors_are_in_it(recorded):
    @bolide.remote
    class Plain:
        def call(self):
            return bolide.get(inner.remote())

    @bolide.remote
    class Async:
        async def call(self):
            await asyncio.sleep(0)
            return await inner.remote()

    assert bolide.get([Plain.remote().call.remote(), Async.remote().call.remote()]) == [1, 1]
    names = sorted(event["name"] for event in bolide.timeline())
    assert names == ["Async", "Async.call", "Plain", "Plain.call", "inner", "inner"]


def test_without_the_setting_a_warning_says_how_to_have_it(ray):
    assert ray.get(outer.remote()) == 1
    with pytest.warns(RuntimeWarning, match="set the environment variable BOLIDE_TIMELINE=on"):
        assert ray.timeline() == []


def test_a_worker_cannot_ask(recorded):
    with pytest.raises(RuntimeError, match="only the driver can ask for it"):
        bolide.get(bolide.remote(bolide.timeline).remote())
