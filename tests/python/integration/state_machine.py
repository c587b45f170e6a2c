"""How the tests with random operations run hypothesis's state machines. Not a test itself."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test


def run_machine(machine, examples, steps, number):
    """Runs `examples` programs of up to `steps` operations; `number` is the seed of all of them."""
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a program that fails is run once more, not made shorter
            suppress_health_check=list(HealthCheck),
        ),
    )
