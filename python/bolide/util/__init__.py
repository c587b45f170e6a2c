"""Helpers on the public API: results as they complete, the names of actors, where code runs.

This module only names what is public, with Ray's names.
"""

from .._actor import list_named_actors
from .._job import get_node_ip_address
from ._completed import as_completed, map_unordered

__all__ = ["as_completed", "get_node_ip_address", "list_named_actors", "map_unordered"]
