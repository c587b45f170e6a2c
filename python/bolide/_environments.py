"""The environments of a session, in the driver: from what a task asks for to its workers.

The node says which environments tasks wait for; the service thread makes them here and answers with
the settings of their workers and the command of their template. It is not the description of one
(`bolide._runtime_env`).

Thread safety: `serve` is called by the service thread alone, `refresh` by any.
"""

from __future__ import annotations

import os

from . import _job
from ._settings import Prepared, TemplateBase, encode_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import _core

_HOME = 0  # the key of the job's environment


class Environments:
    """Those of one session; made by init before the node is."""

    def __init__(self, job: _job.Job) -> None:
        self._base = TemplateBase()
        self._job = job
        self._prepared: dict[int, Prepared] = {}
        self._settings: dict[int, bytes] = {}  # as the node has them

    def prepare(self, key: int, env: dict[str, Any]) -> tuple[list[str], list[str], bytes]:
        """Makes an environment: argv and variables of its template, settings of its workers."""
        prepared = Prepared(key, env, env.get("working_dir"), _folders(env))
        self._prepared[key] = prepared
        self._settings[key] = encode_settings(self._job.fields(), prepared)
        return *self._base.command(prepared), self._settings[key]

    def home(self) -> tuple[list[str], list[str], bytes]:
        """The same for the job's environment."""
        return self.prepare(_HOME, self._job.runtime_env)

    def serve(self, node: _core.Node) -> None:
        """Makes what tasks wait for."""
        from ._runtime_env import described

        for key, description in node.take_environments():
            try:
                argv, variables, settings = self.prepare(key, described(description))
            except Exception as error:
                node.environment_failed(key, f"{type(error).__name__}: {error}")
            else:
                node.environment_ready(key, argv, variables, settings)

    def refresh(self, node: _core.Node) -> None:
        """Tells the node what workers from now on begin with, where that has changed."""
        for key, prepared in list(self._prepared.items()):
            settings = encode_settings(self._job.fields(), prepared)
            if settings != self._settings[key]:
                node.set_settings(key, settings)
                self._settings[key] = settings


def _folders(env: dict[str, Any]) -> tuple[str, ...]:
    """What comes first in sys.path: the working directory, then the folder that holds each
    module."""
    found = [env["working_dir"]] if "working_dir" in env else []
    return (*found, *(os.path.dirname(path) for path in env.get("py_modules", ())))
