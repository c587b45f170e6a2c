"""Programs that benchmarks run in a process of their own, so that nothing ran in it before."""

from pathlib import Path

FOLDER = Path(__file__).parent
