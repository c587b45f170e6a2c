"""Labels of the node, and `label_selector`: which nodes a task or an actor may run on.

There is one node. A selector travels among the resources of a task as one that nobody has; where
the task's needs are made known to the node it is left out if the node's labels fit. So a task whose
selector does not fit waits like any other that needs what there is not, with the same warning.

Thread safety: functions without state. Follows Ray's page "Use labels to control scheduling".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._job import Job

_PREFIX = "a node with label "
_NODE = "the node with id "  # cpp/node/node_groups.cpp: what asks for this fails
_EXISTS = "exists()"  # a condition that a selector cannot write: NodeLabelSchedulingStrategy has it


def check_labels(labels: Any) -> dict[str, str]:
    """The labels given to init: a dict of strings."""
    labels = {} if labels is None else labels
    if not isinstance(labels, dict):
        raise TypeError(f"labels must be a dict of strings, not {labels!r}")
    for key, value in labels.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"labels must be a dict of strings, but it has {key!r}: {value!r}")
        if key.startswith("ray.io/"):
            raise ValueError(
                f"labels has the key {key!r}, but keys under ray.io/ are the runtime's own; choose "
                "another"
            )
    return dict(labels)


def check_selector(name: str, value: Any) -> dict[str, str]:
    """A selector: keys, and for each "value", "!value", "in(a, b)" or "!in(a, b)"."""
    advice = 'give a dict such as {"zone": "in(a, b)"}'
    if not isinstance(value, dict):
        from ._option_checks import OptionTypeError

        raise OptionTypeError(f"{name} must be a dict of strings, not {value!r}; {advice}.")
    for key, condition in value.items():
        if not isinstance(key, str) or not isinstance(condition, str) or not key:
            raise ValueError(f"{name} has {key!r}: {condition!r}, but takes strings; {advice}.")
        if "(" in condition and _choices(condition.removeprefix("!")) is None:
            raise ValueError(f"{name}[{key!r}] is {condition!r}, which is no condition; {advice}.")
    return dict(value)


def as_resources(selector: dict[str, str]) -> dict[str, int]:
    """What stands for a selector among the resources of a task."""
    return {f"{_PREFIX}{key}={condition}": 1 for key, condition in selector.items()}


def other_node(node_id: str) -> dict[str, int]:
    """What stands for the wish for a certain node."""
    return {f"{_NODE}{node_id}": 1}


def is_condition(name: str) -> bool:
    """Whether what has this name among resources stands for a condition on the node."""
    return name.startswith((_PREFIX, _NODE))


def without_those_that_fit(
    resources: tuple[tuple[str, int], ...], job: Job
) -> tuple[tuple[str, int], ...]:
    """The resources that have to be counted on the node of this job."""
    if not any(is_condition(name) for name, _ in resources):
        return resources
    labels = job.node_labels()
    return tuple(entry for entry in resources if not _holds(entry[0], labels))


def _holds(name: str, labels: dict[str, str]) -> bool:
    """Whether it is a condition that this node meets."""
    if name.startswith(_NODE):
        return name.removeprefix(_NODE) == labels["ray.io/node-id"]
    return name.startswith(_PREFIX) and _fits(name.removeprefix(_PREFIX), labels)


def _fits(text: str, labels: dict[str, str]) -> bool:
    key, _, condition = text.partition("=")
    wanted = condition.removeprefix("!")
    if wanted == _EXISTS:
        return (key in labels) is not condition.startswith("!")
    choices = _choices(wanted) or [wanted]
    return (labels.get(key) in choices) is not condition.startswith("!")


def _choices(text: str) -> list[str] | None:
    """What "in(a, b)" lists; None if it is something else."""
    if not (text.startswith("in(") and text.endswith(")")):
        return None
    return [word.strip().strip("'\"") for word in text[3:-1].split(",")]
