"""Cards made to do harm, or beyond all measure: refused when they are read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.cards.catalogue import read_card, read_cards
from benchmark.cards.suites import FOLDER, Suite
from benchmark.errors import BenchmarkError, CardError
from benchmark.strict import read_json, read_toml
from tests.cards.test_card import CARD, write_card

HUB = """
[source]
kind = "hub"
hub = "somebody/leaves"
revision = "0123456789012345678901234567890123456789"
image = "image"
label = "label"
files = { train = "data/train-*.parquet", test = "data/test-*.parquet" }
folder = "leaves"
archive = "leaves-python"
mixed_sizes = true
[[source.local]]
layout = "cub"
folder = "LEAVES"
archives = ["LEAVES.tgz"]
[[downloads]]
file = "LEAVES.tgz"
url = "https://example.org/leaves.tgz"
checksum = "md5:01234567890123456789012345678901"
[[augmentation]]
name = "color_jitter"
hue = 0.1
[[augmentation]]
name = "random_resized_crop"
scale = [0.1, 1.0]
[[augmentation]]
name = "random_crop"
padding = 4
"""
HEAD, TAIL = CARD.split("[source]")[0], "[protocols" + CARD.split("[protocols", 1)[1]
FETCHED = HEAD + HUB + TAIL


def test_the_card_that_is_made_worse_below_is_right(tmp_path: Path) -> None:
    assert read_card(write_card(tmp_path, "leaves", FETCHED)).downloads


OUTSIDE = ["../x", "a/../../x", "/etc", "~/x", "C:x", "c:/x", "a\\\\b", "", "a\\u0000b", "a\\nb",
           "\\u001b[2J", "\\u202ex", "x" * 256]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize(
    "written",
    ['"data/train-*.parquet"', 'folder = "leaves"', 'archive = "leaves-python"',
     'folder = "LEAVES"', 'archives = ["LEAVES.tgz"]', 'file = "LEAVES.tgz"'],
)  # fmt: skip
def test_no_path_of_a_card_leaves_the_data_folder(tmp_path: Path, written: str, path: str) -> None:
    if path == "" and written.startswith("archive ="):
        return  # no archive
    *before, _, after = written.split('"')
    made = FETCHED.replace(written, '"'.join([*before, path, after]))
    with pytest.raises(CardError, match=r"leaves\.toml is wrong: (source|downloads)"):
        read_card(write_card(tmp_path, "leaves", made))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("classes = 4", "classes = 4_000_000_000_000", "classes"),
        ("classes = 4", "classes = 1" + "0" * 400, "more than 64 bits"),
        ("classes = 4", "classes = 0x" + "f" * 400, "more than 64 bits"),
        ("classes = 4", "classes = " + "1" * 5000, "leaves.toml"),
        ("image_size = 8", "image_size = 1_000_000", "image_size"),
        ("train = 8", "train = 9_000_000_000_000", "splits"),
        ("[0.2, 0.2, 0.2]", "[0.2, 0, 0.2]", "std"),
        ("[0.5, 0.5, 0.5]", "[nan, 0.5, 0.5]", "mean"),
        ('"Leaves"', '"Lea\\nves"', "title"),
        ('"Leaves"', '"\\u001b]0;x\\u0007"', "title"),
        ('"Leaves"', '"\\u202e"', "title"),
        ('"Leaves"', '"' + "x" * 5000 + '"', "title"),
        ('["resnet20:resnet8"]', '["../x:y"]'.replace("../", "\\n"), "pairs"),
        ("[protocols.long]", '[protocols."../long"]', "protocols"),
        ("epochs = 30", "epochs = 10_000_000_000", "epochs"),
        ("epochs = 30", "epochs = 30\nmixup = 1e300", "mixup"),
        ("batch_size = 4", "batch_size = 10_000_000_000", "batch_size"),
        ("lr = 0.1", "lr = 1e300", "lr"),
        ("resnet8 = 0.2", "resnet8 = -1", "lr_by_network"),
        ("[10, 20]", "[-10, 20]", "milestones"),
    ],
)
def test_a_value_beyond_measure_is_refused(tmp_path: Path, old: str, new: str, named: str) -> None:
    for text in (CARD, FETCHED):
        with pytest.raises(CardError) as caught:
            read_card(write_card(tmp_path, "leaves", text.replace(old, new)))
        assert named in str(caught.value)
        assert "\x1b" not in str(caught.value)
        assert len(str(caught.value)) < 30_000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed = 0", "seed = -1"),
        ("seed = 0", "seed = 9223372036854775808"),
        ("families = 2", "families = 4_000_000_000_000"),
        ("train_per_class = 2", "train_per_class = 10_000_000\n"),
    ],
)
def test_a_drawing_beyond_measure_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = CARD.replace("image_size = 8", "image_size = 512").replace(old, new)
    with pytest.raises(CardError, match=r"source|drawn images"):
        read_card(write_card(tmp_path, "leaves", text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hue = 0.1", "hue = 0.6"),
        ("hue = 0.1", "brightness = -0.1"),
        ("hue = 0.1", "saturation = 1e9"),
        ("scale = [0.1, 1.0]", "scale = [0.0, 1.0]"),
        ("scale = [0.1, 1.0]", "scale = [0.9, 0.1]"),
        ("scale = [0.1, 1.0]", "scale = [0.1, 1.5]"),
        ("scale = [0.1, 1.0]", "ratio = [0.0, 1.5]"),
        ("scale = [0.1, 1.0]", "ratio = [2.0, 1.5]"),
        ("padding = 4", "padding = 1_000_000"),
    ],
)
def test_augmentation_is_checked_before_training(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(CardError, match="augmentation"):
        read_card(write_card(tmp_path, "leaves", FETCHED.replace(old, new)))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "https://example.org/a b", "https://x\\nHost: y", "ftp://x/y"]
)
def test_only_the_web_is_fetched_from(tmp_path: Path, url: str) -> None:
    text = FETCHED.replace("https://example.org/leaves.tgz", url)
    with pytest.raises(CardError, match="url"):
        read_card(write_card(tmp_path, "leaves", text))


# Files of cards that are no text of a card at all

DEEP = "x = " + "[" * 5000 + "]" * 5000
FILES = {
    "deep": DEEP.encode(),
    "dotted": ("a." * 3000 + "a = 1").encode(),
    "tables": "\n".join(f"[{'a.' * i}a]" for i in range(40)).encode(),
    "long": b"#" * 2_000_000,
    "binary": b"\xff\xfe\x00",
    "nul": b"name = 'a\0b'",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_hostile_file_is_named_and_stops_no_other(tmp_path: Path, content: bytes) -> None:
    write_card(tmp_path, "leaves")
    broken = tmp_path / "bark.toml"
    broken.write_bytes(content)
    catalogue = read_cards([tmp_path])
    assert list(catalogue) == ["leaves"]
    assert str(broken) in catalogue.broken[broken]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "bark.toml")
    (tmp_path / "endless.toml").symlink_to("/dev/zero")
    assert len(read_cards([tmp_path]).broken) == 2


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5000, "1" * 5000, "[1" + "0" * 30 + "]"])
def test_json_is_read_within_limits(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CardError, match=r"cannot read the list .*x\.json"):
        read_json(path, "list", error=CardError)


def test_what_is_within_the_limits_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": [[1, 18446744073709551615]]}')
    assert read_json(path, "list", error=CardError) == {"a": [[1, 2**64 - 1]]}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"cannot read the suite .*none\.toml"):
        read_toml(tmp_path / "none.toml", "suite", error=CardError)


def test_every_suite_is_within_its_bounds() -> None:
    suites = [
        Suite.model_validate({"name": path.stem} | read_toml(path, "suite", error=CardError))
        for path in FOLDER.glob("*.toml")
    ]
    assert "quick" in {suite.name for suite in suites}
