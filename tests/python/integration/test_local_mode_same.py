"""What tests say of calls in workers holds with `init(local_mode=True)` too: they run here again.

`DIFFERENT` names those that cannot, and why.
"""

from __future__ import annotations

import importlib
import inspect

import pytest

import bolide

MODULES = [
    importlib.import_module(f"{__package__}.test_{name}")
    for name in (
        "actors", "actors_async", "actors_context", "actors_generators", "actors_handles",
        "actors_methods", "actors_named", "actors_terminating", "actors_threads", "cancel",
        "completed", "generator_returns", "get_wait", "nested", "retry_exceptions", "streaming",
        "streaming_actors", "streaming_ends", "streaming_limits", "tasks",
    )
]  # fmt: skip
_ONE_THREAD = "code of a task or of a serial actor waits for the test"
DIFFERENT = {
    "test_each_actor_runs_in_its_own_process": "all run in this one",
    "test_actor_methods_do_not_run_in_workers_of_tasks": "all run in this one",
    "test_output_begins_with_the_class_or_the_repr": "output needs no mark here",
    "test_output_of_coroutines_begins_with_the_class": "output needs no mark here",
    "test_calls_of_async_actors_may_overtake": _ONE_THREAD,
    "test_cancelling_a_call_that_has_not_begun": _ONE_THREAD,
    "test_cancelling_a_call_behind_one_that_waits_for_an_object": _ONE_THREAD,
    "test_cancelling_a_call_before_the_actor_exists": _ONE_THREAD,
    "test_force_is_refused_for_calls_of_actors": _ONE_THREAD,
    "test_a_slow_task_holds_back_no_other": _ONE_THREAD,
    "test_what_ends_a_task_on_purpose_is_not_retried": "Ctrl-C ends the program",
    "test_was_current_actor_reconstructed": "it kills its process, which is the test's here",
    "test_runs_in_another_process": "all run in this one",
}
# Where code of a task waits for the test, or the test looks at workers.
NEEDS_WORKERS = {"latch", "make_latch", "channel", "run_script", "sleepy", "stats", "eventually"}
EVEN_SO = {"test_actors_async", "test_actors_threads"}


@pytest.fixture
def ray(leaves_nothing):
    bolide.init(num_cpus=2, local_mode=True)
    yield bolide
    bolide.shutdown()


def _kills(test):
    """Whether it kills its process, which is the test's here."""
    source = inspect.getsource(test)
    return "os.kill(" in source or "os._exit(" in source


def _tests():
    for module in MODULES:
        of = module.__name__.rpartition(".")[2]
        for name, test in vars(module).items():
            if type(test).__name__ == "FixtureFunctionDefinition":
                yield name, test
            elif name.startswith("test_") and name not in DIFFERENT:
                needed = set(inspect.signature(test).parameters)
                if (of in EVEN_SO or not needed & NEEDS_WORKERS) and not _kills(test):
                    yield f"{of}_{name[5:]}", test


globals().update(_tests())
