"""Weights that grow at the beginning of the training."""

from __future__ import annotations


def warmed_up(progress: float, warmup: float) -> float:
    """A factor that grows evenly from 0 to 1 while the progress goes from 0 to ``warmup``."""
    return min(progress / warmup, 1.0) if warmup else 1.0
