"""What people have becomes a listing: class folders, tables of any columns, imagefolders."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cards.card import FolderSource
from benchmark.cards.catalogue import read_card
from benchmark.data.intake.preparing import Prepared, Wishes, prepare
from benchmark.data.opening import load_data
from benchmark.errors import BenchmarkError, CardError, DataError, ManyFaults, UsageError
from benchmark.layouts.catalogue import LayoutCatalogue
from benchmark.templates.dataset import write_dataset
from tests.support.fuzzing import fuzzed
from tests.support.miniatures import picture, put, write_csv, write_image_folder

CLASSES = ("ash", "birch", "cedar")
LAYOUTS = LayoutCatalogue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five images of each class in a folder of its own."""
    folder = tmp_path / "photos"
    for label, name in enumerate(CLASSES):
        for number in range(5):
            put(folder / name / f"{number}.jpg", picture(label, number))
    return folder


def prepared(source: Path, **wishes: object) -> Prepared:
    return prepare(source, Wishes(**wishes), layouts=LAYOUTS)  # type: ignore[arg-type]


def counts(found: Prepared) -> dict[str, int]:
    return {split: len(items) for split, items in found.listing.items.items()}


def expect(fault: Callable[[], object], *parts: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        fault()
    for part in parts:
        assert part in str(caught.value), str(caught.value)


# Class folders


def test_class_folders_are_divided_and_listed_beside_the_card(photos: Path, tmp_path: Path) -> None:
    file, found = write_dataset("trees", photos, tmp_path / "cards", Wishes(test=0.4, seed=3))
    card = read_card(file, LAYOUTS)
    assert isinstance(card.source, FolderSource)
    assert card.source.fingerprint == found.fingerprint
    lines = file.with_suffix(".csv").read_text().splitlines()
    assert lines[0] == "path,label,split"
    assert lines[1:] == sorted(lines[1:])
    assert len(lines) == 16
    assert "The split was drawn: 0.4 of every class for the test, seed 3." in file.read_text()
    data = load_data(card, None, tmp_path / "cache")
    assert (len(data.train), len(data.test)) == (9, 6)
    assert data.class_names == CLASSES
    assert Counter(data.test.labels.tolist()) == {0: 2, 1: 2, 2: 2}
    assert not list(photos.glob("*.*")), "nothing is written to the images"


def test_a_list_that_was_changed_or_is_gone_is_noticed(photos: Path, tmp_path: Path) -> None:
    file, _ = write_dataset("trees", photos, tmp_path / "cards")
    table, card = file.with_suffix(".csv"), read_card(file, LAYOUTS)
    table.write_text(table.read_text().replace("ash/0.jpg,ash", "ash/0.jpg,birch"))
    expect(lambda: load_data(card, None, tmp_path / "cache"), "not those that the card was made")
    table.unlink()
    expect(lambda: load_data(card, None, tmp_path / "cache"), "no table", str(table))


def test_a_list_may_lie_among_the_images_of_another_machine(photos: Path, tmp_path: Path) -> None:
    file, _ = write_dataset("trees", photos, tmp_path / "cards")
    revision = read_card(file, LAYOUTS).revision
    (tmp_path / "there").mkdir()
    shutil.copytree(photos, tmp_path / "there" / "photos")
    file.with_suffix(".csv").rename(tmp_path / "there" / "photos" / "trees.csv")
    card = read_card(file, LAYOUTS)
    assert len(load_data(card, tmp_path / "there", tmp_path / "cache").train) == 12
    assert card.revision == revision


def test_what_lies_among_class_folders(photos: Path) -> None:
    put(photos / "ash" / "notes.txt", "tall")
    put(photos / "birch" / "9.heic", "?")
    put(photos / "birch" / ".DS_Store", "?")
    put(photos / "empty" / "inner" / "a.txt", "?")
    found = prepared(photos)
    assert counts(found) == {"train": 12, "test": 3}
    files, empty = found.notes
    assert "2 .txt, 1 .heic" in files
    assert empty == "folders without an image are left out: empty"
    put(photos / "ash" / "8.jpg.part", "half")
    put(photos / "cedar" / "8.jpg.part", "half")
    expect(lambda: prepared(photos), "ash/8.jpg.part", "cedar/8.jpg.part", "to its end")


def test_a_class_of_one_image_cannot_be_divided(photos: Path) -> None:
    put(photos / "oak" / "0.jpg", picture(0, 0))
    expect(lambda: prepared(photos), "class 'oak' has one image, oak/0.jpg", "1 of 4 classes")


def test_classes_that_are_called_by_numbers_from_1_get_names(photos: Path) -> None:
    for number, name in enumerate(CLASSES):
        (photos / name).rename(photos / str(9 + number))
    found = prepared(photos)
    assert found.listing.class_names == ("class 09", "class 10", "class 11")
    for number in range(3):
        (photos / str(9 + number)).rename(photos / str(number))
    assert prepared(photos).listing.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("names", "train", "note"),
    [
        ({"Training": 3, "Testing": 2}, 9, None),
        ({"train": 3, "valid": 2}, 9, "the validation images are the test"),
        ({"Train": 2, "Valid": 1, "Test": 2}, 6, "validation images are left out: 3"),
        ({"train": 5}, 12, "training images alone"),
    ],
)
def test_folders_of_splits_by_other_names(
    photos: Path, names: dict[str, int], train: int, note: str | None
) -> None:
    for name in CLASSES:
        start = 0
        for split, count in names.items():
            for number in range(start, start + count):
                (photos / split / name).mkdir(parents=True, exist_ok=True)
                (photos / name / f"{number}.jpg").rename(photos / split / name / f"{number}.jpg")
            start += count
        (photos / name).rmdir()
    found = prepared(photos)
    assert (found.layout, counts(found)["train"]) == ("csv", train)
    assert found.listing.class_names == CLASSES
    assert note is None or any(note in one for one in found.notes)


