"""The cards against the Hugging Face hub itself (KDBENCH_NETWORK=1).

Of the large sets only the ends of the parquet files are read, which tell columns and counts.
"""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from huggingface_hub import HfApi, HfFileSystem

from benchmark.cards.card import SPLITS, Card, HubSource
from benchmark.cards.catalogue import find_card, read_cards
from benchmark.data.opening import load_data
from benchmark.networks.creation import create_network

SHIPPED = Path(__file__).parents[3] / "datasets"
ON_THE_HUB = [card for card in read_cards([SHIPPED]).values() if isinstance(card.source, HubSource)]
PRETRAINED = sorted(
    {
        network
        for card in ON_THE_HUB
        for protocol in card.protocols.values()
        if protocol.pretrained
        for pair in card.pairs_of(protocol)
        for network in pair.split(":")
    }
)


def assert_holds_what_the_card_says(files: AbstractFileSystem, root: str, card: Card) -> None:
    """Columns, kinds of values and numbers of images of the parquet files of one source."""
    source = card.source
    assert isinstance(source, HubSource)
    for split in SPLITS:
        rows = 0
        for pattern in source.patterns(split):
            shards = files.glob(f"{root}/{pattern}")
            assert shards, f"no {pattern}"
            for shard in shards:
                with files.open(shard) as opened, pq.ParquetFile(opened) as file:
                    rows += file.metadata.num_rows
                    columns = file.schema_arrow
                assert {source.image, source.label} <= set(columns.names)
                assert "bytes" in {field.name for field in columns.field(source.image).type}
                assert str(columns.field(source.label).type).startswith("int")
        assert rows == card.splits[split] if source.keep is None else rows > card.splits[split]


@pytest.mark.network
@pytest.mark.parametrize("card", ON_THE_HUB, ids=lambda card: card.name)
def test_the_pinned_revision_holds_what_the_card_says(card: Card) -> None:
    source = card.source
    assert isinstance(source, HubSource)
    root = f"datasets/{source.hub}@{source.revision}"
    assert_holds_what_the_card_says(HfFileSystem(), root, card)


@pytest.mark.realdata
def test_shards_that_were_downloaded_hold_what_the_card_says(tmp_path: Path) -> None:
    folder = Path(os.environ["KDBENCH_DATA"]) / "cifar100"
    card = find_card("cifar100", [SHIPPED])
    assert isinstance(card.source, HubSource)
    root = tmp_path / card.source.inside
    root.parent.mkdir(parents=True, exist_ok=True)
    root.symlink_to(folder)
    assert_holds_what_the_card_says(LocalFileSystem(), str(tmp_path), card)
    less = card.model_copy(update={"splits": {"train": 49_999, "test": 10_000}})
    with pytest.raises(AssertionError):
        assert_holds_what_the_card_says(LocalFileSystem(), str(tmp_path), less)


@pytest.mark.network
@pytest.mark.slow
def test_cifar100_is_fetched_and_read(tmp_path: Path) -> None:
    data = load_data(find_card("cifar100", [SHIPPED]), None, tmp_path)
    assert (len(data.train), len(data.test)) == (50_000, 10_000)
    assert data.class_names[:2] == ("apple", "aquarium_fish")


@pytest.mark.network
@pytest.mark.parametrize("network", PRETRAINED)
def test_the_published_weights_of_the_usual_pairs_are_there(network: str) -> None:
    import timm

    config = timm.get_pretrained_cfg(network.removeprefix("timm/"))
    files = {file.rfilename for file in HfApi().model_info(config.hf_hub_id).siblings or ()}
    assert files & {"model.safetensors", "pytorch_model.bin"}


@pytest.mark.network
def test_published_weights_are_fetched() -> None:
    first, second = (
        create_network("timm/test_resnet", classes=7, image_size=(64, 64), pretrained=True)
        for _ in range(2)
    )
    for (key, value), other in zip(
        first.state_dict().items(), second.state_dict().values(), strict=True
    ):
        # Random ones would differ.
        assert key.startswith("model.fc") or value.equal(other)
