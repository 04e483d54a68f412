"""The teacher's side of a step: one forward a batch for all learners of a group."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.networks.inference import inference_copy
from benchmark.networks.outputs import Network, Outputs


class Teacher:
    """A trained network that is only read.

    It runs in eval mode without gradients, with its BatchNorms folded into its convolutions and
    its weights already in the training's precision; ``tests/training/test_teaching.py`` holds it
    against the plain network.

    Args:
        network: trained, in float32.
        device: where it runs.
        dtype: of its arithmetic.
        maps: whether the group reads stage maps.
        class_maps: whether the group reads class maps.
    """

    def __init__(
        self,
        network: Network,
        *,
        device: torch.device,
        dtype: torch.dtype,
        maps: bool,
        class_maps: bool = False,
    ) -> None:
        copy = inference_copy(network).to(device, dtype)
        self._network = copy.to(memory_format=torch.channels_last)
        self._dtype = dtype
        self._maps, self._class_maps = maps, class_maps

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Outputs:
        """Outputs in float32 for images (B, 3, H, W)."""
        outputs: Outputs = self._network(
            images.to(self._dtype), maps=self._maps, class_maps=self._class_maps
        )
        return outputs.float()
