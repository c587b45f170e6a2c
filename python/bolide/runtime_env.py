"""Runtime environments: what Ray has in ``ray.runtime_env``, as far as bolide carries it out."""

from ._runtime_env import RuntimeEnv, RuntimeEnvConfig

__all__ = ["RuntimeEnv", "RuntimeEnvConfig"]
