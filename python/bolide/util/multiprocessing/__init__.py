"""`Pool` with the interface of `multiprocessing.Pool`, on bolide's workers.

This module only names what is public, with Ray's names.
"""

from multiprocessing import JoinableQueue, TimeoutError

from .pool import Pool

__all__ = ["JoinableQueue", "Pool", "TimeoutError"]
