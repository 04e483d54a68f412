"""What every network returns, and what every network tells about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from torch import Tensor, nn

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Outputs:
    """What a network computed for one batch.

    Attributes:
        logits: (B, K).
        embedding: (B, D), what the classifier sees.
        maps: stage outputs (B, C, H, W), stem first, after the last activation of each stage;
            empty unless asked for.
        preactivations: the same before that activation.
    """

    logits: Tensor
    embedding: Tensor
    maps: tuple[Tensor, ...] = ()
    preactivations: tuple[Tensor, ...] = ()

    def float(self) -> Outputs:
        """The same in float32, as losses need it outside autocast."""
        return replace(
            self,
            logits=self.logits.float(),
            embedding=self.embedding.float(),
            maps=tuple(m.float() for m in self.maps),
            preactivations=tuple(p.float() for p in self.preactivations),
        )


@dataclass(frozen=True)
class NetworkShape:
    """The widths that a recipe builds its layers from.

    Attributes:
        classes: number of classes K.
        embedding_dim: width D of what the classifier sees.
        stage_shapes: (C, H, W) of every stage map, stem first.
    """

    classes: int
    embedding_dim: int
    stage_shapes: tuple[Shape, ...]


class Network(nn.Module, ABC):
    """An image classifier that shows its stages.

    Attributes:
        embedding_dim: width of what the classifier sees.
        stage_shapes: (C, H, W) of every stage map at the image size it was built for, stem first.
    """

    embedding_dim: int
    stage_shapes: tuple[Shape, ...]

    @property
    @abstractmethod
    def classifier(self) -> nn.Linear:
        """The layer that maps the embedding to logits."""

    @abstractmethod
    def forward(self, images: Tensor, *, maps: bool = False) -> Outputs:
        """Classify images (B, 3, H, W); fill ``maps`` and ``preactivations`` if asked to."""

    @property
    def shape(self) -> NetworkShape:
        """The widths of this network."""
        return NetworkShape(self.classifier.out_features, self.embedding_dim, self.stage_shapes)
