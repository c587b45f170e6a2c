"""How actors end in peace: out of scope, exit_actor, __ray_terminate__; and what is cleaned up.

Ray's page "Terminating Actors". Killing is in tests/python/faults/test_actor_death.py.
"""

from __future__ import annotations

import os

import pytest

import bolide
from bolide.exceptions import ActorDiedError


@bolide.remote
class Cleans:
    """Says what is done when it ends."""

    def __init__(self, journal):
        import atexit

        self.journal = journal
        atexit.register(journal.note, "atexit")

    def work(self, x):
        self.journal.note(f"work {x}")
        return x

    def wait(self, latch):
        latch.wait()
        self.journal.note("waited")

    def leave(self):
        self.journal.note("leaving")
        bolide.actor.exit_actor()

    def __ray_shutdown__(self):
        self.journal.note("shutdown")


ENDED = ["shutdown", "atexit"]


def test_an_actor_ends_when_its_handle_goes_out_of_scope(ray, journal, stats, eventually):
    actor = Cleans.remote(journal)
    assert ray.get(actor.work.remote(1)) == 1
    del actor
    eventually(lambda: journal.lines(), ["work 1", *ENDED])
    eventually(lambda: stats()["actors"], 0)


def test_calls_that_were_submitted_are_run_before_an_actor_ends(ray, journal, eventually):
    refs = [Cleans.remote(journal).work.remote(1)]
    actor = Cleans.remote(journal)
    refs += [actor.work.remote(i) for i in range(2, 5)]
    del actor
    assert ray.get(refs) == [1, 2, 3, 4]
    eventually(
        lambda: sorted(journal.lines()), sorted([*map("work {}".format, range(1, 5)), *2 * ENDED])
    )


def test_an_actor_without_handles_is_still_constructed(ray, journal, eventually):
    @ray.remote
    class Notes:
        def __init__(self):
            journal.note("made")

    Notes.remote()
    eventually(lambda: journal.lines(), ["made"])


def test_a_handle_in_an_object_keeps_the_actor_alive(ray, journal, stats, eventually):
    actor = Cleans.remote(journal)
    ref = ray.put({"deep": [actor]})
    del actor
    assert ray.get(ray.get(ref)["deep"][0].work.remote(1)) == 1
    assert stats()["actors"] == 1
    del ref
    eventually(lambda: stats()["actors"], 0)
    eventually(lambda: journal.lines(), ["work 1", *ENDED])


def test_a_handle_in_a_pending_task_keeps_the_actor_alive(ray, journal, latch, stats, eventually):
    @ray.remote
    def later(actor):
        latch.wait()
        return ray.get(actor.work.remote(7))

    ref = later.remote(Cleans.remote(journal))
    latch.open()
    assert ray.get(ref) == 7
    eventually(lambda: stats()["actors"], 0)


def test_a_handle_in_an_actor_keeps_the_actor_alive(ray, journal, stats, eventually):
    @ray.remote
    class Keeps:
        def __init__(self, actor):
            self.actor = actor

        def use(self):
            return ray.get(self.actor.work.remote(1))

        def drop(self):
            self.actor = None

    keeps = Keeps.remote(Cleans.remote(journal))
    assert ray.get(keeps.use.remote()) == 1
    assert stats()["actors"] == 2
    ray.get(keeps.drop.remote())
    eventually(lambda: stats()["actors"], 1)


def test_handles_in_a_cycle_of_python_objects_go_with_the_garbage(ray, journal, stats, eventually):
    class Cycle:
        pass

    cycle = Cycle()
    cycle.self, cycle.actor = cycle, Cleans.remote(journal)
    assert ray.get(cycle.actor.work.remote(1)) == 1
    del cycle
    eventually(lambda: stats()["actors"], 0)


def test_exit_actor(ray, journal, eventually):
    actor = Cleans.options(max_restarts=5).remote(journal)
    before = actor.work.remote(1)
    leaving, after = actor.leave.remote(), actor.work.remote(2)
    assert ray.get(before) == 1
    for ref in (leaving, after, actor.work.remote(3)):
        with pytest.raises(ActorDiedError, match=r"exit_actor\(\) was called in it"):
            ray.get(ref)
    eventually(lambda: journal.lines(), ["work 1", "leaving", *ENDED])  # it is not started again


def test_exit_actor_outside_of_an_actor_is_a_type_error(ray):
    with pytest.raises(TypeError, match="called on a non-actor worker"):
        ray.actor.exit_actor()

    @ray.remote
    def task():
        ray.actor.exit_actor()

    with pytest.raises(TypeError, match="called on a non-actor worker"):
        ray.get(task.remote())


def test_exit_actor_in_the_constructor(ray):
    @ray.remote
    class Leaves:
        def __init__(self):
            ray.actor.exit_actor()

        def f(self):
            pass

    with pytest.raises(ActorDiedError, match=r"exit_actor\(\) was called in it"):
        ray.get(Leaves.remote().f.remote())


def test_ray_terminate(ray, journal, eventually):
    actor = Cleans.remote(journal)
    refs = [actor.work.remote(i) for i in range(3)]
    end = actor.__ray_terminate__.remote()
    assert ray.get(refs) == [0, 1, 2]
    with pytest.raises(ActorDiedError, match="ended by __ray_terminate__"):
        ray.get(end)
    eventually(lambda: journal.lines(), ["work 0", "work 1", "work 2", *ENDED])


def test_kill_runs_no_cleanup(ray, journal, stats, eventually):
    actor = Cleans.remote(journal)
    assert ray.get(actor.work.remote(1)) == 1
    ray.kill(actor)
    with pytest.raises(ActorDiedError):
        ray.get(actor.work.remote(2))
    eventually(lambda: len(bolide._runtime._node.worker_pids()), 0)
    assert journal.lines() == ["work 1"]


def test_an_exception_in_ray_shutdown_is_printed_and_the_actor_ends(ray, capfd, stats, eventually):
    @ray.remote
    class Fails:
        def f(self):
            return os.getpid()

        def __ray_shutdown__(self):
            raise OSError("cannot clean up")

    actor = Fails.remote()
    ray.get(actor.f.remote())
    del actor
    eventually(lambda: len(bolide._runtime._node.worker_pids()), 0)
    bolide.shutdown()
    assert "__ray_shutdown__ of Fails raised" in capfd.readouterr().err


def test_ray_shutdown_of_an_async_actor(ray, journal, eventually):
    @ray.remote
    class Async:
        async def f(self):
            return 1

        def __ray_shutdown__(self):
            journal.note("shutdown")

    actor = Async.remote()
    assert ray.get(actor.f.remote()) == 1
    del actor
    eventually(lambda: journal.lines(), ["shutdown"])


def test_short_lived_actors_leave_nothing(ray, stats, eventually):
    @ray.remote
    class Short:
        def f(self, x):
            return x

    for _ in range(4):
        actors = [Short.remote() for _ in range(10)]
        assert ray.get([actor.f.remote(i) for i, actor in enumerate(actors)]) == list(range(10))
        del actors
    eventually(lambda: stats()["actors"], 0)
    eventually(lambda: stats()["objects"] - stats()["functions"], 0)
