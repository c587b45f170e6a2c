"""The environments of a session, in the driver: from what a task asks for to its workers.

The node says which environments tasks wait for, and gets the settings of their workers and the
command of their template, or why they cannot be made. It is not the description of an environment
(`bolide._runtime_env`), nor the making of what is not there at once (`bolide._environment_making`).

Thread safety: `serve` is called by the service thread alone, the rest by any.
"""

from __future__ import annotations

import os

from . import _job
from ._settings import Prepared, TemplateBase, encode_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import _core
    from ._environment_making import Workshop

_HOME = 0  # the key of the job's environment


class Environments:
    """Those of one session; made by init before the node is."""

    def __init__(self, job: _job.Job) -> None:
        self._base = TemplateBase()
        self._job = job
        self._prepared: dict[int, Prepared] = {}
        self._settings: dict[int, bytes] = {}  # as the node has them
        self._workshop: Workshop | None = None

    def home(self) -> tuple[list[str], list[str], bytes]:
        """The job's environment: argv and variables of its template, settings of its workers; no
        argv if it has to be made first."""
        from ._runtime_env import is_light

        env = self._job.runtime_env
        return self._ready(_light(_HOME, env)) if is_light(env) else ([], [], b"")

    def begin(self, node: _core.Node) -> None:
        """Has the job's environment made, unless it is there or its first task is to do so."""
        if self._job.runtime_env.get("config", {}).get("eager_install", True):
            node.prepare_environment(_HOME)

    def serve(self, node: _core.Node) -> None:
        """Makes what tasks wait for."""
        from ._runtime_env import described, is_light

        for key, description in node.take_environments():
            answer = _Answer(self, node, key)
            try:
                env = described(description) if key != _HOME else self._job.runtime_env
                if is_light(env):
                    answer.ready(_light(key, env))
                    continue
                if self._workshop is None:
                    from ._environment_making import Workshop

                    self._workshop = Workshop()
                self._workshop.make(key, env, answer)
            except Exception as error:  # the thread has other things to do as well
                answer.failed(f"{type(error).__name__}: {error}")

    def refresh(self, node: _core.Node) -> None:
        """Tells the node what workers from now on begin with, where that has changed."""
        for key, prepared in list(self._prepared.items()):
            settings = encode_settings(self._job.fields(), prepared)
            if settings != self._settings[key]:
                self._settings[key] = settings
                node.set_settings(key, settings)

    def stop(self) -> None:
        """Ends what is being made."""
        if self._workshop is not None:
            self._workshop.stop()

    def close(self) -> None:
        """When no worker is left: lets go of the folders."""
        if self._workshop is not None:
            self._workshop.close()

    def _ready(self, prepared: Prepared) -> tuple[list[str], list[str], bytes]:
        command = self._base.command(prepared)
        settings = encode_settings(self._job.fields(), prepared)
        self._settings[prepared.key] = settings
        self._prepared[prepared.key] = prepared
        return *command, settings


class _Answer:
    """Who waits for an environment that is being made."""

    def __init__(self, environments: Environments, node: _core.Node, key: int) -> None:
        self._environments = environments
        self._node = node
        self._key = key

    def ready(self, prepared: Prepared) -> None:
        """It is there."""
        self._node.environment_ready(self._key, *self._environments._ready(prepared))

    def failed(self, sentence: str) -> None:
        """It cannot be made."""
        self._node.environment_failed(self._key, sentence)


def _light(key: int, env: dict[str, Any]) -> Prepared:
    """An environment that is there: the working directory, then the folder that holds each
    module."""
    cwd = env.get("working_dir")
    folders = [] if cwd is None else [cwd]
    folders += [os.path.dirname(path) for path in env.get("py_modules", ())]
    return Prepared(key, env, cwd, tuple(folders))