# Tables


def table_of(photos: Path, text: str, name: str = "list.csv") -> Path:
    return put(photos / name, text)


def lines(photos: Path, form: str, **more: object) -> str:
    return "\n".join(
        form.format(name=name, number=number, photos=photos, **more)
        for name in CLASSES
        for number in range(5)
    )


@pytest.mark.parametrize(
    ("heading", "form"),
    [
        ("image;species;note", "{name}/{number}.jpg;{name};x, y"),
        ("file_name\tClass Name", "{name}/{number}.jpg\t{name}"),
        ("id,breed", "{name}/{number},{name}"),
        ("what,who", "{name},./{name}/{number}.jpg"),
        ("Label,Image Path", "{name},{photos}/{name}/{number}.jpg"),
        ("No;Photo;Name;Remark", "{name}{number};{name}/{number}.jpg;{name};x"),
        ("file|y", r"{name}\{number}.jpg|{name}"),
        (None, "{name}/{number}.jpg,{name}"),
    ],
)
def test_a_table_of_any_columns_and_separator(photos: Path, heading: str | None, form: str) -> None:
    text = lines(photos, form)
    table = table_of(photos, f"{heading}\r\n{text}" if heading else text)
    for source in (table, photos):  # a single table in a folder is found there
        found = prepared(source)
        assert counts(found) == {"train": 12, "test": 3}
        assert found.listing.class_names == CLASSES
        assert found.folder == photos
        assert found.listing.items["train"][0][0].parent == photos / "ash"
        found.listing.check_files("here")


def test_columns_and_separator_that_are_said(photos: Path) -> None:
    text = "a;b;c;d\n" + lines(photos, "{name}/{number}.jpg;{number};{name};train")
    table = table_of(photos, text.replace("4.jpg;4;ash;train", "4.jpg;4;ash;Test"))
    expect(lambda: prepared(table), "the class of an image? It has: a, b, c, d", "--label-column")
    found = prepared(table, columns={"label": "c", "split": "d"}, separator=";")
    assert counts(found) == {"train": 14, "test": 1}
    expect(lambda: prepared(table, columns={"label": "e"}), "unknown column 'e'", "a, b, c, d")
    expect(lambda: prepared(photos / "ash", columns={"label": "c"}), "no known layout")
    expect(lambda: prepared(table, separator="--"), "--separator '--' is none", "one sign, or tab")
    named = {"label": "c", "split": "d"}
    expect(lambda: prepared(table, columns=named, test=0.3), "a test part already")


