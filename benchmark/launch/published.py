"""Published weights: fetched before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark import hub
from benchmark.events import Listener
from benchmark.files import file_digest
from benchmark.matrix.run import AnyRun


def fetch_published(runs: Sequence[AnyRun], listener: Listener) -> dict[str, str | None]:
    """Fetch the published weights that runs start from.

    Returns:
        The sha256 of each file by network; None where timm fetches it from elsewhere.

    Raises:
        NetworkError: they cannot be had.
    """
    digests: dict[str, str | None] = {}
    for network, name in sorted({(run.network, run.spec.starts_from) for run in runs}):
        if not name:
            continue
        from benchmark.networks.published import published_file  # imports timm, which takes seconds

        listener.note(f"published weights of {name}")
        hub.show_bars(listener.shows)
        file = published_file(network)
        digests[network] = file_digest(file) if file else None
    return digests
