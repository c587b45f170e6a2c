"""dumps and dumps_in_band, and which modules count as importable by a worker."""

import importlib.util
import pickle
import subprocess
import sys
import types

import cloudpickle
import numpy as np
import pytest

import bolide
from bolide import _importable
from bolide._serialize import dumps, dumps_in_band, is_importable, names_unimportable


@pytest.fixture(autouse=True)
def fresh_answers():
    _importable.invalidate()
    yield
    _importable.invalidate()


@pytest.fixture
def module_file(tmp_path):
    """`module_file(name, source)` writes a module below tmp_path and loads it under that name."""
    loaded = []

    def load(name, source="class C: pass\n\ndef f(): return 5\n", file=None):
        path = tmp_path / (file or f"{name}.py")
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        loaded.append(name)
        return module

    yield load
    for name in loaded:
        sys.modules.pop(name, None)


def test_what_is_importable_everywhere():
    import email.mime.text
    import os.path
    import xml.dom.minidom

    modules = [sys, types, pickle, os.path, np, np.linalg, email.mime.text, xml.dom.minidom, bolide]
    for module in modules:
        assert is_importable(module.__name__), module
    assert is_importable("os.path") and is_importable("numpy.random")
    assert is_importable("wave"), "a module that is not loaded is looked for"
    assert not is_importable("no_such_module") and not is_importable("json.no_such_module")


def test_main_is_never_importable():
    assert not is_importable("__main__") and not is_importable("__mp_main__")


def test_modules_made_at_run_time_are_not_importable(monkeypatch):
    made = types.ModuleType("made_here")
    monkeypatch.setitem(sys.modules, "made_here", made)
    assert not is_importable("made_here")
    monkeypatch.setitem(sys.modules, "json.made_by_json", types.ModuleType("json.made_by_json"))
    assert is_importable("json.made_by_json"), "what an importable package puts below its name"
    monkeypatch.setitem(sys.modules, "other_name_of_json", sys.modules["json"])
    assert not is_importable("other_name_of_json")


def test_a_file_is_importable_if_it_lies_on_sys_path(module_file, monkeypatch, tmp_path):
    module = module_file("lonely_module")
    assert not is_importable("lonely_module")
    monkeypatch.syspath_prepend(str(tmp_path))
    _importable.invalidate("lonely_module")
    assert is_importable("lonely_module")
    module_file("other_name", file="lonely_module.py")
    assert not is_importable("other_name")
    assert module.f() == 5


def test_packages_on_sys_path(tmp_path, monkeypatch):
    package = tmp_path / "some_package"
    (package / "inner").mkdir(parents=True)
    (package / "inner" / "leaf.py").write_text("x = 1")  # no __init__.py: namespace packages
    monkeypatch.syspath_prepend(str(tmp_path))
    import some_package.inner.leaf  # noqa: F401

    assert is_importable("some_package") and is_importable("some_package.inner.leaf")
    monkeypatch.setattr(sys, "path", sys.path[1:])
    _importable.invalidate()
    assert not is_importable("some_package.inner.leaf")
    for name in ("some_package.inner.leaf", "some_package.inner", "some_package"):
        del sys.modules[name]


def test_answers_are_kept_until_the_module_changes(monkeypatch):
    assert is_importable("wave")
    monkeypatch.setattr(_importable, "_decide", lambda *_: pytest.fail("decided again"))
    assert is_importable("wave")
    with pytest.raises(pytest.fail.Exception):
        is_importable("colorsys")


def test_registration_by_value_is_respected(module_file, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = module_file("registered_module")
    assert is_importable("registered_module")
    cloudpickle.register_pickle_by_value(module)
    try:
        assert not is_importable("registered_module")
        assert not is_importable("registered_module.below")
        assert names_unimportable(pickle.dumps(module.C()))
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    assert is_importable("registered_module")
    assert not names_unimportable(pickle.dumps(module.C()))


def test_pickles_that_name_what_workers_cannot_import(module_file):
    assert not names_unimportable(pickle.dumps({"a": np.arange(3)}, 5))
    assert names_unimportable(b"...__main__...")
    module = module_file("file_elsewhere")
    assert names_unimportable(pickle.dumps(module.C(), 5))


def test_a_module_that_workers_cannot_import_goes_by_value(worker, module_file):
    module = module_file("worker_lacks_this", "K = [1]\nclass C:\n    def f(self): return K\n")
    first, again = worker.call(eval("lambda c: (c.f(), c)"), module.C())
    assert first == [1] and type(again) is module.C
    assert worker.call(eval("lambda m: m.C().f()"), module) == [1]


def test_a_function_that_workers_cannot_import_goes_by_value(worker, module_file):
    module = module_file(
        "worker_lacks_that", "K = 4\ndef f(x): return g(x) + K\ndef g(x): return 2 * x\n"
    )
    assert worker.call(module.f, 3) == 10


def test_plain_pickle_is_taken_where_it_is_enough():
    assert dumps_in_band([1, "a", np.arange(2)]) == pickle.dumps([1, "a", np.arange(2)], 5)
    assert b"cloudpickle" in dumps_in_band(lambda: 1)


def test_large_buffers_travel_out_of_band(in_main):
    main = in_main("class C:\n    def __init__(self, a): self.a = a\n")
    array = np.arange(100_000)
    data, buffers = dumps([main["C"](array), lambda: 1])
    assert len(data) < 5_000 and len(buffers) == 1
    assert buffers[0].raw().nbytes == array.nbytes
    back, function = pickle.loads(data, buffers=buffers)
    assert np.array_equal(back.a, array) and type(back) is main["C"] and function() == 1
    assert np.array_equal(pickle.loads(dumps_in_band(main["C"](array))).a, array)


@pytest.mark.parametrize(
    "value",
    [b"", b"x", np.array(1.5), np.asfortranarray(np.ones((3, 4))), np.arange(20)[::3], range(3),
     np.array([{}, None], dtype=object), {1: (2, [3])}, ValueError, type(None), print, np.add],
    ids=repr,
)  # fmt: skip
def test_values_are_equal_on_return(value):
    data, buffers = dumps(value)
    np.testing.assert_equal(pickle.loads(data, buffers=buffers), value)


def test_arrays_that_are_not_writable_stay_so():
    array = np.arange(5)
    array.flags.writeable = False
    data, buffers = dumps(array)
    assert not pickle.loads(data, buffers=buffers).flags.writeable


def test_a_deep_structure_is_a_recursion_error():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        dumps(deep)
    with pytest.raises(RecursionError):
        dumps_in_band(deep)


def test_closures_defaults_and_globals_travel(worker, in_main):
    main = in_main(
        "G = 100\ndef outer(a):\n    def inner(b, c=3, *, d=4):\n        return a + b + c + d + G\n"
        "    return inner\n"
    )
    assert worker.call(main["outer"](1), 2) == 110


def test_a_recursive_function_travels(worker, in_main):
    main = in_main("def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\n")
    assert worker.call(main["fib"], 10) == 55


def test_importing_the_modules_is_light():
    """Neither NumPy nor cloudpickle nor a slow part of the standard library at import time."""
    heavy = [
        "numpy", "cloudpickle", "typing", "asyncio", "inspect", "logging", "subprocess",
        "dataclasses", "pickle", "traceback", "re", "collections", "functools", "enum",
        "contextlib", "weakref",
    ]  # fmt: skip
    program = (
        "import sys\nimport bolide\nbefore = set(sys.modules)\n"
        "from bolide import _config, _options, _serialize, exceptions\n"
        f"print([n for n in {heavy} if n in sys.modules and n not in before])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr
