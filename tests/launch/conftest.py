"""Sessions on the tiny card."""

from tests.support.sessions import execute, session

__all__ = ["execute", "session"]
