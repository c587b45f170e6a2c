"""What the tests of placement groups share: groups that end with their test."""

from __future__ import annotations

import bolide
from bolide.util import placement_group as make_group

ONE = [{"CPU": 1}]
made = []  # by this test


def placement_group(*args, **kwargs):
    """A group that is removed when the test is over."""
    made.append(make_group(*args, **kwargs))
    return made[-1]


def free_cpus():
    return bolide.available_resources().get("CPU", 0)
