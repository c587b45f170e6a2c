"""Modin and others ask here where they run."""


def get_node_ip_address(address: object = None) -> str:
    """The address of the one node, as `nodes()` tells it; what it is reached from is no matter."""
    return "127.0.0.1"
