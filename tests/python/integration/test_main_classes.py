"""Functions and classes of __main__, of notebook cells, and of modules that change."""

from __future__ import annotations

import sys
import types

import pytest

import bolide


@pytest.fixture(params=["<ipython-input-{}-0f3c>", "/tmp/ipykernel_4242/{}.py"])
def notebook(monkeypatch, request):
    """`notebook(source)` runs a cell in a fake __main__, as a notebook does; gives its names.

    The name of a cell's code is of no file that there is: IPython's, then ipykernel's.
    """
    main = types.ModuleType("__main__")
    main.__builtins__ = __builtins__
    main.bolide = bolide
    monkeypatch.setitem(sys.modules, "__main__", main)
    cells = iter(range(1000))

    def run(source):
        exec(compile(source, request.param.format(next(cells)), "exec"), vars(main))
        return main

    return run


POINT = """
class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y
    def norm(self):
        return abs(self.x) + abs(self.y)
    def __eq__(self, other):
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)
"""


def test_an_instance_returned_passes_isinstance(ray, notebook):
    main = notebook(POINT + "@bolide.remote\ndef make(x, y): return Point(x, y)")
    back = ray.get(main.make.remote(3, -4))
    assert isinstance(back, main.Point)
    assert back.norm() == 7


def test_an_instance_as_an_argument(ray, notebook):
    main = notebook(
        POINT + "@bolide.remote\ndef check(p): return isinstance(p, Point), p.norm(), p"
    )
    point = main.Point(1, 2)
    assert ray.get(main.check.remote(point)) == (True, 3, point)
    assert ray.get(main.check.remote(ray.put(point))) == (True, 3, point)
    assert ray.get(ray.put([point])) == [point]


def test_a_cell_that_is_run_again(ray, notebook):
    for i in range(3):
        main = notebook(f"@bolide.remote\ndef version(): return {i}")
        assert ray.get(main.version.remote()) == i


def test_a_class_that_is_defined_again(ray, notebook):
    main = notebook("class A:\n    v = 1\n@bolide.remote\ndef make(): return A(), A.v")
    old = main.A
    first, v = ray.get(main.make.remote())
    assert (type(first), v) == (old, 1)
    main = notebook("class A:\n    v = 2\n@bolide.remote\ndef make(): return A(), A.v")
    second, v = ray.get(main.make.remote())
    assert (type(second), v) == (main.A, 2)
    assert main.A is not old


def test_a_helper_of_another_cell(ray, notebook):
    notebook("SCALE = 3\ndef helper(x): return SCALE * x")
    main = notebook("@bolide.remote\ndef use(x): return helper(x)")
    assert ray.get(main.use.remote(2)) == 6


def test_a_function_that_calls_itself_by_its_global_name(ray, notebook):
    main = notebook(
        "@bolide.remote\n"
        "def fib(n): return n if n < 2 else sum(bolide.get([fib.remote(n - 1), fib.remote(n - 2)]))"
    )
    assert ray.get(main.fib.remote(7)) == 13


def test_functions_that_call_each_other(ray, notebook):
    main = notebook(
        "@bolide.remote\ndef even(n): return n == 0 or bolide.get(odd.remote(n - 1))\n"
        "@bolide.remote\ndef odd(n): return n != 0 and bolide.get(even.remote(n - 1))"
    )
    assert ray.get([main.even.remote(6), main.odd.remote(6)]) == [True, False]


def test_an_exception_class(ray, notebook):
    main = notebook(
        "class Trouble(Exception):\n"
        "    def __init__(self, code): super().__init__(code); self.code = code\n"
        "@bolide.remote\ndef fail(): raise Trouble(5)"
    )
    with pytest.raises(main.Trouble) as caught:
        ray.get(main.fail.remote())
    assert caught.value.code == 5


