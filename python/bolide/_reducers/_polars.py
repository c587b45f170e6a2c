"""Polars: frames and series, by way of Arrow, which shares their memory.

Polars pickles a copy in Arrow's stream format, and reads a copy of that. Where pyarrow is installed
(polars itself imports it for `to_arrow`), the columns travel as Arrow arrays instead, and come back
over the memory of the store. What Arrow cannot say (Int128, Object) is left to Polars.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SMALL = 4096  # bytes below which Polars' own pickle is cheaper than the detour


def reducers(polars: Any) -> dict[type, Callable[[Any], Any]]:
    """Type -> reducer."""
    return {polars.DataFrame: reduce_frame, polars.Series: reduce_series}


def reduce_frame(frame: Any) -> Any:
    """A polars.DataFrame."""
    table = None
    if frame.width and frame.estimated_size() >= SMALL:
        table = _to_arrow(frame)
    return frame.__reduce_ex__(5) if table is None else (rebuild_frame, (table,))


def reduce_series(series: Any) -> Any:
    """A polars.Series."""
    table = None
    if series.estimated_size() >= SMALL:
        table = _to_arrow(series.to_frame())
    return series.__reduce_ex__(5) if table is None else (rebuild_series, (table,))


def rebuild_frame(table: Any) -> Any:
    """Makes it again over the table's memory."""
    import polars

    return polars.from_arrow(table)


def rebuild_series(table: Any) -> Any:
    """Makes it again over the memory of the table's one column."""
    return rebuild_frame(table).to_series()


def _to_arrow(frame: Any) -> Any:
    """The frame as a pyarrow.Table over the same memory, or None where that cannot be."""
    import polars

    try:
        table = frame.to_arrow(compat_level=polars.CompatLevel.newest())
    except Exception:  # no pyarrow, one that is too old, or a type that Arrow does not have
        return None
    return None if any(_holds_addresses(field.type) for field in table.schema) else table


def _holds_addresses(kind: Any) -> bool:
    """Whether an Arrow type is that of polars.Object, whose items are addresses in this process."""
    import pyarrow

    if pyarrow.types.is_fixed_size_binary(kind):
        return True
    return any(_holds_addresses(kind.field(i).type) for i in range(kind.num_fields))
