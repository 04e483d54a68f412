"""Loading a data set from where its card says, and checking it against the card.

A local folder is looked at first; the Hugging Face hub is asked only for what is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from benchmark.cards.card import (
    SPLITS,
    Card,
    DrawnSource,
    FolderSource,
    HubSource,
    Protocol,
    SplitName,
)
from benchmark.data.kept.cache import Decoded, cached
from benchmark.data.kept.mapped import mapped
from benchmark.data.progress import bar
from benchmark.data.sources.archive import Archive, find_archive, read_archive
from benchmark.data.sources.encoded import open_encoded
from benchmark.data.sources.files import open_files
from benchmark.data.sources.hub import fetch
from benchmark.data.sources.local import find_folder, find_local, read_folder
from benchmark.data.sources.shards import Shards, check_counts, decode, find_shards, read_tables
from benchmark.data.splits import DataSet, ImageSplit
from benchmark.errors import DataError
from benchmark.sketches import SketchSpec, class_names, draw

_FORMAT = 1
"""Raised when what is kept of a decoded image changes, so that older files are not read."""


def load_data(
    card: Card,
    data_dir: Path | None,
    cache_dir: Path,
    *,
    protocol: Protocol | None = None,
    console: Console | None = None,
) -> DataSet:
    """Load a data set to train on: images of different sizes are decoded once and kept.

    Args:
        card: says what to load.
        data_dir: folder that is looked at before anything is fetched (``--data``).
        cache_dir: where decoded images are kept.
        protocol: its image size stands in the card of the result, if it asks for one.
        console: shows the progress of decoding, drawing and fetching; None shows nothing.

    Raises:
        DataError: the data are missing, damaged, or not what the card says.
    """
    data = open_data(card, data_dir, cache_dir, console=console)
    if protocol is not None:
        data = replace(data, card=card.for_protocol(protocol))
    return _mapped(data, cache_dir, console)


def open_data(
    card: Card, data_dir: Path | None, cache_dir: Path, *, console: Console | None = None
) -> DataSet:
    """Find a data set and check it against its card; images of different sizes stay encoded.

    Args:
        card: says what to open.
        data_dir: folder that is looked at before anything is fetched (``--data``).
        cache_dir: where decoded images of one size are kept.
        console: shows the progress of decoding, drawing and fetching; None shows nothing.

    Raises:
        DataError: the data are missing, damaged, or not what the card says.
    """
    if data_dir is not None and not data_dir.is_dir():
        fault = "is not a folder" if data_dir.exists() else "does not exist"
        raise DataError(f"the data folder {data_dir} {fault}. Correct --data or KDBENCH_DATA.")
    if isinstance(card.source, DrawnSource):
        return _drawn(card, card.source, cache_dir, console)
    if isinstance(card.source, FolderSource):
        folder = find_folder(card.source, data_dir)
        listing = read_folder(card.source, folder)
        splits, names = open_files(listing), listing.class_names
        return _checked(card, splits, names, f"images in {folder}", listing.stamps())
    source = card.source
    folders = _local_folders(source, data_dir)
    if (shards := find_shards(folders, source)) is not None:
        return _from_shards(card, source, shards, cache_dir, console)
    if source.archive and (archive := find_archive(folders, source.archive)) is not None:
        return _from_archive(card, source, archive, cache_dir)
    if (found := find_local(source, data_dir, cache_dir)) is not None:
        listing, place = found
        splits, names = _kept(source, open_files(listing), listing.class_names)
        return _checked(card, splits, names, f"official archive {place}", listing.stamps())
    if data_dir is not None and (data_dir / source.folder).is_dir():
        raise DataError(_nothing_there(data_dir / source.folder, source))
    return _from_hub(card, source, data_dir, cache_dir, console)


def _local_folders(source: HubSource, data_dir: Path | None) -> list[Path]:
    """Where in the data folder the files may lie; some copies keep the repository's subfolder."""
    if data_dir is None:
        return []
    inside = source.inside
    folders = [
        data_dir / source.folder,
        data_dir / source.folder / inside,
        data_dir / inside,
        data_dir,
    ]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def _nothing_there(folder: Path, source: HubSource) -> str:
    globs = [Path(glob).name for split in SPLITS for glob in source.patterns(split)]
    wanted = " and ".join(globs)
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    archives = [source.archive] if source.archive else []
    archives += [name for copy in source.local for name in (copy.folder, *copy.archives)]
    names = " or ".join(f"'{name}'" for name in archives)
    archive = f", or the official archive {names}" if archives else ""
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
        splits, names = _kept(source, open_encoded(shards, source, cache_dir), names)
        return _checked(card, splits, names, origin, key)
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
            globs = ", ".join(glob for split in SPLITS for glob in source.patterns(split))
            raise DataError(
                f"revision {source.revision} of '{source.hub}' has no {globs}. Correct hub, "
                "revision and files in the card."
            )
        return found

    origin = f"hub data set {source.hub}, revision {source.revision}"
    if source.mixed_sizes:
        fetched = shards()
        names = check_counts(fetched, card, source)
        splits, names = _kept(source, open_encoded(fetched, source, cache_dir), names)
        return _checked(card, splits, names, origin, [source.revision])

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
        with bar(console, f"drawing {card.title}", total) as advance:
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
    with bar(console, f"decoding {card.title}", sum(card.splits.values())) as advance:
        for split in SPLITS:
            images[split], labels[split] = decode(
                read_tables(shards, split, source),
                source,
                images=card.splits[split],
                edge=card.image_size,
                advance=advance,
            )
    return Decoded(images, labels, check_counts(shards, card, source))


