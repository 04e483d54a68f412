"""Loading a data set from where its card says, and checking it against the card.

A local folder is looked at first; the Hugging Face hub is asked only for what is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress
from torch import Tensor

from benchmark.data.archive import Archive, find_archive, read_archive
from benchmark.data.cache import Decoded, cached
from benchmark.data.card import SPLITS, Card, DrawnSource, HubSource, SplitName
from benchmark.data.encoded import open_encoded
from benchmark.data.hub import fetch
from benchmark.data.mapped import mapped
from benchmark.data.shards import Shards, check_counts, decode, find_shards, read_tables
from benchmark.data.sketches import SketchSpec, class_names, draw
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.errors import DataError

_FORMAT = 1
"""Raised when what is kept of a decoded image changes, so that older files are not read."""


def load_data(
    card: Card, data_dir: Path | None, cache_dir: Path, *, console: Console | None = None
) -> DataSet:
    """Load a data set and check it against its card.

    Args:
        card: says what to load.
        data_dir: folder that is looked at before anything is fetched (``--data``).
        cache_dir: where decoded images are kept.
        console: shows the progress of decoding, drawing and fetching; None shows nothing.

    Raises:
        DataError: the data are missing, damaged, or not what the card says.
    """
    if data_dir is not None and not data_dir.is_dir():
        fault = "is not a folder" if data_dir.exists() else "does not exist"
        raise DataError(f"the data folder {data_dir} {fault}. Correct --data or KDBENCH_DATA.")
    if isinstance(card.source, DrawnSource):
        return _drawn(card, card.source, cache_dir, console)
    source = card.source
    folders = _local_folders(source, data_dir)
    if (shards := find_shards(folders, source)) is not None:
        return _from_shards(card, source, shards, cache_dir, console)
    if source.archive and (archive := find_archive(folders, source.archive)) is not None:
        return _from_archive(card, source, archive, cache_dir)
    if data_dir is not None and (data_dir / source.folder).is_dir():
        raise DataError(_nothing_there(data_dir / source.folder, source))
    return _from_hub(card, source, data_dir, cache_dir, console)


def _local_folders(source: HubSource, data_dir: Path | None) -> list[Path]:
    """Where in the data folder the files may lie; some copies keep the repository's subfolder."""
    if data_dir is None:
        return []
    inside = Path(source.files["train"]).parent
    folders = [
        data_dir / source.folder,
        data_dir / source.folder / inside,
        data_dir / inside,
        data_dir,
    ]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _nothing_there(folder: Path, source: HubSource) -> str:
    wanted = " and ".join(Path(source.files[split]).name for split in SPLITS)
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    archive = f", or the archive's folder '{source.archive}'" if source.archive else ""
    return (
        f"{folder} holds no data set: wanted {wanted}{archive}; found {found}.\n"
        f"Put the files of the hub data set '{source.hub}' there, or take the folder away to "
        "have them fetched."
    )


def _from_shards(
    card: Card, source: HubSource, shards: Shards, cache_dir: Path, console: Console | None
) -> DataSet:
    names = check_counts(shards, card, source)
    origin = f"parquet files in {shards.folder}"
    key = [(path.name, *_stamp(path)) for path in shards.all_files]
    if source.mixed_sizes:
        splits = open_encoded(shards, source, cache_dir)
        return _checked(card, _mapped(card, cache_dir, key, splits, console), names, origin)
    return _from_cache(card, cache_dir, key, lambda: _decode(card, source, shards, console), origin)


def _from_archive(card: Card, source: HubSource, archive: Archive, cache_dir: Path) -> DataSet:
    for path in archive.files:
        if not path.is_file():
            raise DataError(
                f"{path} is missing. The folder of the official archive holds train, test and "
                "meta; unpack the archive again."
            )
    key = [(path.name, *_stamp(path)) for path in archive.files]
    origin = f"official archive {archive.path}"
    return _from_cache(card, cache_dir, key, lambda: read_archive(archive, source.label), origin)


def _from_hub(
    card: Card, source: HubSource, data_dir: Path | None, cache_dir: Path, console: Console | None
) -> DataSet:
    def shards() -> Shards:
        folder = fetch(source, data_dir, show_progress=console is not None)
        found = find_shards([folder], source)
        if found is None:
            raise DataError(f"revision {source.revision} of '{source.hub}' has no such files.")
        return found

    origin = f"hub data set {source.hub}, revision {source.revision}"
    if source.mixed_sizes:
        fetched = shards()
        names = check_counts(fetched, card, source)
        splits = open_encoded(fetched, source, cache_dir)
        splits = _mapped(card, cache_dir, [source.revision], splits, console)
        return _checked(card, splits, names, origin)

    def make() -> Decoded:
        fetched = shards()
        check_counts(fetched, card, source)
        return _decode(card, source, fetched, console)

    return _from_cache(card, cache_dir, [source.revision], make, origin)


