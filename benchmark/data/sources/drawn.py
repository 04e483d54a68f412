"""Images that a program draws: the sketches."""

from __future__ import annotations

import torch

from benchmark.cards.card import Card
from benchmark.cards.drawn import DrawnSource
from benchmark.cards.fields import SPLITS, SplitName
from benchmark.data.found import Contents, Found, Surroundings
from benchmark.data.splits import ImageSplit
from benchmark.sketches import SketchSpec, class_names, draw


def open(card: Card, source: DrawnSource, around: Surroundings) -> Found:
    """What a card has drawn.

    Raises:
        CardError: it asks for more families or species than there are.
    """
    counts = zip(SPLITS, (source.train_per_class, source.test_per_class), strict=True)
    specs = {
        split: SketchSpec(
            families=source.families,
            species=source.species,
            images_per_class=count,
            split=split,
            seed=source.seed,
            size=card.image_size,
        )
        for split, count in counts
    }

    def read() -> Contents:
        splits: dict[SplitName, ImageSplit] = {}
        total = sum(spec.classes * spec.images_per_class for spec in specs.values())
        with around.listener.progress(f"drawing {card.title}", total) as advance:
            for split, spec in specs.items():
                pixels, labels = draw(spec)
                splits[split] = ImageSplit(torch.from_numpy(pixels), torch.from_numpy(labels))
                advance(len(labels))
        return Contents(splits, tuple(class_names(specs["train"])))

    return Found(f"drawn, revision {source.revision}", (), read, decodes=True)
