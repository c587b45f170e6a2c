"""inspect_serializability: which part of an object keeps it from being sent.

It tries what a task's arguments go through, on the object and on ever smaller parts. Not for the
hot path: every step pickles. Thread safety: no state.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from .._serialize import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["FailureTuple", "inspect_serializability"]


class FailureTuple:
    """What cannot be sent.

    Args:
        obj: the object.
        name: the name of the variable or attribute that it is.
        parent: what holds it; None for the object itself that was looked at.
        path: the names on the way to it.
    """

    def __init__(self, obj: Any, name: str, parent: Any, path: tuple[str, ...] = ()) -> None:
        self.obj = obj
        self.name = name
        self.parent = parent
        self.path = path

    def __repr__(self) -> str:
        return f"FailTuple({self.name} [obj={self.obj}, parent={self.parent}])"


def inspect_serializability(
    base_obj: Any, name: str | None = None, depth: int = 3, print_file: Any = None
) -> tuple[bool, set[FailureTuple]]:
    """Finds what keeps an object from being sent to a task, and prints how it was found.

    Args:
        base_obj: the object.
        name: what to call it.
        depth: how many steps to go into closures, attributes and containers.
        print_file: where to print; None: `sys.stdout`.

    Returns:
        Whether it can be sent, and the parts that cannot.

    Example:
        >>> lock = threading.Lock()
        >>> inspect_serializability(lambda: lock)
        (False, {FailTuple(lock [obj=<unlocked _thread.lock ...>, parent=<function ...>])})

    Follows Ray's page "Serialization", troubleshooting.
    """
    search = _Search(print_file)
    title = f"Checking Serializability of {base_obj}"
    rule = "=" * min(len(title), 80)
    search.say(0, f"{rule}\n{title}\n{rule}")
    name = name or getattr(base_obj, "__name__", None) or type(base_obj).__name__
    fits = search.look(FailureTuple(base_obj, name, None, (name,)), depth, 0)
    if not fits:
        found = "\n".join(repr(failure) for failure in search.failures)
        search.say(
            0,
            f"{rule}\nVariable:\n\n\t{found}\n\nwas found to be non-serializable. There may be "
            "multiple other undetected variables that were non-serializable.\nConsider either "
            "removing the instantiation/imports of these variables or moving the instantiation "
            f"into the scope of the function/class.\n{rule}",
        )
    return fits, search.failures


class _Search:
    def __init__(self, file: Any) -> None:
        self._file = file
        self._seen: set[int] = set()
        self.failures: set[FailureTuple] = set()

    def say(self, level: int, text: str) -> None:
        print("    " * level + text, file=self._file)

    def look(self, at: FailureTuple, depth: int, level: int) -> bool:
        """Whether it can be sent; if not, adds what is to blame to the failures."""
        if level:
            self.say(level, f"Serializing {at.name!r} {at.obj}...")
        try:
            dumps(at.obj)
            return True
        except Exception as error:
            self.say(level, f"!!! FAIL serialization: {error}")
        self._seen.add(id(at.obj))
        to_blame = False
        if depth > 0:
            for part in _parts(at):
                if id(part.obj) not in self._seen:
                    to_blame = not self.look(part, depth - 1, level + 1) or to_blame
        if not to_blame:
            self.failures.add(at)
        return False


def _parts(of: FailureTuple) -> Iterator[FailureTuple]:
    """What is one step further inside."""
    obj = of.obj
    found: list[tuple[Any, Any]] = []
    if inspect.isfunction(obj):
        names = inspect.getclosurevars(obj)
        found += [*names.globals.items(), *names.nonlocals.items()]
    elif isinstance(obj, dict):
        found += obj.items()
    elif isinstance(obj, (list, tuple, set, frozenset)):
        found += enumerate(obj)
    else:
        if inspect.ismethod(obj):
            found.append(("__self__", obj.__self__))
        found += [
            (name, value)
            for name, value in getattr(obj, "__dict__", {}).items()
            if not (isinstance(name, str) and name.startswith("__"))
        ]
    for name, value in found:
        yield FailureTuple(value, str(name), obj, (*of.path, str(name)))
