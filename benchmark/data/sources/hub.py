"""A data set of the Hugging Face hub, at the card's pinned revision."""

from __future__ import annotations

import shlex
from pathlib import Path

from benchmark import hub
from benchmark.cards.card import Card, HubSource
from benchmark.cards.fields import SPLITS
from benchmark.data.found import Contents, Found, Surroundings
from benchmark.data.sources.parquet import read_shards
from benchmark.data.sources.shards import find_shards
from benchmark.errors import DataError, first_line


def open(card: Card, source: HubSource, around: Surroundings) -> Found:
    """The files on the hub; they are fetched when they are read."""

    def read() -> Contents:
        folder = fetch(source, around.data_dir, show_progress=around.listener.shows)
        shards = find_shards([folder], source)
        if shards is None:
            globs = ", ".join(glob for split in SPLITS for glob in source.patterns(split))
            raise DataError(
                f"revision {source.revision} of '{source.hub}' has no {globs}. Correct hub, "
                "revision and files in the card."
            )
        around.sums(card, folder).compare(shards.all_files)
        return read_shards(shards, card, source, around)

    return Found(
        f"hub data set {source.hub}, revision {source.revision}",
        (source.revision,),
        read,
        decodes=not source.mixed_sizes,
    )


def fetch(
    source: HubSource, data_dir: Path | None, *, show_progress: bool, to: Path | None = None
) -> Path:
    """The folder with the shards, downloaded or from Hugging Face's own cache.

    Args:
        source: which repository, revision and files.
        data_dir: where the files were looked for before; named in the message.
        show_progress: whether the hub's client draws its bars.
        to: folder for the files; None keeps them in Hugging Face's own cache.

    Raises:
        DataError: the hub cannot be reached, or has no such revision or files.
    """
    import huggingface_hub  # takes a third of a second and is needed for a first start only

    hub.show_bars(show_progress)
    reachable = hub.reachable()
    globs = [glob for split in SPLITS for glob in source.patterns(split)]
    try:
        snapshot = huggingface_hub.snapshot_download(
            source.hub,
            repo_type="dataset",
            revision=source.revision,
            allow_patterns=globs,
            local_files_only=not reachable,
            local_dir=to,
        )
    except Exception as error:  # the HTTP library's own kinds are not OSErrors
        reason = first_line(error) if reachable else hub.no_answer()
        looked = f" It was not in {data_dir} either." if data_dir else ""
        # Some repositories hold far more than the card's two splits.
        files = " ".join(f"--include {shlex.quote(glob)}" for glob in globs)
        raise DataError(
            f"cannot fetch '{source.hub}' from the Hugging Face hub: {reason}{looked}\n"
            "Where there is a connection, run\n"
            f"  hf download --repo-type dataset {source.hub} --revision {source.revision} "
            f"{files} --local-dir DIR/{shlex.quote(source.folder)}\n"
            f"and then give --data DIR, or set KDBENCH_DATA=DIR.{_archives(source)}"
        ) from None
    return Path(snapshot) / source.inside


def _archives(source: HubSource) -> str:
    names = " or ".join(name for copy in source.local for name in (copy.folder, *copy.archives))
    return f" The official archive does as well: {names} in DIR." if names else ""
