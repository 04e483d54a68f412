"""The networks by name, without building any; listing them imports neither torch nor timm.

The 22 CIFAR networks keep the names, shapes and state-dict keys of the field. ``timm/NAME`` is any
classification model of timm.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.errors import NetworkError

TIMM_PREFIX = "timm/"


@dataclass(frozen=True)
class NetworkInfo:
    """What can be said about a network without building it.

    Attributes:
        name: the published spelling.
        module: the file of its family; it has ``build(name, *, classes, image_size)``.
        parameters: for 100 classes.
        macs: multiply-accumulates of convolutions and linear layers for one 32×32 image and 100
            classes.
    """

    name: str
    module: str
    parameters: int
    macs: int


CIFAR_NETWORKS = tuple(
    NetworkInfo(name, f"benchmark.networks.cifar.{family}", parameters, macs)
    for name, family, parameters, macs in (
        ("resnet8", "resnet", 83_892, 12_507_392),
        ("resnet14", "resnet", 181_108, 26_663_168),
        ("resnet20", "resnet", 278_324, 40_818_944),
        ("resnet32", "resnet", 472_756, 69_130_496),
        ("resnet44", "resnet", 667_188, 97_442_048),
        ("resnet56", "resnet", 861_620, 125_753_600),
        ("resnet110", "resnet", 1_736_564, 253_155_584),
        ("resnet8x4", "resnet", 1_233_540, 177_071_104),
        ("resnet32x4", "resnet", 7_433_860, 1_083_040_768),
        ("ResNet50", "resnet_bottleneck", 23_705_252, 1_298_014_208),
        ("wrn_16_1", "wide_resnet", 180_916, 26_663_168),
        ("wrn_16_2", "wide_resnet", 703_284, 101_118_464),
        ("wrn_40_1", "wide_resnet", 569_780, 83_286_272),
        ("wrn_40_2", "wide_resnet", 2_255_156, 327_610_880),
        ("vgg8", "vgg", 3_965_028, 96_192_512),
        ("vgg11", "vgg", 9_277_284, 209_438_720),
        ("vgg13", "vgg", 9_462_180, 284_936_192),
        ("vgg16", "vgg", 14_774_436, 398_182_400),
        ("vgg19", "vgg", 20_086_692, 511_428_608),
        ("MobileNetV2", "mobilenet", 812_836, 6_523_648),
        ("ShuffleV1", "shufflenet", 949_258, 38_691_456),
        ("ShuffleV2", "shufflenet", 1_355_528, 44_504_448),
    )
)
BY_NAME = {info.name: info for info in CIFAR_NETWORKS}


def has_no_weights(name: str) -> NetworkError:
    """That a CIFAR network cannot start from published weights, and what to do."""
    return NetworkError(
        f"'{name}' has no published weights of its own: pretrained is for timm/NAME only.\n"
        "Give a file with its weights instead, or train it."
    )


def has_no_drop_path(name: str) -> NetworkError:
    """That a network leaves out no residual branches, and what to do."""
    return NetworkError(
        f"'{name}' has no residual branches that it could leave out: drop_path is for networks of "
        "timm that take a drop_path_rate.\nWrite drop_path=0, or choose another network."
    )
