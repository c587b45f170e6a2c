"""Helpers for testing programs that use bolide, and bolide itself.

Only public names; the work is in the private modules beside this one. Thread safety: see there.
"""

from ._leaks import LeakError, LeakGate, idle_problems, leak_gate

__all__ = ["LeakError", "LeakGate", "idle_problems", "leak_gate"]
