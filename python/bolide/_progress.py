"""A one-line progress bar on stderr, for commands and examples.

It is not a logger and not a notebook widget: where the stream is no terminal nothing is written,
unless `force` says so, and it needs no package. Thread safety: a bar belongs to the thread that
made it. Invariants: at most ten drawings a second plus the last one, whatever the number of
`advance` calls; a drawing never wraps, it is cut to the terminal's width; leaving the `with` block
ends the line.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from types import TracebackType
from typing import TextIO

_SECONDS_BETWEEN_DRAWINGS = 0.1
_BAR_CELLS = 28


class Progress:
    """Counts `advance` calls and shows them: ``label [##..] 1,200/6,000  2,400/s  2 s left``."""

    def __init__(
        self, total: int, label: str = "", *, stream: TextIO | None = None, force: bool = False
    ) -> None:
        self.total = total
        self.done = 0
        self._label = label
        self._stream = sys.stderr if stream is None else stream
        self._shown = force or _is_terminal(self._stream)
        self._started = time.monotonic()
        self._drawn_at = float("-inf")
        self._drawn_length = 0

    def __enter__(self) -> Progress:
        self._draw_if_due()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown:
            self._draw(time.monotonic())
            self._stream.write("\n")
            self._stream.flush()
            self._shown = False

    def advance(self, count: int = 1) -> None:
        """Note that `count` more of `total` are done."""
        self.done += count
        self._draw_if_due()

    def _draw_if_due(self) -> None:
        if not self._shown:
            return
        now = time.monotonic()
        if now - self._drawn_at >= _SECONDS_BETWEEN_DRAWINGS:
            self._draw(now)

    def _draw(self, now: float) -> None:
        self._drawn_at = now
        width = max(shutil.get_terminal_size().columns - 1, 10)
        line = self._line(now - self._started)[:width]
        self._stream.write("\r" + line.ljust(min(self._drawn_length, width)))
        self._stream.flush()
        self._drawn_length = len(line)

    def _line(self, elapsed: float) -> str:
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        filled = int(share * _BAR_CELLS)
        bar = "#" * filled + "." * (_BAR_CELLS - filled)
        rate = self.done / elapsed if elapsed > 0 else 0.0
        if self.done >= self.total:
            rest = f"in {elapsed:.1f} s"
        elif rate > 0:
            rest = f"{(self.total - self.done) / rate:.0f} s left"
        else:
            rest = "starting"
        label = f"{self._label} " if self._label else ""
        return f"{label}[{bar}] {self.done:,}/{self.total:,}  {rate:,.0f}/s  {rest}"


def _is_terminal(stream: TextIO | None) -> bool:
    """Whether `stream` is a terminal that can go back to the start of its line."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # a closed stream
        return False
