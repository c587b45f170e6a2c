"""A class of actors that a module defines, for tests of what is not about the class."""

from __future__ import annotations

import os

import bolide


@bolide.remote
class OfModule:
    LIMIT = 7

    def __init__(self, value=0):
        self.value = value

    def increment(self, by=1):
        self.value += by
        return self.value

    def pid(self):
        return os.getpid()
