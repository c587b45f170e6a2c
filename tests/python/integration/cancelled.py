"""What tests of cancelling have in common."""

from __future__ import annotations

import pytest

import bolide
from bolide.exceptions import TaskCancelledError

LONG = 1_000  # seconds that nobody waits


def assert_cancelled(ref, text=None):
    with pytest.raises(TaskCancelledError, match=text):
        bolide.get(ref)
