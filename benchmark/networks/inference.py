"""A network as it runs when it only answers: frozen, in eval mode, BatchNorm folded away.

In eval mode BatchNorm is an affine map per channel, and an affine map after a convolution is
another convolution. Folding changes the values by rounding only and spares a teacher 2 to 20 % of
its time on a CPU: most where convolutions are small (resnet8, MobileNetV2), least where few
BatchNorms can be folded (Wide ResNets) or convolutions are wide (VGG).

What may be folded is declared by the blocks themselves (``conv_bn``) and by the order of an
``nn.Sequential``. The networks of timm stay as they are, because nothing declares there that a
convolution is read by its BatchNorm alone.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator

import torch
from torch import nn

from benchmark.networks.cifar.network import CifarNetwork
from benchmark.networks.outputs import Network


def inference_copy(network: Network) -> Network:
    """A frozen copy in eval mode with the same outputs; the network itself is left as it is.

    Its state dict is no longer the published one.
    """
    frozen = copy.deepcopy(network).eval().requires_grad_(False)
    for part in list(frozen.modules()):
        if isinstance(part, CifarNetwork):
            for block, conv, bn in list(_foldable(part)):
                _fold(block, conv, bn)
    return frozen


def _foldable(network: CifarNetwork) -> Iterator[tuple[nn.Module, str, str]]:
    """Blocks with the names of two layers of which the second alone reads the first."""
    for block in network.modules():
        for conv, bn in getattr(block, "conv_bn", ()):
            yield block, conv, bn
        if isinstance(block, nn.Sequential):
            for conv, bn in itertools.pairwise(block._modules):
                yield block, conv, bn


@torch.no_grad()
def _fold(block: nn.Module, conv_name: str, bn_name: str) -> None:
    """Scale and shift the convolution as the BatchNorm does, and let the BatchNorm do nothing."""
    conv, bn = block.get_submodule(conv_name), block.get_submodule(bn_name)
    if not isinstance(conv, nn.Conv2d) or not isinstance(bn, nn.BatchNorm2d):
        return  # other neighbours in a Sequential, or folded before: a copy of a copy
    if bn.running_mean is None or bn.running_var is None:
        return  # normalises by the batch even in eval mode, which no convolution can do
    scale = torch.rsqrt(bn.running_var + bn.eps)
    shift = -bn.running_mean * scale
    if bn.affine:
        scale = scale * bn.weight
        shift = shift * bn.weight + bn.bias
    if conv.bias is not None:
        shift = shift + conv.bias * scale
    weight = conv.weight * scale.reshape(-1, 1, 1, 1)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(shift, requires_grad=False)
    block._modules[bn_name] = nn.Identity()
