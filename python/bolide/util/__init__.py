"""Helpers on the public API: results as they complete.

This module only names what is public, with Ray's names.
"""

from ._completed import as_completed, map_unordered

__all__ = ["as_completed", "map_unordered"]
