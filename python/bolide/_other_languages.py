"""What Ray has for programs in other languages, for another process's runtime and for log records.

bolide runs Python on one machine, so calls into other languages, and Ray's client, are refused with
a sentence; the names are there so that programs which only mention them run.
Thread safety: no state.
"""

from __future__ import annotations

from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class Language(Enum):
    """The languages of Ray's workers; those of bolide are all PYTHON."""

    PYTHON = 0
    JAVA = 1
    CPP = 2


def _refuse(name: str, why: str) -> NoReturn:
    raise NotImplementedError(f"ray.{name}() is not in bolide: {why}")


def java_function(class_name: str, function_name: str) -> NoReturn:
    """Raises NotImplementedError: there are no workers in Java."""
    _refuse("java_function", "its workers run Python only; call a Java program by subprocess")


def java_actor_class(class_name: str) -> NoReturn:
    """Raises NotImplementedError: there are no workers in Java."""
    _refuse("java_actor_class", "its workers run Python only; call a Java program by subprocess")


def cpp_function(function_name: str) -> NoReturn:
    """Raises NotImplementedError: there are no workers in C++."""
    _refuse("cpp_function", "its workers run Python only; bind C++ code with pybind11 or ctypes")


def client(address: str | None = None, **options: Any) -> NoReturn:
    """Raises NotImplementedError: a runtime is in the process that starts it."""
    _refuse("client", "the runtime is in the driver's process; call init() without an address")


class ClientBuilder:
    """Ray's way to connect to a cluster; making one raises NotImplementedError."""

    def __init__(self, address: str | None = None) -> None:
        client(address)


class LoggingConfig:
    """How Ray writes log records; bolide takes it in ``init(logging_config=...)`` without effect.

    Args:
        encoding: "TEXT" or "JSON".
        log_level: of the root logger.
        additional_log_standard_attrs: names of attributes of logging.LogRecord.

    Raises:
        ValueError: an argument is none of these.

    Follows Ray's page "Configuring Logging".
    """

    def __init__(
        self,
        encoding: str = "TEXT",
        log_level: str = "INFO",
        additional_log_standard_attrs: list[str] | None = None,
    ) -> None:
        if encoding not in ("TEXT", "JSON"):
            raise ValueError(f"encoding must be 'TEXT' or 'JSON', not {encoding!r}")
        attributes = list(additional_log_standard_attrs or ())
        for name in attributes:
            if name not in _RECORD:
                raise ValueError(
                    f"additional_log_standard_attrs has {name!r}, but a log record has only "
                    + ", ".join(_RECORD)
                )
        self.encoding = encoding
        self.log_level = log_level
        self.additional_log_standard_attrs = attributes

    def __repr__(self) -> str:
        return f"LoggingConfig(encoding={self.encoding!r}, log_level={self.log_level!r})"


_RECORD = (
    "args", "created", "exc_info", "exc_text", "filename", "funcName", "levelname", "levelno",
    "lineno", "message", "module", "msecs", "msg", "name", "pathname", "process", "processName",
    "relativeCreated", "stack_info", "taskName", "thread", "threadName",
)  # fmt: skip
