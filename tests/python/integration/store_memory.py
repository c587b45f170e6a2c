"""Where a value's bytes lie: how tests tell that nothing was copied, without a clock.

`in_store` looks an address up in /proc/self/maps; `peak_of` says how much memory of Python and
NumPy a call had in use at most, so a copy of an array beside the one in the store shows.
"""

from __future__ import annotations

import gc
import tracemalloc


def mappings():
    """(begin, end, rights) of each mapping of the store in this process."""
    found = []
    with open("/proc/self/maps", encoding="ascii") as maps:
        for line in maps:
            if "memfd:bolide-chunk" in line:
                place, rights, *_ = line.split()
                begin, _, end = place.partition("-")
                found.append((int(begin, 16), int(end, 16), rights))
    return found


def in_store(address):
    """Whether an address lies in memory of the store that this process cannot write."""
    return any(begin <= address < end and rights == "r--s" for begin, end, rights in mappings())


def rights_at(address):
    """The rights of the mapping of the store that an address lies in; None: it lies in none."""
    for begin, end, rights in mappings():
        if begin <= address < end:
            return rights
    return None


def address_of(buffer):
    """Where a buffer or an array begins."""
    import numpy

    return numpy.asarray(buffer).ctypes.data


def peak_of(call):
    """The result of a call, and the most bytes of Python and NumPy that it had in use at a time."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = call()
        return result, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
