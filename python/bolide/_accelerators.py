"""GPUs: which there are, and which of them a task sees.

The core gives out devices by number (`cpp/sched/devices.h`); what a number is called is said here.
It asks no driver library: NVIDIA's kernel module lists its devices below /proc.

Thread safety: `show` is called between tasks, on the thread that runs them.
Follows Ray's page "Accelerator support".
"""

from __future__ import annotations

import os
from itertools import takewhile

_VARIABLE = "CUDA_VISIBLE_DEVICES"
_NONE = "-1", "NoDevFiles"  # what programs write there for no GPU
_DEVICES = "/proc/driver/nvidia/gpus"

_known: list[str] = []  # what devices 0, 1, ... of the node are called
_shown: list[str] = []  # those of the task that runs


def find(num_gpus: float | None) -> tuple[float, list[str]]:
    """How many GPUs the node has, and what each is called.

    Args:
        num_gpus: what the user said; None to count them.

    Raises:
        ValueError: CUDA_VISIBLE_DEVICES names fewer than the user said.
    """
    visible = os.environ.get(_VARIABLE)
    names = None if visible is None else _named(visible)
    if num_gpus is None:
        names = [str(i) for i in range(len(_listed()))] if names is None else names
        return float(len(names)), names
    if names is not None and num_gpus > len(names):
        raise ValueError(
            f"num_gpus is {num_gpus:g}, but {_VARIABLE} names {len(names)} GPUs ({visible!r}); ask "
            "for no more, or change the variable"
        )
    return num_gpus, names or [str(i) for i in range(-int(-num_gpus // 1))]


def _named(visible: str) -> list[str]:
    """The GPUs that a value of CUDA_VISIBLE_DEVICES names: for CUDA it ends at one that is none."""
    words = (word.strip() for word in visible.split(","))
    return [word for word in takewhile(lambda word: word not in _NONE, words) if word]


def kind() -> str | None:
    """What Ray calls the kind of this machine's GPUs, as in accelerator_type; None without any."""
    for device in _listed():
        import re  # takes milliseconds, which a start-up without a GPU need not pay

        try:
            with open(os.path.join(_DEVICES, device, "information"), encoding="utf-8") as file:
                model = re.search(r"^Model:\s*(?:NVIDIA\s+)?\w+\s+([A-Z0-9]+)", file.read(), re.M)
        except OSError:
            continue
        if model is not None:
            return model[1]
    return None


def enter(names: list[str]) -> None:
    """In a new worker: the node has these GPUs, and no task has one yet."""
    global _known
    _known = names
    if names:
        show([])


def show(devices: list[int]) -> None:
    """Before a task: it has these devices."""
    global _shown
    _shown = [_known[device] for device in devices]
    os.environ[_VARIABLE] = ",".join(_shown)


def shown() -> list[str]:
    """The GPUs of the task that runs, by name; none in the driver."""
    return list(_shown)


def get_gpu_ids() -> list[int | str]:
    """The GPUs that the task or actor may use; none in the driver.

    Returns:
        Numbers as CUDA_VISIBLE_DEVICES has them; names where it has names.

    Example:
        >>> get_gpu_ids()  # in a task with num_gpus=1
        [0]

    Follows Ray's page "ray.get_gpu_ids".
    """
    return [int(name) if name.isdigit() else name for name in _shown]


def _listed() -> list[str]:
    try:
        return sorted(os.listdir(_DEVICES))
    except OSError:
        return []
