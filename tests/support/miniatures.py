"""Miniature archives in the exact layouts of the official ones, with a few pictures each."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from benchmark.cards.card import Card

BIRDS = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross")
CARS = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012")
VARIANTS = ("707-320", "727-200", "DC-3")
FAMILIES = ("Boeing 707", "Boeing 727", "DC-3")
MANUFACTURERS = ("Boeing", "Douglas Aircraft Company")
TRAIN, TEST = 3, 2
"""Images a class."""


def colour(label: int, number: int) -> tuple[int, int, int]:
    """Tells a picture's class and number."""
    return 80 * label, 20 * number, 128


def picture(label: int, number: int) -> bytes:
    """A JPEG of one colour, of a size of its own."""
    stream = io.BytesIO()
    image = Image.new("RGB", (24 + number, 20 + label), colour(label, number))
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def put(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_cub(folder: Path, classes: tuple[str, ...] = BIRDS) -> None:
    """``CUB_200_2011``: image ids with a gap, as in a part of the archive."""
    images, labels, splits = [], [], []
    number = 10
    for label, name in enumerate(classes):
        for index in range(TRAIN + TEST):
            number += 2
            file = f"{name}/{name[4:]}_{index:04d}_{number}.jpg"
            put(folder / "images" / file, picture(label, index))
            images.append(f"{number} {file}")
            labels.append(f"{number} {label + 1}")
            splits.append(f"{number} {int(index < TRAIN)}")
    put(folder / "images.txt", "\n".join(images) + "\n")
    put(folder / "image_class_labels.txt", "\n".join(labels) + "\n")
    put(folder / "train_test_split.txt", "\n".join(splits) + "\n")
    names = [f"{label} {name}" for label, name in enumerate(classes, 1)]
    put(folder / "classes.txt", "\n".join(names) + "\n")


def write_cars(folder: Path, *, form: str = "mat", test_labels: str = "") -> None:
    """The devkit with both folders of images; both splits number their files from 1.

    Args:
        folder: made.
        form: ``mat`` as the authors give it, ``csv`` as a table.
        test_labels: folder inside for the file with the labels of the test images.
    """
    counts = {"train": TRAIN, "test": TEST}
    rows: dict[str, list[tuple[str, int]]] = {}
    for split, each in counts.items():
        rows[split] = []
        for index in range(each):
            for label in range(len(CARS)):
                name = f"{len(rows[split]) + 1:05d}.jpg"
                put(folder / f"cars_{split}" / name, picture(label, index))
                rows[split].append((name, label + 1))
    if form == "csv":
        names = "".join(f"{number},{name}\n" for number, name in enumerate(CARS, 1))
        put(folder / "names.csv", f"class_id,class_name\n{names}")
        for split, entries in rows.items():
            lines = "".join(f"{name},1,2,3,4,{label}\n" for name, label in entries)
            head = "image_name,x_min,y_min,x_max,y_max,label\n"
            put(folder / f"anno_{split}.csv", head + lines)
        return
    devkit = folder / "devkit"
    devkit.mkdir(parents=True, exist_ok=True)
    names = np.array([CARS], dtype=object)
    scipy.io.savemat(devkit / "cars_meta.mat", {"class_names": names})
    _save_annotations(devkit / "cars_train_annos.mat", rows["train"])
    _save_annotations(devkit / "cars_test_annos.mat", rows["test"], labels=False)
    labelled = folder / test_labels / "cars_test_annos_withlabels.mat"
    labelled.parent.mkdir(parents=True, exist_ok=True)
    _save_annotations(labelled, rows["test"])


def _save_annotations(path: Path, rows: list[tuple[str, int]], *, labels: bool = True) -> None:
    fields = [("bbox_x1", object), ("bbox_y1", object), ("bbox_x2", object), ("bbox_y2", object)]
    fields += [("class", object)] if labels else []
    table = np.zeros((1, len(rows)), dtype=[*fields, ("fname", object)])
    for entry, (name, label) in zip(table[0], rows, strict=True):
        for corner in range(1, 3):
            entry[f"bbox_x{corner}"] = entry[f"bbox_y{corner}"] = corner
        if labels:
            entry["class"] = label
        entry["fname"] = name
    scipy.io.savemat(path, {"annotations": table})


def write_aircraft(folder: Path, *, heading: bool = False) -> None:
    """``fgvc-aircraft-2013b``: train, val and their union; one list a level."""
    data = folder / "data"
    levels = {
        "variant": ("variants", VARIANTS, VARIANTS),
        "family": ("families", FAMILIES, FAMILIES),
        "manufacturer": ("manufacturers", MANUFACTURERS, ("Boeing", "Boeing", MANUFACTURERS[1])),
    }
    splits = {"train": (0,), "val": (1, 2), "trainval": (0, 1, 2), "test": (3, 4)}
    for level, (file, names, by_variant) in levels.items():
        head = f"{level.capitalize()}\n" if heading else ""
        put(data / f"{file}.txt", head + "\n".join(names) + "\n")
        for split, numbers in splits.items():
            lines = [
                f"{label:03d}{number:04d} {by_variant[label]}"
                for label in range(len(VARIANTS))
                for number in numbers
            ]
            head = "Image\n" if heading and level == "family" else ""
            put(data / f"images_{level}_{split}.txt", head + "\n".join(lines) + "\n")
    for label in range(len(VARIANTS)):
        for number in range(TRAIN + TEST):
            put(data / "images" / f"{label:03d}{number:04d}.jpg", picture(label, number))


def write_image_folder(folder: Path, *, test: str = "test") -> None:
    """``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``."""
    for label, name in enumerate(("ash", "birch", "cedar")):
        for number in range(TRAIN + TEST):
            split = "train" if number < TRAIN else test
            put(folder / split / name / f"{number}.jpg", picture(label, number))


def write_csv(folder: Path, *, labels: tuple[str, ...] = ("ash", "birch", "cedar")) -> None:
    """A table of files that lie in one folder."""
    lines = ["path,label,split"]
    for label, name in enumerate(labels):
        for number in range(TRAIN + TEST):
            put(folder / "pictures" / f"{label}-{number}.jpg", picture(label, number))
            split = "train" if number < TRAIN else "test"
            lines.append(f"pictures/{label}-{number}.jpg,{name},{split}")
    put(folder / "labels.csv", "\n".join(lines) + "\n")


def pack(folder: Path, archive: Path) -> None:
    """A packed archive that holds the folder under its name."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)


def make_card(source: dict[str, object], *, classes: int = 3, **changes: object) -> Card:
    """A card of a miniature: 3 training and 2 test images of each class."""
    values: dict[str, object] = {
        "name": "mini",
        "title": "Miniature",
        "classes": classes,
        "image_size": 16,
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.25),
        "splits": {"train": TRAIN * 3, "test": TEST * 3},
        "source": source,
        "protocols": {"quick": {"name": "quick", "epochs": 1, "batch_size": 4, "lr": 0.1}},
        "pairs": ("resnet14:resnet8",),
    }
    return Card.model_validate(values | changes)


def hub_source(**changes: object) -> dict[str, object]:
    """A hub data set with images of many sizes."""
    return {
        "kind": "hub",
        "hub": "forest/mini",
        "revision": "1" * 40,
        "image": "img",
        "label": "kind",
        "files": {"train": "data/train-*.parquet", "test": "data/test-*.parquet"},
        "folder": "mini",
        "mixed_sizes": True,
    } | changes


COPIES: dict[str, dict[str, object]] = {
    "cub": {"folder": "CUB_200_2011", "archives": ["CUB_200_2011.tgz"]},
    "cars": {
        "folder": "stanford_cars",
        "archives": ["car_devkit.tgz", "cars_train.tgz", "cars_test.tgz"],
    },
    "aircraft": {"folder": "fgvc-aircraft-2013b", "archives": ["fgvc-aircraft-2013b.tar.gz"]},
}
WRITERS = {"cub": write_cub, "cars": write_cars, "aircraft": write_aircraft}


def official(layout: str, **changes: object) -> Card:
    """The card of an official data set in miniature."""
    return make_card(hub_source(local=[{"layout": layout} | COPIES[layout]], **changes))
