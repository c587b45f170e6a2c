"""ray-ease and others name the type of what `ray.init` returns by this."""

from bolide._context import RayContext

BaseContext = RayContext

__all__ = ["BaseContext", "RayContext"]
