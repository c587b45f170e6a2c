"""Classes of __main__ and of functions: identity, state and sharing across processes."""

import pickle
import sys

import pytest

from bolide import _dynamic_class, _serialize

SHAPES = {
    "plain": "class C:\n    def __init__(self): self.x = 3\n"
    "    def same(self, o): return self.x == o.x",
    "slots": "class C:\n    __slots__ = ('x',)\n    def __init__(self): self.x = 3\n"
    "    def same(self, o): return self.x == o.x",
    "dataclass": "from dataclasses import dataclass, field\n@dataclass\nclass C:\n    x: int = 3\n"
    "    items: list = field(default_factory=lambda: [1])\n    def same(self, o): return self == o",
    "frozen": "from dataclasses import dataclass\n@dataclass(frozen=True, order=True)\nclass C:\n"
    "    x: int = 3\n    def same(self, o): return self == o",
    "namedtuple": "from collections import namedtuple\n"
    "C = namedtuple('C', 'a b', defaults=(1, 2))\n"
    "C.same = lambda self, o: self == o",
    "typed_tuple": "import typing\nclass C(typing.NamedTuple):\n    a: int = 1\n"
    "    def same(self, o): return self == o",
    "abc": "import abc\nclass B(abc.ABC):\n    @abc.abstractmethod\n    def same(self, o): ...\n"
    "class C(B):\n    def same(self, o): return isinstance(o, B)",
    "generic": "import typing\nT = typing.TypeVar('T')\nclass C(typing.Generic[T]):\n"
    "    def same(self, o): return typing.get_args(C[int]) == (int,)",
    "metaclass": "class M(type):\n    def __call__(cls, *a): return super().__call__(*a)\n"
    "    tag = 'm'\nclass C(metaclass=M):\n    def same(self, o): return type(o).tag == 'm'",
    "exception": "class C(Exception):\n    def __init__(self, a=1, b=2): super().__init__(a)\n"
    "    def same(self, o): return self.args == o.args",
    "super": "class B:\n    def same(self, o): return True\nclass C(B):\n"
    "    def same(self, o): return super().same(o)",
    "property": "class C:\n    @property\n    def p(self): return 1\n    @classmethod\n"
    "    def k(cls): return cls\n    @staticmethod\n    def s(): return 2\n"
    "    def same(self, o): return (o.p, o.k(), o.s()) == (1, C, 2)",
    "own_instance": "class C:\n    def same(self, o): return type(C.first) is C\nC.first = C()",
    "empty_slots": "class B:\n    __slots__ = ()\nclass C(B):\n    __slots__ = ('__x', 'y')\n"
    "    def __init__(self): self.__x = self.y = 1\n"
    "    def same(self, o): return self.__x == o.__x",
    "slots_dataclass": "import sys\nfrom dataclasses import dataclass\n"
    "@dataclass(slots=True)\nclass C:\n    x: int = 1\n    def same(self, o): return self == o",
    "own_reference": "class C:\n    def same(self, o): return type(o) is C\n"
    "    def make(self): return C()",
    "mutual": "class C:\n    def same(self, o): return D().make() is not None\n"
    "class D:\n    def make(self): return C()",
    "custom_reduce": "class C:\n    def __init__(self, x=1): self.x = x\n"
    "    def __reduce__(self): return (C, (self.x,))\n    def same(self, o): return self.x == o.x",
    "dict_subclass": "class C(dict):\n    def same(self, o): return self == o",
    "nested": "class Outer:\n    class C:\n        def same(self, o): return type(o) is Outer.C\n"
    "C = Outer.C",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_instance_comes_back_as_an_instance_of_its_own_class(worker, in_main, shape):
    main = in_main(
        SHAPES[shape] + "\ndef task(c):\n    return c, type(c), type(c)(), c.same(type(c)())\n"
    )
    before = {name: value for name, value in vars(main["C"]).items() if callable(value)}

    original = main["C"]()
    back, cls, made_there, same = worker.call(main["task"], original)

    assert cls is main["C"]
    assert type(back) is main["C"] and type(made_there) is main["C"]
    assert same is True and original.same(back)
    for name, value in before.items():
        assert vars(main["C"])[name] is value, f"{name} was replaced in the defining process"


def test_an_instance_alone_is_enough_for_a_worker_that_never_saw_the_class(worker, in_main):
    main = in_main(
        "class C:\n    def __init__(self, x): self.x = x\n    def twice(self): return 2 * self.x"
    )
    import operator

    call = operator.methodcaller("twice")
    assert worker.call(call, main["C"](21)) == 42


def test_sentinels_of_dataclasses_stay_what_they_are(worker, in_main):
    main = in_main(
        "import dataclasses\n@dataclasses.dataclass\nclass C:\n    x: int\n"
        "    y: list = dataclasses.field(default_factory=list)\n"
        "def task(c):\n"
        "    @dataclasses.dataclass\n    class D(C):\n        z: int = 0\n"
        "    first, second = dataclasses.fields(c)\n"
        "    missing = (first.default is first.default_factory is second.default\n"
        "               is dataclasses.MISSING)\n"
        "    try:\n        D()\n    except TypeError:\n        return missing, D(1).y\n"
    )
    assert worker.call(main["task"], main["C"](1)) == (True, [])


def test_threads_that_load_one_class_at_once_all_get_it_whole(worker, in_main):
    main = in_main("class C:\n    def f(self): return 5\n")
    data, _ = _serialize.dumps(main["C"]())

    def task(data):
        import pickle
        import threading

        start = threading.Barrier(8)
        results = []

        def load():
            start.wait()
            made = pickle.loads(data)
            results.append((type(made), made.f()))

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(results), len({cls for cls, _ in results}), {value for _, value in results}

    assert worker.call(task, data) == (8, 1, {5})


def test_enum_members_keep_their_identity(worker, in_main):
    main = in_main(
        "import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2\n"
        "    def other(self): return Color.BLUE if self is Color.RED else Color.RED\n"
        "class Bits(enum.Flag):\n    A = 1\n    B = 2\n"
        "def task(c, b): return c.other(), b | Bits.B, c is Color.RED\n"
    )
    other, bits, same = worker.call(main["task"], main["Color"].RED, main["Bits"].A)
    assert other is main["Color"].BLUE
    assert bits == main["Bits"].A | main["Bits"].B
    assert same is True


def test_the_defining_process_keeps_changed_attributes(worker, in_main):
    main = in_main("class C:\n    n = 1\ndef task(c):\n    type(c).n = 99\n    return c")
    exported = worker.export(main["task"])
    main["C"].n = 2
    back = worker.call_exported(exported, main["C"]())
    assert type(back) is main["C"]
    assert main["C"].n == 2


def test_a_worker_sees_class_attributes_changed_in_the_driver(worker, in_main):
    main = in_main("class C:\n    n = 1\n")
    read = worker.export(eval("lambda c: c.n"))
    for n in (1, 2, 1):
        main["C"].n = n
        assert worker.call_exported(read, main["C"]()) == n
    main["C"].method = lambda self: "added"
    assert worker.call(eval("lambda c: c.method()"), main["C"]()) == "added"


def test_a_worker_keeps_its_own_changes_while_the_class_is_unchanged(worker, in_main):
    main = in_main("class C:\n    calls = 0")
    bump = worker.export(
        eval(
            "lambda c, kept=[]: kept.append(c) or setattr(type(c), 'calls', c.calls + 1) or c.calls"
        )
    )
    assert [worker.call_exported(bump, main["C"]()) for _ in range(3)] == [1, 2, 3]


def test_a_result_of_another_worker_does_not_bring_back_an_old_class(two_workers, in_main):
    first, second = two_workers
    main = in_main("class C:\n    n = 1")
    make = first.export(eval("lambda c: c"))
    read = first.export(eval("lambda c, kept=[]: kept.append(c) or c.n"))
    old = first.call_raw(make, _serialize.dumps_in_band(main["C"]()))[1]
    main["C"].n = 2
    assert second.call_exported(read, main["C"]()) == 2
    assert second.load(second.call_raw(read, old)) == 2


def test_a_result_is_enough_for_another_worker(two_workers, in_main):
    first, second = two_workers
    main = in_main("class C:\n    def f(self): return type(self).__name__\ndef make(): return C()")
    data = first.call_raw(first.export(main["make"]))[1]
    assert second.load(second.call_raw(second.export(eval("lambda c: c.f()")), data)) == "C"


def test_a_class_made_in_a_worker_does_not_touch_its_base_in_the_driver(worker, in_main):
    main = in_main(
        "class Base:\n    n = 1\n    def f(self): return 'base'\n"
        "def task():\n    Base.n = 5\n    class Local(Base):\n        def g(self): return 'local'\n"
        "    return Local()"
    )
    method = main["Base"].f
    local = worker.call(main["task"])
    assert isinstance(local, main["Base"])
    assert (local.g(), local.f(), main["Base"].n) == ("local", "base", 1)
    assert main["Base"].f is method


def test_a_redefined_class_is_another_class(worker, in_main):
    main = in_main("class C:\n    v = 1\nOld = C\nclass C:\n    v = 2\n")
    identity = worker.export(eval("lambda c: (c, c.v)"))
    old, old_v = worker.call_exported(identity, main["Old"]())
    new, new_v = worker.call_exported(identity, main["C"]())
    assert (type(old), old_v) == (main["Old"], 1)
    assert (type(new), new_v) == (main["C"], 2)


def test_a_function_and_its_classes_share_globals_in_a_worker(worker, in_main):
    main = in_main(
        "CACHE = {}\nclass C:\n    def put(self, k): CACHE[k] = 1\nclass D:\n"
        "    def size(self): return len(CACHE)\n"
        "def task():\n    C().put('a'); C().put('b')\n    return len(CACHE), D().size()"
    )
    assert worker.call(main["task"]) == (2, 2)


def test_classes_of_one_argument_share_globals_in_a_worker(worker, in_main):
    main = in_main(
        "CACHE = {}\nclass C:\n    def put(self, k): CACHE[k] = 1\nclass D:\n"
        "    def size(self): return len(CACHE)\n"
    )
    task = eval("lambda pair: pair[0].put('a') or pair[1].size()")
    assert worker.call(task, (main["C"](), main["D"]())) == 1


def test_hooks_of_a_class_run_once_a_process(worker, in_main):
    main = in_main(
        "SEEN = []\nclass Base:\n    def __init_subclass__(cls, **k): SEEN.append(cls.__name__)\n"
        "class C(Base): pass\n"
    )
    keep = eval("lambda c: c")
    for _ in range(3):
        assert type(worker.call(keep, main["C"]())) is main["C"]
    assert main["SEEN"] == ["C"]


def test_a_function_among_data_restarts_the_pickling_once(worker, in_main):
    main = in_main("class C:\n    def f(self): return 7\ndef helper(c): return c.f()\n")
    restarts = []
    data, buffers = _serialize.dumps(
        [main["C"](), main["helper"]], on_restart=lambda: restarts.append(1)
    )
    assert restarts == [1] and buffers == []
    reply = worker.call_raw(worker.export(eval("lambda pair: pair[1](pair[0])")), data)
    assert worker.load(reply) == 7


def test_the_bytes_of_a_known_class_are_not_read_again(in_main, monkeypatch):
    main = in_main("class C: pass")
    data, _ = _serialize.dumps(main["C"]())
    monkeypatch.setattr(_dynamic_class._cp, "_class_setstate", None)
    monkeypatch.setattr(_dynamic_class._cp, "_make_skeleton_class", None)
    assert type(pickle.loads(data)) is main["C"]


def test_a_reference_without_its_class_says_what_to_do():
    with pytest.raises(pickle.UnpicklingError, match="load the pickle whole, as dumps"):
        _dynamic_class.lookup("0" * 32)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="syntax of Python 3.12")
def test_generics_of_the_new_syntax(worker, in_main):
    main = in_main(
        "class Box[T]:\n    def __init__(self, x: T): self.x = x\ndef task(b): return b, b.x"
    )
    box, x = worker.call(main["task"], main["Box"](4))
    assert type(box) is main["Box"] and x == 4


def test_the_pure_python_unpickler_reads_the_format_too(in_main):
    main = in_main("class C:\n    def __init__(self): self.x = 'x' * 100_000")
    data, _ = _serialize.dumps([main["C"](), main["C"]()])
    first, second = pickle._loads(data)
    assert type(first) is main["C"] and second.x == "x" * 100_000
