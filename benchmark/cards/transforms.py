"""What may happen to a training image: the transforms that cards and protocols name.

Here they are only written down. ``benchmark/data/loaders`` makes them happen: each has a twin for
worker processes, and some have a second twin for images that lie on the device: for small ones in
``augmentation.py``, for photographs in ``draws.py``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from benchmark.cards.fields import MOST_PIXELS
from benchmark.errors import suggestion
from benchmark.strict import Strict

Probability = Annotated[float, Field(ge=0, le=1)]


def _rising(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError("the first value must not be above the second")
    return values


Ratio = Annotated[float, Field(gt=0, le=1000)]
RatioRange = Annotated[tuple[Ratio, Ratio], AfterValidator(_rising)]
ShareRange = Annotated[tuple[Probability, Probability], AfterValidator(_rising)]
SomeShare = Annotated[float, Field(gt=0, le=1)]
SomeShareRange = Annotated[tuple[SomeShare, SomeShare], AfterValidator(_rising)]
Jitter = Annotated[float, Field(ge=0, le=10)]


class RandomCrop(Strict):
    """Pad with black by ``padding`` pixels on each side, then crop at a random place."""

    name: Literal["random_crop"]
    padding: Annotated[int, Field(gt=0, le=MOST_PIXELS)]


class HorizontalFlip(Strict):
    """Mirror with probability ``p``."""

    name: Literal["horizontal_flip"]
    p: Probability = 0.5


class RandomResizedCrop(Strict):
    """Crop a random share of the area at a random aspect ratio and resize it to the image size."""

    name: Literal["random_resized_crop"]
    scale: SomeShareRange = (0.08, 1.0)
    ratio: RatioRange = (0.75, 1.3333)


class ColorJitter(Strict):
    """Change brightness, contrast, saturation and hue at random.

    Attributes:
        brightness, contrast, saturation: factors are drawn from 1 - x to 1 + x.
        hue: share of the circle of colours, at most a half, to either side.
    """

    name: Literal["color_jitter"]
    brightness: Jitter = 0.0
    contrast: Jitter = 0.0
    saturation: Jitter = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class RandAugment(Strict):
    """Apply ``layers`` operations drawn from fourteen, each ``magnitude`` of 30 strong.

    Cubuk, Zoph, Shlens, Le, arXiv:1909.13719; the operations are torchvision's.
    """

    name: Literal["rand_augment"]
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    layers: Annotated[int, Field(gt=0, le=100)] = 2


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
    ratio: RatioRange = (0.3, 3.3)


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
Transforms = Annotated[tuple[Transform, ...], Field(max_length=32)]
TRANSFORMS: dict[str, type[Strict]] = {
    get_args(kind.model_fields["name"].annotation)[0]: kind for kind in get_args(_Any)
}
