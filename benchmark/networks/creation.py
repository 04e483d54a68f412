"""The one function that builds a network by its name.

The file of a family is imported when one of its networks is built.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from benchmark.errors import UnknownName
from benchmark.networks.names import BY_NAME, TIMM_PREFIX, has_no_drop_path, has_no_weights

if TYPE_CHECKING:
    from benchmark.networks.outputs import Network


def create_network(
    name: str,
    *,
    classes: int,
    image_size: tuple[int, int] = (32, 32),
    pretrained: bool = False,
    drop_path: float = 0.0,
) -> Network:
    """Build a network with freshly drawn weights.

    Args:
        name: of one of ``CIFAR_NETWORKS``, or ``timm/NAME``.
        classes: number of classes K.
        image_size: (height, width) for which ``stage_shapes`` are told.
        pretrained: start from timm's published weights; for ``timm/NAME`` only.
        drop_path: largest share of residual branches left out in training; for ``timm/NAME`` only.

    Raises:
        UnknownName: there is no such network.
        NetworkError: it cannot be built this way, or its weights cannot be had.
    """
    if name.startswith(TIMM_PREFIX):
        # timm takes seconds to import, and only those who ask for its models should wait.
        from benchmark.networks.timm_adaptor import create_timm_network

        return create_timm_network(
            name,
            classes=classes,
            image_size=image_size,
            pretrained=pretrained,
            drop_path=drop_path,
        )
    info = BY_NAME.get(name)
    if info is None:
        raise UnknownName(
            "network",
            name,
            BY_NAME,
            "'kdbench list networks' shows the CIFAR networks; timm/NAME is any model of timm.",
        )
    if pretrained:
        raise has_no_weights(name)
    if drop_path:
        raise has_no_drop_path(name)
    family = importlib.import_module(info.module)
    return cast("Network", family.build(name, classes=classes, image_size=image_size))
