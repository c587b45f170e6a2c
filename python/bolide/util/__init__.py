"""Helpers on the public API: results as they complete, the names of actors, where code runs.

This module only names what is public, with Ray's names.
"""

from .._actor import list_named_actors
from .._job import get_node_ip_address
from ._completed import as_completed, map_unordered
from .placement_group import (
    get_current_placement_group,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

__all__ = [
    "as_completed",
    "get_current_placement_group",
    "get_node_ip_address",
    "get_placement_group",
    "list_named_actors",
    "map_unordered",
    "placement_group",
    "placement_group_table",
    "remove_placement_group",
]
