"""Private modules of Ray's from which libraries import."""
