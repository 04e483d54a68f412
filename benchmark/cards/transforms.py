"""What may happen to a training image: the transforms that cards and protocols name.

Here they are only written down. ``benchmark/data/loaders`` makes them happen: each has a twin for
worker processes, and the simple ones have a second twin for images that lie on the device.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from benchmark.errors import suggestion
from benchmark.strict import Strict

Probability = Annotated[float, Field(ge=0, le=1)]


def _rising(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError("the first value must not be above the second")
    return values


PositiveRange = Annotated[
    tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(_rising)
]
ShareRange = Annotated[tuple[Probability, Probability], AfterValidator(_rising)]


class RandomCrop(Strict):
    """Pad with black by ``padding`` pixels on each side, then crop at a random place."""

    name: Literal["random_crop"]
    padding: Annotated[int, Field(gt=0)]


class HorizontalFlip(Strict):
    """Mirror with probability ``p``."""

    name: Literal["horizontal_flip"]
    p: Probability = 0.5


class RandomResizedCrop(Strict):
    """Crop a random share of the area at a random aspect ratio and resize it to the image size."""

    name: Literal["random_resized_crop"]
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (0.75, 1.3333)


class ColorJitter(Strict):
    """Change brightness, contrast, saturation and hue at random."""

    name: Literal["color_jitter"]
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


class RandAugment(Strict):
    """Apply ``layers`` operations drawn from fourteen, each ``magnitude`` of 30 strong.

    Cubuk, Zoph, Shlens, Le, arXiv:1909.13719; the operations are torchvision's.
    """

    name: Literal["rand_augment"]
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    layers: Annotated[int, Field(gt=0)] = 2


class TrivialAugment(Strict):
    """Apply one operation of fourteen with a strength drawn from a wide range.

    Müller, Hutter, arXiv:2103.10158, the wide space; the operations are torchvision's.
    """

    name: Literal["trivial_augment"]


class RandomErasing(Strict):
    """With probability ``p``, put the card's mean colour in the place of a random rectangle.

    Zhong et al., arXiv:1708.04896, with the mean colour as torchvision and timm have it, which is
    0 after normalisation.

    Attributes:
        scale: share of the image's area, drawn uniformly.
        ratio: height over width, drawn uniformly in its logarithm.
    """

    name: Literal["random_erasing"]
    p: Probability = 0.25
    scale: ShareRange = (0.02, 0.33)
    ratio: PositiveRange = (0.3, 3.3)


_Any = (
    RandomCrop
    | HorizontalFlip
    | RandomResizedCrop
    | ColorJitter
    | RandAugment
    | TrivialAugment
    | RandomErasing
)


def _by_name(value: Any) -> Any:
    """A transform's name alone stands for the transform with its defaults.

    Raises:
        ValueError: there is no such transform.
    """
    if not isinstance(value, str):
        return value
    if value not in TRANSFORMS:
        near = suggestion(value, TRANSFORMS)
        raise ValueError(
            f"unknown transform '{value}'.{near or ' Known: ' + ', '.join(TRANSFORMS) + '.'}"
        )
    return {"name": value}


Transform = Annotated[_Any, Field(discriminator="name"), BeforeValidator(_by_name)]
TRANSFORMS: dict[str, type[Strict]] = {
    get_args(kind.model_fields["name"].annotation)[0]: kind for kind in get_args(_Any)
}
