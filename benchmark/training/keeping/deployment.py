"""What a prediction needs beside a network's weights, kept in their file.

A recipe may predict with layers of its own, and whoever has the weights alone knows neither what
the network was shown nor what its classes are called. Networks are rebuilt by name, by code that
changes; what a network said of two images that follow from numbers alone is therefore kept too, and
a rebuilt one that says something else is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError
from torch import Tensor

from benchmark.cards.fields import MOST_CLASSES, ImageSize, Triple
from benchmark.records.bounds import Name, Words
from benchmark.strict import Line, Strict, faults
from benchmark.training.keeping.heading import Damaged

OURS = "kdbench/"  # begins the names of tensors that are not the network's own
SAID, LAYERS = f"{OURS}said", f"{OURS}layers/"
LEGEND = "legend"  # the key of what is told of the tensors
ROUNDING = 0.02  # of the largest logit: far more than processors differ, far less than layers do


class Legend(Strict):
    """What the weights are, and what their network is shown.

    Attributes:
        cell: place of the run's record below a folder of results.
        dataset, network, recipe: what was trained on what, and how.
        class_names: by label.
        image_size: height and width in pixels.
        mean, std: by which pixels in [0, 1] are normalised, by channel.
    """

    cell: Words
    dataset: Name
    network: Name
    recipe: Words
    class_names: Annotated[tuple[Line, ...], Field(min_length=1, max_length=MOST_CLASSES)]
    image_size: ImageSize
    mean: Triple
    std: Triple


@dataclass(frozen=True)
class Deployment:
    """What a prediction needs beside the network's weights.

    Attributes:
        legend: what the weights are.
        layers: of the recipe that its prediction uses, by their names in its state dict.
        said: (2, K), logits of the ``shown`` images.
    """

    legend: Legend
    layers: Mapping[str, Tensor]
    said: Tensor

    def words(self) -> dict[str, Any]:
        """What the heading of the file says of it."""
        return {LEGEND: self.legend.model_dump(mode="json")}

    def tensors(self) -> dict[str, Tensor]:
        """What the file holds of it, by names that no network's tensors have."""
        layers = {f"{LAYERS}{name}": tensor for name, tensor in self.layers.items()}
        return {SAID: self.said, **layers}

    def differs(self, said: Tensor) -> bool:
        """Whether a rebuilt network says something else of the ``shown`` images."""
        if said.shape != self.said.shape:
            return True
        scale = max(1.0, float(self.said.abs().max()))
        return not float((said - self.said).abs().max()) <= ROUNDING * scale


def parted(
    about: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], Deployment | None]:
    """The network's own tensors of a file, and the rest; None in files of older versions.

    Raises:
        Damaged: what the file says of its tensors is not what it should.
    """
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(OURS)}
    if LEGEND not in about:
        return own, None
    try:
        legend = Legend.model_validate(about[LEGEND])
        said = tensors[SAID]
    except ValidationError as error:
        raise Damaged(f"what it says of itself does not do: {'; '.join(faults(error))}") from None
    except KeyError:
        raise Damaged("it lacks what the network said") from None
    layers = {
        name.removeprefix(LAYERS): tensor
        for name, tensor in tensors.items()
        if name.startswith(LAYERS)
    }
    return own, Deployment(legend, layers, said)
