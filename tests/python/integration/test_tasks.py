"""Remote functions: what goes in, what comes out, what a call may look like."""

from __future__ import annotations

import functools
import os

import pytest

import bolide


@bolide.remote
def of_module(x, y=10, *rest, z=100, **more):
    return x, y, rest, z, more


def test_first_program_of_ray(ray):
    @ray.remote
    def multiply(x):
        return x * 2

    assert ray.get([multiply.remote(i) for i in range(10)]) == list(range(0, 20, 2))


def test_runs_in_another_process(ray):
    @ray.remote
    def pid():
        return os.getpid()

    assert ray.get(pid.remote()) not in (os.getpid(), os.getppid())


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, -1, 2**62, -(2**63), 2**63 - 1, 2**63, -(2**64), 10**40, 0.0, -0.0,
        1.5, float("inf"), "", "a", "ä€😀", "a\0b", b"", b"\0\1", bytearray(b"x"), (), (1,),
        (1, ("a", (None, 2.0))), [], [1, [2]], {}, {"a": {1: 2}}, {1, 2}, frozenset({3}), 1j,
        range(5), slice(1, 2), ..., NotImplemented, int, len, "x" * 100_000, b"y" * 100_000,
        list(range(10_000)), tuple(range(300)),
    ],
    ids=lambda v: f"{type(v).__name__}-{str(v)[:12]!r}",
)  # fmt: skip
def test_values_come_back_equal(ray, value):
    @ray.remote
    def same(x):
        return x

    back = ray.get(same.remote(value))
    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value)  # tells -0.0 from 0.0
    assert ray.get(ray.put(value)) == value


def test_lone_surrogates_travel(ray):
    @ray.remote
    def same(x):
        return x

    assert ray.get(same.remote("\ud800")) == "\ud800"


def test_subclasses_of_builtins_keep_their_type(ray):
    class Celsius(float):
        pass

    class Name(str):
        pass

    class Point(tuple):
        pass

    @ray.remote
    def same(x):
        return x

    for value in (Celsius(2), Name("n"), Point((1, 2))):
        back = ray.get(same.remote(value))
        assert (type(back), back) == (type(value), value)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1,), {}),
        ((1, 2), {}),
        ((1, 2, 3, 4), {}),
        ((), {"x": 1}),
        ((1,), {"z": 5}),
        ((1,), {"other": 6, "y": 7}),
        ((1, 2, 3), {"z": 1, "a": 2, "ä": 3}),
    ],
)
def test_arguments_bind_as_in_a_call(ray, args, kwargs):
    def plain(x, y=10, *rest, z=100, **more):
        return x, y, rest, z, more

    assert ray.get(of_module.remote(*args, **kwargs)) == plain(*args, **kwargs)


@pytest.mark.parametrize("call", [((), {}), ((1,), {"x": 2})])
def test_wrong_arguments_raise_at_once(ray, call):
    args, kwargs = call
    with pytest.raises(TypeError, match=r"of_module\.remote\(\): .*'x'"):
        of_module.remote(*args, **kwargs)


