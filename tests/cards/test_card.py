"""Cards: what the files say, what is refused, and how they are found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cards.catalogue import find_card, read_card, read_cards
from benchmark.data.pictures import Pictures
from benchmark.errors import CardError, UnknownName, UsageError

SHIPPED = Path(__file__).parents[2] / "datasets"
CARD = """
name = "NAME"
title = "Leaves"
classes = 4
image_size = 8
mean = [0.5, 0.5, 0.5]
std = [0.2, 0.2, 0.2]
splits = { train = 8, test = 4 }
pairs = ["resnet20:resnet8"]
[source]
kind = "drawn"
revision = "1"
families = 2
species = 2
train_per_class = 2
test_per_class = 1
seed = 0
[protocols.long]
epochs = 30
batch_size = 4
lr = 0.1
lr_by_network = { resnet8 = 0.2 }
milestones = [10, 20]
[protocols.short]
epochs = 2
batch_size = 4
lr = 0.1
schedule = "cosine"
"""


def write_card(folder: Path, name: str, text: str = CARD) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.toml"
    path.write_text(text.replace("NAME", name), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_card_can_be_read(path: Path) -> None:
    card = read_card(path)
    assert card.homepage or card.source.kind == "drawn"
    assert card.licence
    assert all(pair.count(":") == 1 for pair in card.pairs)


def test_the_ranked_protocol_of_cifar100_is_the_published_one() -> None:
    card = find_card("cifar100", [SHIPPED])
    paper = card.default_protocol
    assert (paper.name, paper.ranked, paper.epochs, paper.batch_size) == ("paper", True, 240, 64)
    assert (paper.lr, paper.momentum, paper.weight_decay, paper.nesterov) == (
        0.05,
        0.9,
        5e-4,
        False,
    )
    assert (paper.schedule, paper.milestones, paper.gamma) == ("step", (150, 180, 210), 0.1)
    assert paper.lr_by_network == {"MobileNetV2": 0.01, "ShuffleV1": 0.01, "ShuffleV2": 0.01}
    assert paper.validation == 0
    assert len(card.pairs) == 14
    assert not card.protocol("short").ranked


def test_the_first_protocol_is_the_default(tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path, "leaves"))
    assert card.protocol(None).name == "long"


def test_an_override_makes_another_protocol(tmp_path: Path) -> None:
    card = read_card(write_card(tmp_path, "leaves"))
    changed = card.protocol("long[lr=0.3,milestones=5-15]")
    assert (changed.lr, changed.lr_by_network, changed.milestones) == (0.3, {}, (5, 15))
    assert changed.name == "long[lr=0.3,milestones=5-15]"


@pytest.mark.parametrize("text", ["lng", "long[epoch=3]", "long[epochs=0]", "long[epochs]"])
def test_a_protocol_that_does_not_exist_is_refused(tmp_path: Path, text: str) -> None:
    card = read_card(write_card(tmp_path, "leaves"))
    with pytest.raises(UsageError):
        card.protocol(text)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("classes = 4", "classes = 4\nclases = 5", "unknown key 'clases'. Did you mean 'classes'?"),
        ("epochs = ", "epoch = ", "protocols › long: unknown key 'epoch'. Did you mean 'epochs'?"),
        ("classes = 4", "", "classes"),
        ("classes = 4", "classes = 'four'", "classes"),
        ("test = 4", "tset = 4", "splits"),
        (", test = 4", "", "train and test"),
        ("[10, 20]", "[20, 10]", "milestones"),
        ('kind = "drawn"', 'kind = "painted"', "source"),
        ("[source]", "[source", "cannot read"),
        ('name = "NAME"', 'name = "twigs"', "twigs"),
    ],
)
def test_a_wrong_card_names_its_file_and_the_fault(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    path = write_card(tmp_path, "leaves", CARD.replace(old, new))
    with pytest.raises(CardError) as caught:
        read_card(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_cards_are_found_in_all_folders(tmp_path: Path) -> None:
    write_card(tmp_path / "a", "leaves")
    write_card(tmp_path / "b", "bark")
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "none", tmp_path / "a"]
    assert list(read_cards(folders)) == ["bark", "leaves"]
    assert find_card("bark", folders).title == "Leaves"


def test_an_unknown_name_gets_a_suggestion(tmp_path: Path) -> None:
    write_card(tmp_path, "leaves")
    with pytest.raises(UnknownName, match=r"unknown data set 'leafs'\. Did you mean 'leaves'"):
        find_card("leafs", [tmp_path])


def test_a_broken_card_is_listed_and_stops_no_other(tmp_path: Path) -> None:
    write_card(tmp_path, "leaves")
    broken = write_card(tmp_path, "bark", "name = ")
    catalogue = read_cards([tmp_path])
    assert [card.name for card in catalogue.values()] == ["leaves"]
    assert list(catalogue.broken) == [broken]
    with pytest.raises(CardError, match=r"bark\.toml"):
        catalogue.get("bark")


def test_two_cards_of_one_name_name_both_files(tmp_path: Path) -> None:
    first = write_card(tmp_path / "a", "leaves")
    second = write_card(tmp_path / "b", "leaves")
    with pytest.raises(CardError) as caught:
        read_cards([tmp_path / "a", tmp_path / "b"])
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)


def test_listing_cards_does_not_import_torch() -> None:
    program = (
        "import sys; from pathlib import Path; from benchmark.cards.catalogue import read_cards; "
        "print(list(read_cards([Path(sys.argv[1])])), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(SHIPPED)],
        capture_output=True, text=True, check=True, cwd=SHIPPED.parent,
    )  # fmt: skip
    assert "cifar100" in done.stdout
    assert done.stdout.strip().endswith("False")


# What a protocol may carry


def with_protocol(folder: Path, more: str) -> Path:
    return write_card(folder, "leaves", f"{CARD}{more}\n")


def test_image_size_and_weights_are_identified_where_they_are_set(tmp_path: Path) -> None:
    more = 'image_size = 16\npretrained = true\npairs = ["resnet56:resnet20"]'
    card = read_card(with_protocol(tmp_path, more))
    plain, sized = card.protocol("long"), card.protocol("short")
    assert not {"image_size", "pretrained", "pairs"} & set(plain.for_network("resnet8"))
    values = sized.for_network("resnet8")
    assert (values["image_size"], values["pretrained"]) == (16, True)
    assert "pairs" not in values


def test_a_protocol_changes_the_size_and_not_the_revision(tmp_path: Path) -> None:
    card = read_card(with_protocol(tmp_path, 'image_size = 16\npairs = ["resnet56:resnet20"]'))
    plain, sized = card.protocol("long"), card.protocol("short")
    assert Pictures.of(card, plain) == Pictures.of(card)
    assert Pictures.of(card).shape == (8, 8)
    assert Pictures.of(card, sized).shape == (16, 16)
    assert card.revision == read_card(write_card(tmp_path / "b", "leaves")).revision
    assert card.pairs_of(plain) == ("resnet20:resnet8",)
    assert card.pairs_of(sized) == ("resnet56:resnet20",)


def test_image_size_and_weights_can_be_overridden(tmp_path: Path) -> None:
    card = read_card(with_protocol(tmp_path, "pretrained = true"))
    changed = card.protocol("short[image_size=16,pretrained=false]")
    assert changed.name == "short[image_size=16,pretrained=false]"
    assert "pretrained" not in changed.for_network("resnet8")
    assert card.protocol("short[pretrained=yes]") == card.protocol("short")
    with pytest.raises(UsageError, match="has no 'pairs'"):
        card.protocol("short[pairs=a]")
    with pytest.raises(UsageError, match="cosine schedule has no gamma"):
        card.protocol("short[gamma=0.2]")


FINE = {"cub200": (200, 5994, 5794), "cub50": (50, 1500, 1389), "cars": (196, 8144, 8041),
        "aircraft": (100, 6667, 3333)}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FINE))
def test_the_fine_grained_cards(name: str) -> None:
    card = find_card(name, [SHIPPED])
    assert (card.classes, card.splits["train"], card.splits["test"]) == FINE[name]
    assert card.citation
    assert (card.mean, card.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    finetune, scratch = card.protocol("finetune"), card.protocol("scratch")
    assert finetune.pretrained
    assert Pictures.of(card, finetune).shape == (224, 224)
    assert "timm/resnet101:timm/resnet18" in card.pairs_of(finetune)
    assert not scratch.pretrained
    assert not scratch.ranked
    assert Pictures.of(card, scratch).shape == (112, 112)
    assert set(card.pairs_of(scratch)).isdisjoint(card.pairs_of(finetune))


def test_the_card_for_trying_at_home_needs_no_weights() -> None:
    assert find_card("cub50", [SHIPPED]).default_protocol.name == "scratch"
    assert find_card("cub200", [SHIPPED]).default_protocol.name == "finetune"
