"""What networks see of a data set: all that loaders and learners need to know of it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.cards.card import Card
from benchmark.cards.fields import Triple
from benchmark.cards.protocol import Protocol
from benchmark.cards.transforms import Transform


@dataclass(frozen=True)
class Pictures:
    """Pictures of one size, normalised, of so many classes.

    Attributes:
        classes: their number K; labels are 0 … K-1.
        size: height and width in pixels.
        mean, std: of the training pixels in [0, 1], by channel.
        augmentation: of the training pictures, in order.
    """

    classes: int
    size: int
    mean: Triple
    std: Triple
    augmentation: tuple[Transform, ...] = ()

    @classmethod
    def of(cls, card: Card, protocol: Protocol | None = None) -> Pictures:
        """What is seen of a data set under a protocol, which may ask for another image size.

        Its augmentation follows the card's. None stands for a protocol that asks for nothing.
        """
        size, augmentation = card.image_size, card.augmentation
        if protocol is not None:
            size, augmentation = protocol.image_size or size, augmentation + protocol.augmentation
        return cls(card.classes, size, card.mean, card.std, augmentation)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.size, self.size
