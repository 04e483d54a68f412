"""Identities of runs that are made by hand."""

from __future__ import annotations

import hashlib


def identity_for(name: str) -> str:
    """An identity in the form that every run's has, the same for equal names."""
    return hashlib.sha256(name.encode()).hexdigest()
