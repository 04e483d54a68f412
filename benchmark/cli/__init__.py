"""The command line."""

from benchmark.cli.app import main

__all__ = ["main"]
