"""Modin and others ask here where they run."""

from bolide.util import get_node_ip_address

__all__ = ["get_node_ip_address"]
