"""Tests that break things: kills, disks that fail, damaged files, races.

The suite runs a short form with fixed seeds; ``make torture`` the long one, see ``amounts.py``.
"""
