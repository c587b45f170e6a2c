"""What Modin imports from `ray.data` when it is loaded; Ray's datasets are not in bolide."""

from bolide import _drop_in


def from_pandas_refs(*args: object, **kwargs: object) -> None:
    """Not there: datasets are made by no part of bolide yet."""
    raise NotImplementedError(_drop_in.refusal("ray.data.from_pandas_refs"))


def __getattr__(name: str) -> object:
    raise AttributeError(_drop_in.refusal(f"ray.data.{name}"))
