"""`bolide env`: print what the settings are and where they come from.

It is not the table of settings: that is `bolide._config`, which also writes the text. Starts no
runtime.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`bolide env` takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print `bolide._config.describe()`."""
    from bolide import _config

    print(_config.describe())
    return 0
