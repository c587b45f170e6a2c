"""Tests of the whole runtime: a node in this process, and real workers."""
