"""Tests of bolide.Executor and of what is in bolide.util."""
