"""Bolide beside its peers: `python -m benchmarks.peers.table`."""