def test_splits_stand_in_a_column_or_in_the_paths(photos: Path) -> None:
    splits = ["train", "train", "train", "val", "TEST"]
    rows = [f"{n}/{k}.jpg,{n},{splits[k]}" for n in CLASSES for k in range(5)]
    found = prepared(table_of(photos, "\n".join(["path,label,set", *rows])))
    assert counts(found) == {"train": 9, "test": 3}
    assert "validation images are left out: 3" in found.notes
    for folder, number in (("train", 0), ("train", 1), ("test", 2)):
        for name in CLASSES:
            (photos / folder).mkdir(exist_ok=True)
            shutil.copy(photos / name / f"{number}.jpg", photos / folder / f"{name}-{number}.jpg")
    rows = [f"train/{n}-{k}.jpg,{n}" for n in CLASSES for k in range(2)]
    rows += [f"test/{n}-2.jpg,{n}" for n in CLASSES]
    found = prepared(table_of(photos, "\n".join(["image,class", *rows])))
    assert counts(found) == {"train": 6, "test": 3}
    assert found.division == ""


def test_paths_may_be_meant_from_another_folder(photos: Path, tmp_path: Path) -> None:
    table = put(tmp_path / "lists" / "a.csv", "f,c\n" + lines(photos, "{name}/{number}.jpg,{name}"))
    with pytest.raises(ManyFaults, match="15 of 15 images are not there"):
        prepared(table).listing.check_files("here")
    assert prepared(table, images=photos).folder == photos
    absolute = "f,c\n" + lines(photos, "{photos}/{name}/{number}.jpg,{name}")
    table = put(tmp_path / "lists" / "a.csv", absolute)
    assert prepared(table).folder == photos
    expect(lambda: prepared(table, images=tmp_path / "lists"), "line 2", "leads out of the folder")
    (tmp_path / "link").symlink_to(photos)
    text = "f,c\n" + lines(tmp_path / "link", "{photos}/{name}/{number}.jpg,{name}")
    table = put(tmp_path / "lists" / "a.csv", text)
    assert counts(prepared(table, images=photos)) == {"train": 12, "test": 3}


def test_a_table_beside_the_folder_of_its_images(photos: Path, tmp_path: Path) -> None:
    text = "id,breed\n" + lines(photos, "{name}/{number},{name}")
    (tmp_path / "other").mkdir()
    found = prepared(put(tmp_path / "labels.csv", text))
    assert (found.folder, counts(found)) == (photos, {"train": 12, "test": 3})
    assert f"its paths are meant from {photos}" in found.notes
    shutil.copytree(photos, tmp_path / "copy")  # which of the two is meant?
    assert prepared(tmp_path / "labels.csv").folder == tmp_path
    expect(lambda: prepared(put(tmp_path / "photos.zip", "PK")), "unpack the archive")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("ash/1.jpg", "../ash/1.jpg", "line 3: '../ash/1.jpg' leads out"),
        ("ash/1.jpg", "/etc/x.jpg", "line 3: '/etc/x.jpg' leads out"),
        ("ash/1.jpg", "\x1b[2J.jpg", "line 3: '\\x1b[2J.jpg' leads out"),
        ("ash/1.jpg,ash", "ash/0.jpg,birch", "line 3: 'ash/0.jpg' has another class or split"),
        ("ash/1.jpg,ash", "ash/1.jpg,", "line 3: path, class or split is empty"),
        ("ash/1.jpg,ash", "ash/1.jpg", "line 3 has 1"),
        ("path,name", "path,path", "two columns have one name"),
    ],
)
def test_a_table_with_faulty_lines(photos: Path, old: str, new: str, part: str) -> None:
    text = "path,name\n" + lines(photos, "{name}/{number}.jpg,{name}")
    table = table_of(photos, text.replace(old, new, 1))
    expect(lambda: prepared(table, separator=","), str(table), part)


def test_every_faulty_line_is_told(photos: Path) -> None:
    text = "path,name\n" + lines(photos, "../{name}/{number}.jpg,{name}")
    with pytest.raises(ManyFaults) as caught:
        prepared(table_of(photos, text))
    assert len(caught.value.faults) == 15


def test_a_line_that_is_there_twice_counts_once(photos: Path) -> None:
    text = "path,name\n" + lines(photos, "{name}/{number}.jpg,{name}")
    found = prepared(table_of(photos, f"{text}\n{text.splitlines()[1]}\n"))
    assert counts(found) == {"train": 12, "test": 3}
    assert "lines that repeat another are left out: 1" in found.notes