def test_dataclasses_enums_and_named_tuples(ray, notebook):
    main = notebook(
        "import dataclasses, enum, typing\n"
        "@dataclasses.dataclass\nclass D:\n    x: int\n"
        "    y: list = dataclasses.field(default_factory=list)\n"
        "class E(enum.Enum):\n    A = 1\n    B = 'b'\n"
        "class N(typing.NamedTuple):\n    a: int\n    b: str = 'x'\n"
        "@bolide.remote\ndef same(v): return v\n"
        "@bolide.remote\ndef make(): return D(1, [2]), E.B, N(3)"
    )
    for value in (main.D(1, [2]), main.E.A, main.N(1)):
        back = ray.get(main.same.remote(value))
        assert back == value
        assert type(back) is type(value)
    assert ray.get(main.same.remote(main.E.A)) is main.E.A
    assert ray.get(main.make.remote()) == (main.D(1, [2]), main.E.B, main.N(3))


def test_a_class_hierarchy_with_super_and_state(ray, notebook):
    main = notebook(
        "class Base:\n    count = 0\n    def who(self): return 'base'\n"
        "class Child(Base):\n"
        "    __slots__ = ('v',)\n"
        "    def __init__(self, v): self.v = v\n"
        "    def who(self): return 'child of ' + super().who()\n"
        "@bolide.remote\ndef ask(c): return c.who(), c.v, isinstance(c, Base)"
    )
    assert ray.get(main.ask.remote(main.Child(9))) == ("child of base", 9, True)


def test_a_mutable_class_attribute_of_the_driver_is_not_overwritten(ray, notebook):
    main = notebook(
        "class C:\n    n = 0\n@bolide.remote\ndef bump():\n    C.n += 1\n    return C()"
    )
    assert type(ray.get(main.bump.remote())) is main.C
    assert main.C.n == 0


SCRIPT = """
import bolide as ray

class Item:
    def __init__(self, n): self.n = n

@ray.remote
def make(n):
    return Item(n)

@ray.remote
def add(a, b):
    return Item(a.n + b.n)

ray.init(num_cpus=2)
items = ray.get([make.remote(i) for i in range(5)])
print(all(isinstance(i, Item) for i in items), ray.get(add.remote(items[3], make.remote(4))).n)
"""


def test_a_script_without_a_guard(run_script):
    done = run_script(SCRIPT)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "True 7\n")


def test_a_script_that_never_shuts_down(run_script):
    done = run_script(
        "import bolide\n@bolide.remote\ndef f(x): return x\nprint(bolide.get(f.remote(1)))\n"
        "refs = [f.remote(i) for i in range(100)]\n"
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "1\n")


def test_a_script_from_standard_input_and_c(run_script, tmp_path):
    import subprocess

    source = (
        "import bolide\n@bolide.remote\ndef f(x): return x + 1\nprint(bolide.get(f.remote(1)))\n"
    )
    for command, text in (([sys.executable, "-c", source], None), ([sys.executable, "-"], source)):
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=50, check=False
        )
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "2\n")


def test_a_module_beside_the_script(run_script, tmp_path):
    (tmp_path / "beside.py").write_text(
        "import bolide\nLOADED = 5\nclass Thing:\n    pass\n"
        "@bolide.remote\ndef f(x): return LOADED + x, Thing()\n"
    )
    done = run_script(
        "import bolide, beside\nvalue, thing = bolide.get(beside.f.remote(1))\n"
        "print(value, type(thing) is beside.Thing)\n"
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "6 True\n")


def test_workers_do_not_run_the_script(run_script, tmp_path):
    done = run_script(
        "import bolide, os\nprint('script')\n"
        "@bolide.remote\ndef f(): return os.getpid()\n"
        "print(bolide.get(f.remote()) != os.getpid())\n"
    )
    assert done.stdout == "script\nTrue\n"


def test_an_optimized_script(run_script):
    done = run_script(
        "import bolide\n@bolide.remote\ndef f():\n    assert False\n    return __debug__\n"
        "print(bolide.get(f.remote()))\n",
        "-O",
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "False\n")
