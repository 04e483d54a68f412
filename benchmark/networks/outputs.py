"""What every network returns, and what every network tells about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor, nn

Shape = tuple[int, int, int]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Outputs:
    """What a network computed for one batch.

    Attributes:
        logits: (B, K).
        embedding: (B, D), what the classifier sees.
        maps: stage outputs (B, C, H, W), stem first, after the last activation of each stage;
            empty unless asked for.
        preactivations: the same before that activation; the maps once more where a network does
            not show it (``NetworkShape.shows_preactivations``).
        features: (B, D, H, W), whose spatial mean is the embedding; of one position where a network
            makes its embedding otherwise. Empty unless maps are asked for. The last map is not
            always it: layers may follow.
    """

    logits: Tensor
    embedding: Tensor
    maps: tuple[Tensor, ...] = ()
    preactivations: tuple[Tensor, ...] = ()
    features: Tensor | None = None

    def float(self) -> Outputs:
        """The same in float32, as losses need it outside autocast."""
        return replace(
            self,
            logits=self.logits.float(),
            embedding=self.embedding.float(),
            maps=tuple(m.float() for m in self.maps),
            preactivations=tuple(p.float() for p in self.preactivations),
            features=None if self.features is None else self.features.float(),
        )


@dataclass(frozen=True)
class NetworkShape:
    """The widths that a recipe builds its layers from.

    Attributes:
        classes: number of classes K.
        embedding_dim: width D of what the classifier sees.
        stage_shapes: (C, H, W) of every stage map, stem first.
        feature_shape: (D, H, W) of what is averaged to the embedding.
        shows_preactivations: whether ``Outputs.preactivations`` are what stands before the
            activation, and not the maps once more.
    """

    classes: int
    embedding_dim: int
    stage_shapes: tuple[Shape, ...]
    feature_shape: Shape
    shows_preactivations: bool = True


class Network(nn.Module, ABC):
    """An image classifier that shows its stages.

    Attributes:
        embedding_dim: width of what the classifier sees.
        stage_shapes: (C, H, W) of every stage map at the image size it was built for, stem first.
    """

    embedding_dim: int
    stage_shapes: tuple[Shape, ...]
    shows_preactivations: ClassVar[bool] = True

    @property
    @abstractmethod
    def classifier(self) -> nn.Linear:
        """The layer that maps the embedding to logits."""

    @abstractmethod
    def forward(self, images: Tensor, *, maps: bool = False) -> Outputs:
        """Classify images (B, 3, H, W); fill ``maps`` and ``preactivations`` if asked to."""

    def expect(self, mean: Triple, std: Triple) -> None:
        """Be told how the images come normalised.

        A network whose published weights want them otherwise corrects them itself, so that teacher
        and student may differ.

        Args:
            mean: of pixels in [0, 1] by channel, by which the images are normalised.
            std: likewise.
        """

    @property
    def feature_shape(self) -> Shape:
        """(D, H, W) of what is averaged to the embedding."""
        _, height, width = self.stage_shapes[-1]
        return self.embedding_dim, height, width

    @property
    def shape(self) -> NetworkShape:
        """The widths of this network."""
        return NetworkShape(
            self.classifier.out_features,
            self.embedding_dim,
            self.stage_shapes,
            self.feature_shape,
            self.shows_preactivations,
        )
