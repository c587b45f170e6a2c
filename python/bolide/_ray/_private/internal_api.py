"""Ray's page on debugging memory calls this."""

from bolide._memory_report import memory_summary

__all__ = ["memory_summary"]