def _kept(
    source: HubSource, splits: dict[SplitName, ImageSplit], names: tuple[str, ...]
) -> tuple[dict[SplitName, ImageSplit], tuple[str, ...]]:
    """The part of the classes that the card asks for, in the order of the whole."""
    if source.keep is None:
        return splits, names
    kept = {
        split: part.select(torch.where(part.labels < source.keep)[0])
        for split, part in splits.items()
    }
    return kept, names[: source.keep]


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


def _mapped(data: DataSet, cache_dir: Path, console: Console | None) -> DataSet:
    """The data set with every list of images decoded once and mapped from a file."""
    name = _cache_name(data.card, cache_dir, data.version)

    def kept(split: SplitName, part: ImageSplit) -> ImageSplit:
        if isinstance(part.images, Tensor):
            return part
        images = mapped(
            part.images,
            image_size=data.card.image_size,
            path=name.with_name(f"{name.name}-{split}.pixels"),
            title=f"{data.card.title}, {split}",
            console=console,
        )
        return ImageSplit(images, part.labels)

    return replace(data, train=kept("train", data.train), test=kept("test", data.test))


def _cache_name(card: Card, cache_dir: Path, key: Sequence[object]) -> Path:
    """Where decoded images are kept that belong to this source and key, without a suffix."""
    described = card.source.model_dump(mode="json", exclude={"local"}, exclude_none=True)
    parts = [_FORMAT, described, card.image_size, key]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return cache_dir / card.name / digest


def _checked(
    card: Card,
    splits: dict[SplitName, ImageSplit],
    names: tuple[str, ...],
    origin: str,
    version: Sequence[object] = (),
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
                f"{where} has {len(part):,} images, the card says {card.splits[split]:,}. Is it "
                "another version of the data, or a part of them? Fetch the files again, or correct "
                "the card."
            )
        _check_labels(part.labels, card, names, where)
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
        version=tuple(version),
    )


def _check_labels(labels: Tensor, card: Card, names: tuple[str, ...], where: str) -> None:
    """Refuse labels (N,) out of range and classes without an image."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= card.classes:
        from_one = " They seem to count from 1." if (low, high) == (1, card.classes) else ""
        raise DataError(
            f"{where} has labels from {low} to {high}, the card says 0 to "
            f"{card.classes - 1}.{from_one} Correct classes or the label column in the card."
        )
    empty = torch.where(torch.bincount(labels, minlength=card.classes) == 0)[0].tolist()
    if empty:
        first = f"{empty[0]} ({names[empty[0]]})" if names else str(empty[0])
        more = f" and of {len(empty) - 1} more" if len(empty) > 1 else ""
        raise DataError(
            f"{where} has no image of class {first}{more}. Every class needs images in both "
            "splits: add them, or correct the card."
        )
