"""Fixtures of the tests of placement groups: what tells where it runs; no group is left."""

from __future__ import annotations

import pytest

import bolide
from bolide.util import get_current_placement_group, remove_placement_group

from .groups import made


@pytest.fixture(autouse=True)
def no_group_is_left():
    yield
    if bolide.is_initialized():
        for group in made:
            remove_placement_group(group)
    made.clear()


@pytest.fixture
def where(ray):
    """A task that tells the group in which it runs."""

    @ray.remote
    def where():
        return get_current_placement_group()

    return where


@pytest.fixture
def Resident(ray):
    """An actor that tells its group, and whether what it starts is in it."""

    @ray.remote
    class Resident:
        def group(self):
            return get_current_placement_group()

        def child(self, task):
            return bolide.get(task.remote())

        def nested(self, cls):
            actor = cls.remote()
            return bolide.get(actor.group.remote())

    return Resident