@pytest.mark.parametrize("content", [b"", b"path,label\n", b"\xff\xfe\x00", b'a,b\n"x'])
def test_what_is_no_table(photos: Path, content: bytes) -> None:
    with pytest.raises(BenchmarkError, match=r"list\.csv"):
        prepared(put(photos / "list.csv", content))


@fuzzed
@given(content=st.binary(max_size=60), ending=st.sampled_from([".csv", ".jsonl", ".tsv"]))
def test_any_bytes_are_a_table_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str
) -> None:
    file = tmp_path_factory.getbasetemp() / f"fuzzed{ending}"
    file.write_bytes(content)
    with contextlib.suppress(BenchmarkError):
        prepared(file)


# Hugging Face's imagefolder


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("place", ["one", "each"])
def test_an_imagefolder_with_metadata(photos: Path, form: str, place: str) -> None:
    rows: dict[str, list[dict[str, object]]] = {"train": [], "validation": []}
    for label, name in enumerate(CLASSES):
        for number in range(5):
            split = "train" if number < 3 else "validation"
            file = f"{name}-{number}.jpg"
            put(photos / "own" / split / file, picture(label, number))
            path = f"{split}/{file}" if place == "one" else file
            rows[split].append({"file_name": path, "text": "a tree", "label": name})
    folder = photos / "own"
    tables = (
        {folder: [*rows["train"], *rows["validation"]]}
        if place == "one"
        else {folder / split: found for split, found in rows.items()}
    )
    for where, found in tables.items():
        if form == "jsonl":
            text = "\n".join(map(json.dumps, found))
        else:
            text = "\n".join([",".join(found[0]), *(",".join(map(str, r.values())) for r in found)])
        put(where / f"metadata.{form}", text)
    made = prepared(folder)
    assert counts(made) == {"train": 9, "test": 6}
    assert made.listing.class_names == CLASSES
    assert "the validation images are the test, as there is no other" in made.notes
    made.listing.check_files("here")


def test_an_imagefolder_of_classes_stays_the_layout_that_it_is(tmp_path: Path) -> None:
    write_image_folder(tmp_path, test="validation")
    found = prepared(tmp_path)
    assert (found.layout, found.table) == ("image_folder", None)
    expect(lambda: prepared(tmp_path, test=0.2), "a test part already")


# What cannot be known


def test_folders_that_may_mean_several_things(photos: Path, tmp_path: Path) -> None:
    expect(lambda: prepared(tmp_path), f"is {photos} meant?", "no known layout")
    write_csv(tmp_path / "native")
    for name in ("train.csv", "test.csv"):
        table_of(photos, "a,b\n", name)
    expect(lambda: prepared(photos), "several tables (test.csv, train.csv)", "--from")
    expect(lambda: prepared(tmp_path / "nowhere"), "no folder or table", "Correct --from")
    with pytest.raises(UsageError, match="columns, separators"):
        prepared(tmp_path / "native", separator=";")


def test_a_card_whose_layout_reads_no_table(photos: Path, tmp_path: Path) -> None:
    file, _ = write_dataset("trees", photos, tmp_path / "cards")
    text = file.read_text()
    file.write_text(text.replace('layout = "csv"', 'layout = "image_folder"'))
    with pytest.raises(CardError, match="has no option 'file'"):
        read_card(file, LAYOUTS)
    file.write_text(text.replace('table = "trees.csv"', 'table = "../trees.csv"'))
    with pytest.raises(CardError, match="table"):
        read_card(file, LAYOUTS)


def test_faults_beyond_a_message_are_in_a_file(photos: Path, tmp_path: Path) -> None:
    for number in range(30):
        put(photos / "ash" / f"x{number}.jpg", "no picture")
    with pytest.raises(DataError, match=r"30 of 45(.|\n)*… and 10 more(.|\n)*faults\.txt"):
        write_dataset("trees", photos, tmp_path / "cards")
    [file] = (tmp_path / "cards").iterdir()
    assert len(file.read_text().splitlines()) == 30
    for number in range(30):
        (photos / "ash" / f"x{number}.jpg").unlink()
    write_dataset("trees", photos, tmp_path / "cards")
    assert not file.exists()
