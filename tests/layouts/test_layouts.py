"""Every layout lists its images as the official files say, and refuses what is not whole."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.errors import DataError, ManyFaults
from benchmark.layouts.catalogue import LayoutCatalogue
from benchmark.layouts.listing import Listing, Places
from tests.support.miniatures import (
    BIRDS,
    CARS,
    FAMILIES,
    MANUFACTURERS,
    TEST,
    TRAIN,
    VARIANTS,
    put,
    write_aircraft,
    write_cars,
    write_csv,
    write_cub,
    write_image_folder,
)


def read(layout: str, folder: Path, **options: str) -> Listing:
    listing = LayoutCatalogue().get(layout).read(Places((folder,)), options)
    listing.check_files(str(folder))
    return listing


def labels(listing: Listing, split: str) -> list[int]:
    return [label for _, label in listing.items[split]]  # type: ignore[index]


def expect(fault: Callable[[], object], *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        fault()
    for part in parts:
        assert part in str(caught.value), str(caught.value)


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("layout", ["aircraft", "cars", "csv", "cub", "image_folder"])
def test_a_layout_is_recognised_by_its_files(tmp_path: Path, layout: str) -> None:
    writers = {
        "aircraft": write_aircraft, "cars": write_cars, "csv": write_csv, "cub": write_cub,
        "image_folder": write_image_folder,
    }  # fmt: skip
    writers[layout](tmp_path)
    assert [name for name in LayoutCatalogue() if LayoutCatalogue().get(name).is_in(tmp_path)] == [
        layout
    ]


# CUB


def test_cub(tmp_path: Path) -> None:
    write_cub(tmp_path)
    listing = read("cub", tmp_path)
    assert listing.class_names == BIRDS
    assert labels(listing, "train") == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert labels(listing, "test") == [0, 0, 1, 1, 2, 2]
    assert listing.items["test"][2][0].name == "Laysan_Albatross_0003_28.jpg"


def test_cub_without_one_of_its_files(tmp_path: Path) -> None:
    write_cub(tmp_path)
    (tmp_path / "train_test_split.txt").unlink()
    expect(
        lambda: read("cub", tmp_path),
        str(tmp_path), "no train_test_split.txt", "holds classes.txt", "Unpack the archive again",
    )  # fmt: skip


def test_cub_of_two_versions(tmp_path: Path) -> None:
    write_cub(tmp_path)
    rewrite(tmp_path / "image_class_labels.txt", "12 1\n", "")
    expect(lambda: read("cub", tmp_path), "image_class_labels.txt", "image 12", "again")


@pytest.mark.parametrize("label", ["0", "4", "-1", "one"])
def test_cub_with_a_label_out_of_range(tmp_path: Path, label: str) -> None:
    write_cub(tmp_path)
    rewrite(tmp_path / "image_class_labels.txt", "12 1\n", f"12 {label}\n")
    expect(
        lambda: read("cub", tmp_path),
        "image_class_labels.txt, image 12", f"'{label}'", "from 1 to 3",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["../../outside.jpg", "/etc/passwd", "a/../../b.jpg", "C:\\x.jpg"])
def test_a_list_with_a_path_that_leaves_the_folder(tmp_path: Path, name: str) -> None:
    write_cub(tmp_path)
    first = (tmp_path / "images.txt").read_text().splitlines()[0]
    rewrite(tmp_path / "images.txt", first, f"12 {name}")
    expect(lambda: read("cub", tmp_path), "images.txt, line 1", name, "leaves the folder")


@pytest.mark.parametrize("fault", ["missing", "empty"])
def test_a_folder_that_was_half_copied(tmp_path: Path, fault: str) -> None:
    write_cub(tmp_path)
    folder = tmp_path / "images" / BIRDS[1]
    for path in folder.iterdir():
        path.unlink() if fault == "missing" else path.write_bytes(b"")
    expect(lambda: read("cub", tmp_path), "5 of 15 images", str(folder), fault, "stopped half-way")


def test_all_that_is_missing_is_told_and_a_long_list_is_cut(tmp_path: Path) -> None:
    write_cub(tmp_path, BIRDS * 2)
    files = sorted((tmp_path / "images").rglob("*.jpg"))
    for path in files[1:]:
        path.unlink()
    with pytest.raises(ManyFaults, match=r"29 of 30(.|\n)*… and 9 more\n") as caught:
        read("cub", tmp_path)
    assert set(caught.value.faults) == {f"{path} is missing" for path in files[1:]}
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.faults) == (str(caught.value), caught.value.faults)


# Cars


@pytest.mark.parametrize("place", ["", "devkit"])
def test_cars(tmp_path: Path, place: str) -> None:
    write_cars(tmp_path, test_labels=place)
    listing = read("cars", tmp_path)
    assert listing.class_names == CARS
    assert labels(listing, "train") == [0, 1, 2] * TRAIN
    assert labels(listing, "test") == [0, 1, 2] * TEST
    assert listing.items["train"][0][0] == tmp_path / "cars_train" / "00001.jpg"
    assert listing.items["test"][0][0] == tmp_path / "cars_test" / "00001.jpg"


def test_cars_as_tables_are_the_same(tmp_path: Path) -> None:
    write_cars(tmp_path / "mat")
    write_cars(tmp_path / "csv", form="csv")
    tables, matlab = read("cars", tmp_path / "csv"), read("cars", tmp_path / "mat")
    assert tables.class_names == matlab.class_names
    assert tables.fingerprint(tmp_path / "csv") == matlab.fingerprint(tmp_path / "mat")


def test_cars_in_a_folder_of_the_same_name(tmp_path: Path) -> None:
    write_cars(tmp_path, form="csv")
    (tmp_path / "cars_train").rename(tmp_path / "inner")
    (tmp_path / "cars_train").mkdir()
    (tmp_path / "inner").rename(tmp_path / "cars_train" / "cars_train")
    assert len(read("cars", tmp_path).items["train"]) == 9


def test_cars_without_the_labels_of_the_test_images(tmp_path: Path) -> None:
    write_cars(tmp_path)
    (tmp_path / "cars_test_annos_withlabels.mat").unlink()
    expect(lambda: read("cars", tmp_path), "cars_test_annos_withlabels.mat", "file of its own")


def test_cars_with_the_file_without_labels_in_its_place(tmp_path: Path) -> None:
    write_cars(tmp_path)
    labelled = tmp_path / "cars_test_annos_withlabels.mat"
    shutil.copy(tmp_path / "devkit" / "cars_test_annos.mat", labelled)
    expect(lambda: read("cars", tmp_path), str(labelled), "no class", "with labels")


def test_cars_with_a_damaged_file(tmp_path: Path) -> None:
    write_cars(tmp_path)
    path = tmp_path / "devkit" / "cars_meta.mat"
    path.write_bytes(path.read_bytes()[:60])
    expect(lambda: read("cars", tmp_path), str(path), "MATLAB", "Fetch it again")


def test_cars_counted_from_nought(tmp_path: Path) -> None:
    write_cars(tmp_path, form="csv")
    rewrite(tmp_path / "anno_train.csv", ",4,1\n", ",4,0\n")
    expect(lambda: read("cars", tmp_path), "anno_train.csv, entry 1", "'0'", "from 1 to 3")


# Aircraft


@pytest.mark.parametrize("heading", [False, True])
@pytest.mark.parametrize(
    ("level", "names"),
    [("variant", VARIANTS), ("family", FAMILIES), ("manufacturer", MANUFACTURERS)],
)
def test_aircraft(tmp_path: Path, level: str, names: tuple[str, ...], heading: bool) -> None:
    write_aircraft(tmp_path, heading=heading)
    listing = read("aircraft", tmp_path, level=level)
    assert listing.class_names == names
    assert len(listing.items["train"]) == 9  # trainval
    assert len(listing.items["test"]) == 6
    expected = [0, 0, 0, 0, 1, 1] if level == "manufacturer" else [0, 0, 1, 1, 2, 2]
    assert labels(listing, "test") == expected
    assert listing.items["train"][0][0] == tmp_path / "data" / "images" / "0000000.jpg"


def test_aircraft_are_variants_unless_asked(tmp_path: Path) -> None:
    write_aircraft(tmp_path)
    assert read("aircraft", tmp_path).class_names == VARIANTS


def test_aircraft_of_an_unknown_class(tmp_path: Path) -> None:
    write_aircraft(tmp_path)
    rewrite(tmp_path / "data" / "images_variant_test.txt", "DC-3", "DC-4")
    expect(
        lambda: read("aircraft", tmp_path), "images_variant_test.txt, line 5", "'DC-4'", "variants"
    )


# Folders of one's own


@pytest.mark.parametrize("test", ["test", "val", "validation"])
def test_an_image_folder(tmp_path: Path, test: str) -> None:
    write_image_folder(tmp_path, test=test)
    put(tmp_path / "train" / "ash" / ".DS_Store", "junk")
    put(tmp_path / "train" / "ash" / "Thumbs.db", "junk")
    listing = read("image_folder", tmp_path)
    assert listing.class_names == ("ash", "birch", "cedar")
    assert labels(listing, "train") == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(("split", "other"), [("train", "test"), ("test", "train")])
def test_a_class_that_one_split_lacks(tmp_path: Path, split: str, other: str) -> None:
    write_image_folder(tmp_path)
    shutil.rmtree(tmp_path / split / "birch")
    expect(
        lambda: read("image_folder", tmp_path),
        f"{tmp_path / split} has no folder for 'birch'", str(tmp_path / other), "add them",
    )  # fmt: skip


def test_a_class_without_an_image(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    for path in (tmp_path / "test" / "cedar").iterdir():
        path.unlink()
    expect(lambda: read("image_folder", tmp_path), str(tmp_path / "test" / "cedar"), "no image")


@pytest.mark.parametrize(("name", "what"), [("3.jpg.part", "to its end"), ("x.pdf", "no image")])
def test_a_file_that_is_no_image(tmp_path: Path, name: str, what: str) -> None:
    write_image_folder(tmp_path)
    put(tmp_path / "train" / "ash" / name, "half")
    expect(lambda: read("image_folder", tmp_path), name, what)


def test_all_files_that_are_no_images_are_told_at_once(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    put(tmp_path / "train" / "ash" / "a.jpg.part", "half")
    put(tmp_path / "test" / "birch" / "x.pdf", "%PDF")
    for path in (tmp_path / "test" / "cedar").iterdir():
        path.unlink()
    expect(lambda: read("image_folder", tmp_path), "a.jpg.part", "x.pdf", "cedar holds no image")


@pytest.mark.parametrize("names", [("ash", "birch", "cedar"), ("0", "1", "2")])
def test_a_table(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_csv(tmp_path, labels=names)
    listing = read("csv", tmp_path)
    assert listing.class_names == names
    assert labels(listing, "train") == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_table_of_another_name(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "labels.csv").rename(tmp_path / "mine.csv")
    assert len(read("csv", tmp_path, file="mine.csv").items["test"]) == 6


@pytest.mark.parametrize(
    ("names", "hint"),
    [(("1", "2", "3"), "subtract 1"), (("0", "2", "3"), "0 to 2"), (("7", "8", "9"), "0 to 2")],
)
def test_a_table_whose_numbers_do_not_count_from_0(
    tmp_path: Path, names: tuple[str, ...], hint: str
) -> None:
    write_csv(tmp_path, labels=names)
    expect(lambda: read("csv", tmp_path), "labels.csv", f"from {names[0]} to {names[2]}", hint)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("pictures/0-1.jpg", "../0-1.jpg", ("line 3", "../0-1.jpg", "leaves the folder")),
        ("pictures/0-1.jpg", "/tmp/0-1.jpg", ("line 3", "leaves the folder")),
        ("pictures/0-1.jpg", "pictures/0-0.jpg", ("line 3", "also in line 2")),
        ("pictures/0-1.jpg", "", ("line 3", "path is empty")),
        ("pictures/0-1.jpg", "pictures/none.jpg", ("1 of 15", "none.jpg is missing")),
        ("ash,train", "ash,training", ("line 2", "'training'", "train or test")),
        ("path,label,split", "path,class,split", ("no column label", "path,label,split")),
    ],
)
def test_a_faulty_table(tmp_path: Path, old: str, new: str, parts: tuple[str, ...]) -> None:
    write_csv(tmp_path)
    rewrite(tmp_path / "labels.csv", old, new)
    expect(lambda: read("csv", tmp_path), str(tmp_path), *parts)


def test_a_fingerprint_changes_with_the_list(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    before = read("image_folder", tmp_path).fingerprint(tmp_path)
    assert read("image_folder", tmp_path).fingerprint(tmp_path) == before
    (tmp_path / "train" / "ash" / "0.jpg").rename(tmp_path / "train" / "birch" / "9.jpg")
    assert read("image_folder", tmp_path).fingerprint(tmp_path) != before


def test_numbers_may_be_written_with_zeros_before_them(tmp_path: Path) -> None:
    names = ("00", "01", "02")
    lines = [f"{split}/{name}.jpg,{name},{split}" for name in names for split in ("train", "test")]
    put(tmp_path / "labels.csv", "\n".join(["path,label,split", *lines]))
    listing = LayoutCatalogue().get("csv").read(Places((tmp_path,)), {})
    assert listing.class_names == names
    assert [label for _, label in listing.items["train"]] == [0, 1, 2]