def _drawn(card: Card, source: DrawnSource, cache_dir: Path, console: Console | None) -> DataSet:
    specs = {
        split: SketchSpec(
            families=source.families,
            species=source.species,
            images_per_class=count,
            split=split,
            seed=source.seed,
            size=card.image_size,
        )
        for split, count in zip(
            SPLITS, (source.train_per_class, source.test_per_class), strict=True
        )
    }

    def make() -> Decoded:
        images: dict[SplitName, Tensor] = {}
        labels: dict[SplitName, Tensor] = {}
        total = sum(spec.classes * spec.images_per_class for spec in specs.values())
        with _progress(console, f"drawing {card.title}", total) as advance:
            for split, spec in specs.items():
                pixels, numbers = draw(spec)
                images[split], labels[split] = torch.from_numpy(pixels), torch.from_numpy(numbers)
                advance(len(numbers))
        return Decoded(images, labels, tuple(class_names(specs["train"])))

    return _from_cache(card, cache_dir, [], make, f"drawn, revision {source.revision}")


def _decode(card: Card, source: HubSource, shards: Shards, console: Console | None) -> Decoded:
    """Decode both splits of equally large images."""
    images: dict[SplitName, Tensor] = {}
    labels: dict[SplitName, Tensor] = {}
    with _progress(console, f"decoding {card.title}", sum(card.splits.values())) as advance:
        for split in SPLITS:
            images[split], labels[split] = decode(
                read_tables(shards, split, source),
                source,
                images=card.splits[split],
                edge=card.image_size,
                advance=advance,
            )
    return Decoded(images, labels, check_counts(shards, card, source))


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last change: what tells one version of a file from another."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _from_cache(
    card: Card, cache_dir: Path, key: Sequence[object], make: Callable[[], Decoded], origin: str
) -> DataSet:
    """The decoded data set, from the cache if it holds what belongs to this source and key."""
    decoded = cached(_cache_name(card, cache_dir, key).with_suffix(".safetensors"), make)
    splits = {split: ImageSplit(decoded.images[split], decoded.labels[split]) for split in SPLITS}
    return _checked(card, splits, decoded.class_names, origin)


def _mapped(
    card: Card,
    cache_dir: Path,
    key: Sequence[object],
    splits: Mapping[SplitName, ImageSplit],
    console: Console | None,
) -> dict[SplitName, ImageSplit]:
    """The splits, with every list of images decoded once and mapped from a file.

    Args:
        card: gives the image size.
        cache_dir: where the files are kept.
        key: tells one version of the data from another.
        splits: of images in lists, which decode them one by one.
        console: shows the progress.
    """
    name = _cache_name(card, cache_dir, key)
    result: dict[SplitName, ImageSplit] = {}
    for split, part in splits.items():
        images = part.images
        if not isinstance(images, Tensor):
            images = mapped(
                images,
                image_size=card.image_size,
                path=name.with_name(f"{name.name}-{split}.pixels"),
                title=f"{card.title}, {split}",
                console=console,
            )
        result[split] = ImageSplit(images, part.labels)
    return result


def _cache_name(card: Card, cache_dir: Path, key: Sequence[object]) -> Path:
    """Where decoded images are kept that belong to this source and key, without a suffix."""
    parts = [_FORMAT, card.source.model_dump(mode="json"), card.image_size, key]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return cache_dir / card.name / digest


def _checked(
    card: Card, splits: dict[SplitName, ImageSplit], names: tuple[str, ...], origin: str
) -> DataSet:
    """Compare with the card what can be compared once the data are open."""
    if names and len(names) != card.classes:
        raise DataError(
            f"{origin}: there are {len(names)} class names, the card says classes = "
            f"{card.classes}. Correct the card, or its label column."
        )
    for split, part in splits.items():
        where = f"{origin}, split '{split}'"
        if len(part) != card.splits[split]:
            raise DataError(
                f"{where} has {len(part):,} images, the card says {card.splits[split]:,}. "
                "Fetch the files again, or correct the card."
            )
        low, high = int(part.labels.min()), int(part.labels.max())
        if low < 0 or high >= card.classes:
            raise DataError(
                f"{where} has labels from {low} to {high}, the card says 0 to "
                f"{card.classes - 1}. Correct classes or the label column in the card."
            )
        size = (card.image_size, card.image_size, 3)
        if isinstance(part.images, Tensor) and part.images.shape[1:] != size:
            height, width = part.images.shape[1:3]
            raise DataError(
                f"{where} has images of {width}x{height} pixels, the card says image_size = "
                f"{card.image_size}. Correct the card."
            )
    return DataSet(
        card=card,
        train=splits["train"],
        test=splits["test"],
        class_names=names or tuple(str(label) for label in range(card.classes)),
        origin=origin,
    )


@contextmanager
def _progress(console: Console | None, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on the console; what it gives is told how much more is done."""
    if console is None:
        yield lambda _: None
        return
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as bar:
        task = bar.add_task(title, total=total)
        yield lambda more: bar.advance(task, more)
