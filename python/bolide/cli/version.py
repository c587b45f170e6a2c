"""`bolide version`: one line for bug reports. Starts no runtime."""

from __future__ import annotations

import argparse
import platform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`bolide version` takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print the version of bolide, of Python and of the machine."""
    import bolide

    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"bolide {bolide.__version__} ({python}, {platform.system()} {platform.machine()})")
    return 0
