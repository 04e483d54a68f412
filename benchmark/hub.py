"""The Hugging Face hub: whether it answers, and whether its client draws."""

from __future__ import annotations

import functools

_PROBE_SECONDS = 10


def endpoint() -> str:
    """Address of the hub."""
    from huggingface_hub import constants

    return constants.ENDPOINT


@functools.cache
def reachable() -> bool:
    """Whether the hub answers at all, within seconds and without retries; asked once a process.

    Without a connection its client tries for half a minute for every file; asked for local files
    alone it answers at once.
    """
    from huggingface_hub import get_session
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        get_session().head(endpoint(), timeout=_PROBE_SECONDS)
    except OfflineModeIsEnabled:
        return False
    except Exception:  # whatever the HTTP library raises means no connection
        return False
    return True


def show_bars(shown: bool) -> None:
    """Let the client draw its progress bars, or not."""
    from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

    (enable_progress_bars if shown else disable_progress_bars)()
