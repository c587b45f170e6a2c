"""Can a worker import a module by its name? Decides between pickling by reference and by value.

It is not an importer: it runs no import and starts no module. A worker has the driver's sys.path,
working directory and site-packages, but not what the driver made or registered while it ran.

Thread safety: the cache is a dict whose steps are atomic; two threads may compute one answer twice.
Invariants: an answer is given again only while the module's `__spec__` is the same object; a wrong
"no" costs time (a copy is sent), a wrong "yes" would cost an ImportError in the worker, so what
cannot be told is "no", except below an importable package.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_answers: dict[str, tuple[Any, bool]] = {}  # name -> (spec it was computed for, answer)
_MISSING = object()


def is_importable(module_name: str) -> bool:
    """Whether a worker can import the module of that name and get the one that is loaded here.

    Args:
        module_name: a full name, such as ``"numpy.linalg"``; the module need not be loaded.

    Returns:
        False for ``__main__``, for modules made at run time or loaded from a file outside sys.path,
        and for modules that `cloudpickle.register_pickle_by_value` names, because copies of their
        contents are wanted; True for built-in and frozen modules and those on sys.path.

    Example:
        >>> is_importable("json"), is_importable("__main__")
        (True, False)
    """
    if _is_by_value(module_name):
        return False
    module = sys.modules.get(module_name, _MISSING)
    spec = getattr(module, "__spec__", None) if module is not _MISSING else _MISSING
    known = _answers.get(module_name)
    if known is not None and known[0] is spec:
        return known[1]
    try:
        answer = _decide(module_name, module, spec)
    except Exception:  # a finder or a module of its own mind
        answer = False
    _answers[module_name] = (spec, answer)
    return answer


def invalidate(module_name: str | None = None) -> None:
    """Forgets the answer for one module, or all answers: after sys.path or files have changed."""
    global _scan
    _scan = _NO_SCAN
    if module_name is None:
        _answers.clear()
    else:
        _answers.pop(module_name, None)


def names_unimportable(data: bytes) -> bool:
    """Whether a pickle may name a loaded module that a worker cannot import.

    For the plain pickler's output: True means "pickle again by value". It looks for module names as
    text, so an argument that merely contains such a name is pickled by value too, which is correct
    but slower.

    Args:
        data: a pickle of any protocol.
    """
    if b"__main__" in data or b"__mp_main__" in data:
        return True
    return any(name in data for name in _unimportable_names())


_NO_SCAN: tuple[Any, list[bytes]] = (None, [])
_scan = _NO_SCAN  # what it was made for, and the names


def _unimportable_names() -> list[bytes]:
    """Names of loaded modules that workers cannot import, but for `__main__`; scanned on change."""
    global _scan
    seen = (len(sys.modules), next(reversed(sys.modules)), _by_value_names())
    if _scan[0] != seen:
        names = [
            name.encode("utf-8", "replace")
            for name in list(sys.modules)
            if isinstance(name, str)
            and name not in ("__main__", "__mp_main__")
            and not is_importable(name)
        ]
        _scan = (seen, names)
    return _scan[1]


def _by_value_names() -> frozenset[str]:
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    return frozenset(getattr(cloudpickle, "_PICKLE_BY_VALUE_MODULES", ()))


def _is_by_value(module_name: str) -> bool:
    if module_name in ("__main__", "__mp_main__"):
        return True
    registered = _by_value_names()
    while registered and module_name:
        if module_name in registered:
            return True
        module_name = module_name.rpartition(".")[0]
    return False


def _decide(name: str, module: Any, spec: Any) -> bool:
    parent, _, last = name.rpartition(".")
    if parent and not is_importable(parent):
        return False
    if module is None:
        return False
    loaded = module is not _MISSING
    if loaded and spec is None:
        # No spec: made at run time. Below an importable package that is the package's own doing
        # (C extensions make submodules so), and importing the package makes it again.
        return bool(parent)
    if loaded and spec.origin in ("built-in", "frozen"):
        return spec.loader is not None
    places = _search_path(parent)
    if places is None:  # the parent is a module and puts this one below its name, as os does
        return loaded
    if loaded and spec.name == name and spec.origin and spec.loader is not None:
        if _place_of(spec) in ((place, last) for place in _normal(places)):
            return True
    found = _find(name, list(places) if parent else None)
    if found is None:
        return bool(parent) and loaded and spec.name != name
    return not loaded or spec.name != name or _same_place(found, spec)


def _search_path(parent: str) -> Any:
    """Where the modules below a package are looked for; None if it is not a package."""
    if not parent:
        return sys.path
    if parent in sys.modules:
        return getattr(sys.modules[parent], "__path__", None)
    above = _search_path(parent.rpartition(".")[0])
    found = None if above is None else _find(parent, list(above))
    return None if found is None else found.submodule_search_locations


def _place_of(spec: Any) -> tuple[str, str]:
    """The folder in which the import of a spec's module or package was found, and its file name."""
    import os.path

    folder, file = os.path.split(os.path.abspath(spec.origin))
    if spec.submodule_search_locations is not None:
        return os.path.split(folder)
    return folder, file.partition(".")[0]


_path_memo: tuple[tuple, frozenset[str]] = ((), frozenset())


def _normal(places: Any) -> frozenset[str]:
    """Absolute folders of a search path; those of sys.path are kept until it changes."""
    import os.path

    global _path_memo
    key = tuple(places)
    if key == _path_memo[0]:
        return _path_memo[1]
    folders = frozenset(os.path.abspath(p or os.curdir) for p in key if isinstance(p, str))
    if places is sys.path:
        _path_memo = (key, folders)
    return folders


def _find(name: str, path: list[str] | None) -> Any:
    for finder in list(sys.meta_path):
        find_spec = getattr(finder, "find_spec", None)
        found = find_spec(name, path, None) if find_spec is not None else None
        if found is not None:
            return found
    return None


def _same_place(found: Any, spec: Any) -> bool:
    if found.origin == spec.origin and spec.origin is not None:
        return True
    ours, theirs = found.submodule_search_locations, spec.submodule_search_locations
    return ours is not None and theirs is not None and _normal(ours) == _normal(theirs)
