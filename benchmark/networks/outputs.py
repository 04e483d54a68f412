"""What every network returns, and what every network tells about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor, nn

from benchmark.errors import NetworkError

Shape = tuple[int, int, int]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Outputs:
    """What a network computed for one batch.

    Attributes:
        logits: (B, K).
        embedding: (B, D), what the classifier sees.
        maps: outputs (B, C, H, W) of the stem, if the network shows it, and of the stages, after
            the last activation of each; empty unless asked for.
        preactivations: the same before that activation; the maps once more where a network does
            not show it (``NetworkShape.shows_preactivations``).
        has_stem: whether the first map is the stem's and not a stage's.
        maybe_features: what ``features`` gives; None unless maps were asked for.
        maybe_class_maps: what ``class_maps`` gives; None unless asked for, and in networks that
            have none.
    """

    logits: Tensor
    embedding: Tensor
    maps: tuple[Tensor, ...] = ()
    preactivations: tuple[Tensor, ...] = ()
    has_stem: bool = True
    maybe_features: Tensor | None = None
    maybe_class_maps: Tensor | None = None

    @property
    def stages(self) -> tuple[Tensor, ...]:
        """The maps of the stages, without the stem's."""
        return self.maps[self.has_stem :]

    @property
    def stage_preactivations(self) -> tuple[Tensor, ...]:
        """The pre-activations of the stages, without the stem's."""
        return self.preactivations[self.has_stem :]

    @property
    def features(self) -> Tensor:
        """(B, D, H, W), whose spatial mean is the embedding.

        It has one position where a network makes its embedding otherwise. The last map is not
        always it: layers may follow.

        Raises:
            NetworkError: maps were not asked for.
        """
        if self.maybe_features is None:
            raise NetworkError(
                "the features were not asked for: a recipe that reads them is registered with "
                'needs={"maps"}.'
            )
        return self.maybe_features

    @property
    def class_maps(self) -> Tensor:
        """(B, K, H, W), the classifier at every position; their spatial mean is the logits.

        Raises:
            NetworkError: they were not asked for, or the network has none.
        """
        if self.maybe_class_maps is None:
            raise NetworkError(
                "there are no class maps: a recipe that reads them is registered with "
                'needs={"class_maps"}, and not every network has them '
                "(NetworkShape.no_class_maps)."
            )
        return self.maybe_class_maps

    def float(self) -> Outputs:
        """The same in float32, as losses need it outside autocast."""
        features, class_maps = self.maybe_features, self.maybe_class_maps
        return replace(
            self,
            logits=self.logits.float(),
            embedding=self.embedding.float(),
            maps=tuple(m.float() for m in self.maps),
            preactivations=tuple(p.float() for p in self.preactivations),
            maybe_features=None if features is None else features.float(),
            maybe_class_maps=None if class_maps is None else class_maps.float(),
        )


@dataclass(frozen=True)
class NetworkShape:
    """What a recipe builds its layers from.

    Attributes:
        classes: number of classes K.
        embedding_dim: width D of what the classifier sees.
        stage_shapes: (C, H, W) of every map, the stem's first if there is one.
        feature_shape: (D, H, W) of what is averaged to the embedding.
        shows_preactivations: whether ``Outputs.preactivations`` are what stands before the
            activation, and not the maps once more.
        has_stem: whether the first map is the stem's and not a stage's.
        signed_maps: of every map, whether it may be negative; a layer that ends in a ReLU cannot
            reach such a map. Empty where none may be.
        signed_features: whether the features may be negative.
        no_class_maps: why the network has no class maps; None if it has.
    """

    classes: int
    embedding_dim: int
    stage_shapes: tuple[Shape, ...]
    feature_shape: Shape
    shows_preactivations: bool = True
    has_stem: bool = True
    signed_maps: tuple[bool, ...] = ()
    signed_features: bool = False
    no_class_maps: str | None = None

    @property
    def stages(self) -> tuple[Shape, ...]:
        """(C, H, W) of the stages' maps, without the stem's."""
        return self.stage_shapes[self.has_stem :]

    def is_signed(self, number: int) -> bool:
        """Whether the map of this number may be negative."""
        return bool(self.signed_maps) and self.signed_maps[number]


class Network(nn.Module, ABC):
    """An image classifier that shows its stages.

    Attributes:
        embedding_dim: width of what the classifier sees.
        stage_shapes: (C, H, W) of every map at the image size it was built for, the stem's first if
            there is one.
        shows_preactivations: whether pre-activations are what stands before the activation.
        has_stem: whether the first map is the stem's and not a stage's.
        signed_maps: of every map, whether it may be negative; empty where none may be.
        signed_features: whether what is averaged to the embedding may be negative.
        no_class_maps: why it has no class maps; None if it has.
    """

    embedding_dim: int
    stage_shapes: tuple[Shape, ...]
    shows_preactivations: ClassVar[bool] = True
    has_stem: bool = True
    signed_maps: tuple[bool, ...] = ()
    signed_features: bool = False
    no_class_maps: str | None = None

    @property
    @abstractmethod
    def classifier(self) -> nn.Linear:
        """The layer that maps the embedding to logits."""

    @abstractmethod
    def forward(self, images: Tensor, *, maps: bool = False, class_maps: bool = False) -> Outputs:
        """Classify images.

        Args:
            images: (B, 3, H, W).
            maps: whether to give maps, pre-activations and features.
            class_maps: whether to give class maps, if the network has them.
        """

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
        """The widths of this network, and what it shows."""
        return NetworkShape(
            classes=self.classifier.out_features,
            embedding_dim=self.embedding_dim,
            stage_shapes=self.stage_shapes,
            feature_shape=self.feature_shape,
            shows_preactivations=self.shows_preactivations,
            has_stem=self.has_stem,
            signed_maps=self.signed_maps,
            signed_features=self.signed_features,
            no_class_maps=self.no_class_maps,
        )


def at_every_position(layer: nn.Module, features: Tensor) -> Tensor:
    """A layer of vectors (…, D) to (…, K) applied to maps (B, D, H, W): maps (B, K, H, W)."""
    result: Tensor = layer(features.movedim(1, -1))
    return result.movedim(-1, 1)
