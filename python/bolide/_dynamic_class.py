"""Classes that travel by value (of `__main__`, notebook cells, functions) and their identity.

It is not a pickler: `bolide._by_value` is, and what it writes calls `apply`, `finish`, `lookup`,
`make_class` and `set_class_state` here. Imports cloudpickle, so import it on first use only.

How: a pickle with instances of such classes refers to each by the tracker id that cloudpickle
gave it (`lookup`), and is preceded by *bundles*: pickles of the classes themselves, in one stream
so that they share globals, as `apply(blob)`. Where every class of a bundle is known and current,
its bytes are skipped. A pickle that holds functions too has its classes inline (`make_class` and
`set_class_state`), because they share globals with those functions.

Thread safety: one lock around the loading of bundles, waited for at most 10 s because loading may
import, and imports hold locks of their own; the tables are steps of a dict.
Invariants: a class is *foreign* in a process that built it from a description, else the process is
its *origin*; the state of a class is never applied in its origin; a foreign class takes state only
from a description that differs from its last and is newer by the origin's clock; equal tracker ids
mean the same class, and a redefined class has another id.
"""

from __future__ import annotations

import pickle
import threading
import time
import weakref

from cloudpickle import cloudpickle as _cp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LOCK_SECONDS = 10.0
_loading = threading.RLock()


class Bundle:
    """The description of some classes and of all dynamic classes that they need.

    Fields: `ids`, the tracker ids of all of them; `stamp`, the origin's monotonic clock in ns when
    it was made, 0 if a process made it that is the origin of none; `portable`, False if it holds
    references of the runtime, which only a fresh pickling keeps alive; `data`, the pickle.
    """

    __slots__ = ("data", "ids", "portable", "stamp")

    def __init__(self, ids: tuple[str, ...], stamp: int, portable: bool, data: bytes) -> None:
        self.ids = ids
        self.stamp = stamp
        self.portable = portable
        self.data = data


# Foreign class -> the bundle that it was last built from, None if that was an inline description.
_foreign: weakref.WeakKeyDictionary[type, Bundle | None] = weakref.WeakKeyDictionary()


def tracker_id_of(cls: type) -> str:
    """The id of a dynamic class, the same in every process."""
    return _cp._get_or_create_tracker_id(cls)


def lookup(tracker_id: str) -> type:
    """The class of that id in this process.

    Raises:
        pickle.UnpicklingError: if no bundle has brought it; never for a pickle of `bolide`.
    """
    cls = _cp._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker_id)
    if cls is None:
        raise pickle.UnpicklingError(
            f"the class with id {tracker_id} is not known in this process; "
            "load the pickle whole, as dumps() returned it"
        )
    return cls


def is_foreign(cls: type) -> bool:
    """Whether this process built the class from a description made in another one."""
    return cls in _foreign


def make_class(maker: Any, args: tuple) -> type:
    """The class that cloudpickle's `maker` would make, found by its id where it exists.

    Unlike cloudpickle, no class is made only to be thrown away, so hooks such as
    `__init_subclass__` run once a process, and never in the origin.
    """
    known = _cp._DYNAMIC_CLASS_TRACKER_BY_ID.get(args[-2])
    if known is not None:
        return known
    made = maker(*args)
    _foreign.setdefault(made, None)
    return made


def set_class_state(cls: type, state: Any) -> type:
    """Gives a foreign class its attributes; does nothing in the origin."""
    if cls in _foreign:
        _foreign[cls] = None
        _cp._class_setstate(cls, state)
    return cls


def bundles_for(roots: dict[str, type], describe: Any) -> list[Bundle]:
    """Bundles that bring `roots` (id -> class) to another process.

    Args:
        roots: the classes that a pickle refers to.
        describe: `describe(classes) -> (data, ids, portable)` pickles classes by value.

    Returns:
        Bundles received earlier, handed on as they came, for foreign classes; one new bundle for
        the rest.
    """
    found: list[Bundle] = []
    rest = {}
    for tracker_id, cls in roots.items():
        bundle = _foreign.get(cls)
        if bundle is None or not bundle.portable:
            rest[tracker_id] = cls
        elif bundle not in found:
            found.append(bundle)
    if rest:
        data, ids, portable = describe(tuple(rest.values()))
        classes = [lookup(tracker_id) for tracker_id in ids]
        all_foreign = all(cls in _foreign for cls in classes)
        bundle = Bundle(ids, 0 if all_foreign else time.monotonic_ns(), portable, data)
        if all_foreign:
            for cls in classes:
                _foreign[cls] = bundle
        found.append(bundle)
    return found


def encode(bundles: list[Bundle]) -> bytes:
    """The argument of `apply` for these bundles."""
    return pickle.dumps([(b.ids, b.stamp, b.portable, b.data) for b in bundles], 5)


def apply(blob: bytes) -> list[type]:
    """Makes the classes of the bundles in `blob` known here, and current.

    Returns:
        The classes, for `finish` to keep alive while the rest of the pickle is read.
    """
    held = []
    for fields in pickle.loads(blob):
        bundle = Bundle(*fields)
        if not _is_current(bundle):
            locked = _loading.acquire(timeout=_LOCK_SECONDS)
            try:
                if not _is_current(bundle):
                    held.append(pickle.loads(bundle.data))
                    for tracker_id in bundle.ids:
                        cls = lookup(tracker_id)
                        if cls in _foreign:
                            _foreign[cls] = bundle
            finally:
                if locked:
                    _loading.release()
        held += map(lookup, bundle.ids)
    return held


def finish(held: list[type], value: Any) -> Any:
    """The value of a pickle whose classes were brought by `apply`."""
    return value


def _is_current(bundle: Bundle) -> bool:
    """Whether nothing of the bundle is missing or out of date here."""
    for tracker_id in bundle.ids:
        cls = _cp._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker_id)
        if cls is None:
            return False
        if cls not in _foreign:
            continue
        last = _foreign[cls]
        if last is not None and last.data == bundle.data:
            last.stamp = max(last.stamp, bundle.stamp)
        elif bundle.stamp > (0 if last is None else last.stamp):
            return False
    return True
