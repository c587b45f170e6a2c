"""What the tests of remote generators share. Not a test itself."""

from __future__ import annotations

import bolide


def values(generator):
    """The items of an ObjectRefGenerator, in order."""
    return [bolide.get(ref) for ref in generator]
