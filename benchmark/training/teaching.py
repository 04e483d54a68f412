"""The teachers' side of a step: each runs once for every distinct set of images of a group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.networks.inference import inference_copy
from benchmark.networks.outputs import Network, Outputs
from benchmark.training.steps.programs import Programs


class Teacher:
    """A trained network that is only read.

    It runs in eval mode without gradients, with its BatchNorms folded into its convolutions and
    its weights already in the training's precision; ``tests/training/test_teaching.py`` holds it
    against the plain network.

    Args:
        network: trained, in float32.
        device: where it runs.
        dtype: of its arithmetic.
        needs: what is read of it beside logits and embedding: ``maps``, ``class_maps``.
        programs: compile it; None runs it as it is.
    """

    def __init__(
        self,
        network: Network,
        *,
        device: torch.device,
        dtype: torch.dtype,
        needs: Collection[str] = (),
        programs: Programs | None = None,
    ) -> None:
        copy = inference_copy(network).to(device, dtype).to(memory_format=torch.channels_last)
        self._network: Callable[..., Outputs] = programs.of_teacher(copy) if programs else copy
        self._dtype = dtype
        self._maps, self._class_maps = "maps" in needs, "class_maps" in needs

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Outputs:
        """Outputs in float32 for images (B, 3, H, W)."""
        images = images.to(self._dtype)
        return self._network(images, maps=self._maps, class_maps=self._class_maps).float()


@dataclass(frozen=True)
class Said:
    """How answers came about.

    Attributes:
        asked: so many were asked for of the batches of the training as they are.
        read: so many of them were read from kept files.
        rounded: whether they are rounded to fp16.
    """

    asked: int = 0
    read: int = 0
    rounded: bool = False


class Answering:
    """How answers come about: here each is computed.

    ``benchmark/training/answers`` has the one that keeps them, and reads what is kept.
    """

    def begin(self, images: Tensor, *, epoch: int, step: int) -> None:
        """A step begins, or is made again: its images (B, 3, H, W), before anyone's own view."""

    def of(self, network: Network, images: Tensor, compute: Callable[[Tensor], Outputs]) -> Outputs:
        """What a network says of images."""
        return compute(images)

    def settle(self) -> Said:
        """The steps until here are over; how answers came about since it was asked last."""
        return Said()


class Teachers:
    """The trained networks that the members of a group hear.

    Members that look at the same images get the same answer: it is kept until the next batch.

    Args:
        networks: trained, in float32; one that is named twice is there once.
        device: where they run.
        dtype: of their arithmetic.
        needs: what is read of them beside logits and embeddings: ``maps``, ``class_maps``.
        programs: compile them; None runs them as they are.

    Attributes:
        by_network: the teachers, by the ``id`` of the network that they answer for.
        answered: called with every answer when it came about.
        answering: how that happens.
    """

    def __init__(
        self,
        networks: Iterable[Network],
        *,
        device: torch.device,
        dtype: torch.dtype,
        needs: Collection[str] = (),
        programs: Programs | None = None,
    ) -> None:
        self.by_network = {
            id(network): Teacher(
                network, device=device, dtype=dtype, needs=needs, programs=programs
            )
            for network in {id(network): network for network in networks}.values()
        }
        self._programs = programs
        self.answered: Callable[[Outputs], None] = lambda outputs: None
        self.answering = Answering()
        self._answers: dict[tuple[int, int], tuple[Tensor, Outputs]] = {}

    def next_batch(self) -> None:
        """Forget the answers to the last batch's images."""
        self._answers.clear()
        if self._programs is not None:
            self._programs.begin_step()

    def ask(self, network: Network, images: Tensor) -> Outputs:
        """What a network says of images (B, 3, H, W); computed once for all who ask of them."""
        key = id(network), id(images)
        if key not in self._answers:
            # The images are kept with the answer, so that no others can get their id.
            answer = self.answering.of(network, images, self.by_network[id(network)])
            self._answers[key] = images, answer
            self.answered(self._answers[key][1])
        return replace(self._answers[key][1])  # whose fields are the asker's own
