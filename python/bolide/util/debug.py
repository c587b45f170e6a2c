"""Messages that are to appear once, or now and then: `log_once` and its switches.

Thread safety: a race may let a message through twice. Each process counts for itself.
"""

from __future__ import annotations

import time

__all__ = ["disable_log_once_globally", "enable_periodic_logging", "log_once"]

_PERIOD_SECONDS = 60.0

_logged: set[str] = set()
_disabled = False
_periodic = False
_last_cleared = 0.0


def log_once(key: str) -> bool:
    """True at the first call with `key` in this process, False later.

    Args:
        key: of the message.

    Example:
        >>> if log_once("slow_path"):
        ...     logger.warning("The slow path is taken.")

    Follows Ray's `ray.util.log_once`.
    """
    global _last_cleared
    if _disabled:
        return False
    if key not in _logged:
        _logged.add(key)
        _last_cleared = time.monotonic()
        return True
    if _periodic and time.monotonic() - _last_cleared > _PERIOD_SECONDS:
        _logged.clear()
        _last_cleared = time.monotonic()
    return False


def disable_log_once_globally() -> None:
    """From now on `log_once` is always False in this process."""
    global _disabled
    _disabled = True


def enable_periodic_logging() -> None:
    """From now on `log_once` forgets its keys once a minute, in this process."""
    global _disabled, _periodic
    _disabled, _periodic = False, True
