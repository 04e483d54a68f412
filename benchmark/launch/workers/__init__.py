"""Launchers and what stands on their other side: the workers of this machine."""