def test_too_many_arguments_raise_at_once(ray):
    @ray.remote
    def one(x):
        return x

    with pytest.raises(TypeError, match="too many positional arguments"):
        one.remote(1, 2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'y'"):
        one.remote(1, y=2)
    assert ray.get(one.remote(3)) == 3


def test_a_direct_call_says_what_to_do(ray):
    with pytest.raises(TypeError, match=r"cannot be called directly.*of_module\.remote\(\)"):
        of_module(1)


def test_references_as_arguments_become_values(ray):
    @ray.remote
    def add(x, y=0):
        return x + y

    first = add.remote(1, 2)
    assert ray.get(add.remote(first, ray.put(4))) == 7
    assert ray.get(add.remote(first, y=first)) == 6
    assert ray.get(add.remote(x=add.remote(add.remote(1, 1), 1), y=1)) == 4


def test_nested_references_stay_references(ray):
    @ray.remote
    def kinds(items, named):
        return [type(i).__name__ for i in items], ray.get([*items, named["r"]])

    refs = [ray.put(1), ray.put("b" * 20_000)]
    names, values = ray.get(kinds.remote(refs, {"r": refs[0]}))
    assert names == ["ObjectRef", "ObjectRef"]
    assert values == [1, "b" * 20_000, 1]


def test_a_chain_of_a_thousand_tasks(ray):
    @ray.remote
    def add_one(x):
        return x + 1

    ref = ray.put(0)
    for _ in range(1000):
        ref = add_one.remote(ref)
    assert ray.get(ref) == 1000


def test_a_tree_of_tasks(ray):
    @ray.remote
    def add(x, y):
        return x + y

    refs = [ray.put(i) for i in range(256)]
    while len(refs) > 1:
        refs = [add.remote(*pair) for pair in zip(refs[::2], refs[1::2])]
    assert ray.get(refs[0]) == sum(range(256))


def test_a_dependency_on_a_task_that_waits(ray, latch):
    @ray.remote
    def first():
        latch.wait()
        return 1

    @ray.remote
    def second(x):
        return x + 1

    slow = first.remote()
    refs = [second.remote(slow) for _ in range(50)]
    assert ray.wait(refs, timeout=0)[0] == []
    latch.open()
    assert ray.get(refs) == [2] * 50


def test_a_failed_dependency_fails_what_depends_on_it(ray, journal):
    @ray.remote
    def fail():
        raise KeyError("lost")

    @ray.remote
    def never(x):
        journal.note("ran")

    with pytest.raises(KeyError, match="lost"):
        ray.get(never.remote(never.remote(fail.remote())))
    assert journal.lines() == []


def test_the_order_of_results_is_the_order_of_references(ray, make_latch):
    latches = [make_latch() for _ in range(2)]

    @ray.remote
    def wait_at(i):
        latches[i].wait()
        return i

    refs = [wait_at.remote(0), wait_at.remote(1)]
    latches[1].open()
    assert ray.wait(refs) == ([refs[1]], [refs[0]])
    latches[0].open()
    assert ray.get(refs) == [0, 1]


def test_every_get_is_fresh(ray):
    @ray.remote
    def make():
        return [1]

    for ref in (make.remote(), ray.put([1])):
        ray.get(ref).append(2)
        assert ray.get(ref) == [1]


def test_a_task_gets_its_own_copy(ray):
    @ray.remote
    def grow(items):
        items.append(len(items))
        return items

    items = [7]
    assert ray.get([grow.remote(items) for _ in range(3)]) == [[7, 1]] * 3
    shared = ray.put(items)
    assert ray.get([grow.remote(shared) for _ in range(3)]) == [[7, 1]] * 3
    assert items == [7]


def test_closures_and_lambdas(ray):
    base = [1, 2]

    def helper(x):
        return [*base, x]

    @ray.remote
    def use(x):
        return helper(x)

    assert ray.get(use.remote(3)) == [1, 2, 3]
    assert ray.get(ray.remote(lambda x: x**2).remote(7)) == 49


def test_callables_that_are_no_functions(ray):
    class Adder:
        def __init__(self, base):
            self.base = base

        def __call__(self, x):
            return self.base + x

    assert ray.get(ray.remote(Adder(5)).remote(1)) == 6
    assert ray.get(ray.remote(functools.partial(pow, 2)).remote(5)) == 32
    assert ray.get(ray.remote(len).remote([1, 2])) == 2
    assert ray.get(ray.remote(Adder(5).__call__).remote(2)) == 7


def test_functions_as_arguments_and_results(ray):
    @ray.remote
    def call(f, x):
        return f(x), lambda y: y + x

    value, function = ray.get(call.remote(lambda x: x * 3, 4))
    assert (value, function(1)) == (12, 5)


def test_names_and_docs_of_the_function_remain(ray):
    @ray.remote
    def documented(x):
        """Says what it does."""
        return x

    assert documented.__name__ == "documented"
    assert documented.__doc__ == "Says what it does."
    assert documented.__wrapped__(3) == documented._function(3) == 3
    assert repr(documented).startswith("RemoteFunction(")


def test_environment_and_folder_are_the_drivers(monkeypatch, tmp_path, ray):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSWER", "42")

    @ray.remote
    def where():
        return os.getcwd(), os.environ["ANSWER"]

    assert ray.get(where.remote()) == (str(tmp_path), "42")


def test_the_search_path_is_the_drivers_also_when_it_has_changed(monkeypatch, tmp_path, ray):
    (tmp_path / "found_later.py").write_text("WHAT = 'found'\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    @ray.remote
    def find():
        import found_later

        return found_later.WHAT

    assert ray.get(find.remote()) == "found"


def test_a_task_that_waits_holds_up_no_other(ray, latch):
    @ray.remote
    def long():
        latch.wait()
        return "long"

    @ray.remote
    def short(i):
        return i

    slow = long.remote()
    assert ray.get([short.remote(i) for i in range(500)]) == list(range(500))
    latch.open()
    assert ray.get(slow) == "long"


def test_a_task_behind_another_can_release_it(ray, latch, tmp_path):
    flag = tmp_path / "flag.open"

    @ray.remote
    def first():
        latch.wait()
        return flag.exists()

    @ray.remote
    def second():
        flag.touch()

    a = first.remote()
    ray.get(second.remote())
    latch.open()
    assert ray.get(a) is True
