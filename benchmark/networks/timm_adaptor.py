"""Any classification model of timm as a network: ``timm/NAME`` or ``timm/NAME.WEIGHTS``.

Only timm's own interfaces are used: ``forward_intermediates`` for the maps, ``forward_head`` with
``pre_logits`` for the embedding, ``get_classifier`` for the classifier. timm does not show what
stands before the last activation of a stage, so the pre-activations are the maps themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import timm
import torch
from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool
from timm.layers.drop import DropPath
from torch import Tensor, nn

from benchmark.errors import NetworkError, first_line
from benchmark.networks.cost import meta_copy, meta_images
from benchmark.networks.names import TIMM_PREFIX, has_no_drop_path
from benchmark.networks.outputs import Network, Outputs, Shape, Triple, at_every_position
from benchmark.networks.published import no_weights, published_file, timm_config

# Plain transformers have no stages; so many of their blocks are shown instead.
TRANSFORMER_STAGES = 4
# A map that is at least half as large as the image is a stem's.
STEM_REDUCTION = 2
# Activations without negative values.
NON_NEGATIVE = (nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus)
# Layers that change no value, and layers that average over the positions.
NEUTRAL = (nn.Identity, nn.Dropout, nn.Flatten)
AVERAGES = (nn.AdaptiveAvgPool2d, FastAdaptiveAvgPool)
# What models raise for images that they are not made for.
MISFITS = (RuntimeError, ValueError, AssertionError, TypeError, IndexError)


class TimmNetwork(Network):
    """A model of timm that shows its stages.

    The maps are those of timm's ``feature_info``, the largest first: with the stem where timm
    counts it as a feature (ResNets, mobile networks), else from the first stage on (ConvNeXt,
    Swin). Of a plain transformer they are the ends of its four quarters, tokens as (B, C, H, W).
    Maps and features count as signed unless an activation without negative values made them.

    Args:
        model: the model.
        name: how the user wrote it.
        image_size: (height, width) for which ``stage_shapes`` are told.

    Raises:
        NetworkError: the model has no single linear classifier, shows no stages, or cannot take
            images of this size.
    """

    shows_preactivations = False
    _scale: Tensor | None
    _shift: Tensor | None

    def __init__(self, model: nn.Module, name: str, image_size: tuple[int, int]) -> None:
        super().__init__()
        # timm declares its interfaces by convention only, which a type checker cannot see.
        self.model = cast("Any", model)
        self.name = name
        self.register_buffer("_scale", None, persistent=False)
        self.register_buffer("_shift", None, persistent=False)
        self.map_indices, reduction = self._map_indices()
        self.has_stem = reduction <= STEM_REDUCTION
        self._averages = False
        try:
            complete = {f"model.{layer}" for layer in _layers_run(model, image_size)}
            self._require_linear_classifier()
            shown = _layers_run(self, image_size)
        except MISFITS as error:
            raise _does_not_take(name, image_size, error) from error
        if complete != shown:
            raise NetworkError(
                f"'{name}' ends in more than one linear classifier on its embedding "
                f"({', '.join(sorted(complete ^ shown)[:3])}); choose another model of timm."
            )
        self.embedding_dim = self.classifier.in_features
        self._averages = _averages(self, image_size)
        if not self._averages:
            self.no_class_maps = (
                f"'{name}' makes its embedding by more than a mean over positions, so its "
                "classifier says nothing about single positions"
            )
        outputs, non_negative = _traced(self, image_size)
        self.stage_shapes = tuple(cast("Shape", tuple(m.shape[1:])) for m in outputs.maps)
        self.signed_maps = tuple(not non_negative(m) for m in outputs.maps)
        last = outputs.features if self._averages else outputs.embedding
        self.signed_features = not non_negative(last)

    @property
    def classifier(self) -> nn.Linear:
        """The layer that maps the embedding to logits."""
        return cast("nn.Linear", self.model.get_classifier())

    def expect(self, mean: Triple, std: Triple) -> None:
        """Be told how the images come normalised; corrects them where the weights differ."""
        config = getattr(self.model, "pretrained_cfg", {})
        wanted = [tuple(config.get(key) or given) for key, given in (("mean", mean), ("std", std))]
        if wanted == [tuple(mean), tuple(std)]:
            return
        given_mean, given_std, own_mean, own_std = (
            torch.tensor(values)[:, None, None] for values in (mean, std, *wanted)
        )
        self._scale = given_std / own_std
        self._shift = (given_mean - own_mean) / own_std

    @property
    def feature_shape(self) -> Shape:
        """(D, H, W) of what is averaged to the embedding, one position if nothing is."""
        return super().feature_shape if self._averages else (self.embedding_dim, 1, 1)

    def forward(self, images: Tensor, *, maps: bool = False, class_maps: bool = False) -> Outputs:
        """Classify images (B, 3, H, W), and show on the way what is asked for."""
        stages: tuple[Tensor, ...] = ()
        if self._scale is not None and self._shift is not None:
            images = images * self._scale + self._shift
        if maps:
            last, intermediates = self.model.forward_intermediates(
                images, indices=self.map_indices, output_fmt="NCHW"
            )
            stages = tuple(intermediates)
        else:
            last = self.model.forward_features(images)
        embedding = self.model.forward_head(last, pre_logits=True)
        features = last if self._averages else embedding[:, :, None, None]
        by_position = class_maps and self._averages
        return Outputs(
            self.classifier(embedding),
            embedding,
            stages,
            stages,
            has_stem=self.has_stem,
            maybe_features=features if maps else None,
            maybe_class_maps=at_every_position(self.classifier, last) if by_position else None,
        )

    def _require_linear_classifier(self) -> None:
        """Refuse models without a single classifier; a 1×1 convolution becomes a linear layer."""
        layer = self.model.get_classifier()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
            linear = nn.Linear(layer.in_channels, layer.out_channels, layer.bias is not None)
            linear.weight = nn.Parameter(layer.weight.flatten(1).detach())
            if layer.bias is not None:
                linear.bias = nn.Parameter(layer.bias.detach())
            path = next(name for name, part in self.model.named_modules() if part is layer)
            parent, _, attribute = path.rpartition(".")
            setattr(self.model.get_submodule(parent), attribute, linear)
        if not isinstance(self.model.get_classifier(), nn.Linear):
            raise NetworkError(
                f"'{self.name}' does not end in one linear classifier, which a network here must; "
                "choose another model of timm."
            )

    def _map_indices(self) -> tuple[list[int], int]:
        """Which of timm's intermediate features are the maps, and the first one's reduction."""
        if not hasattr(self.model, "forward_intermediates"):
            raise NetworkError(
                f"'{self.name}' does not show its stages (timm gives it no forward_intermediates); "
                "choose another model of timm."
            )
        info = self.model.feature_info
        reductions = [stage["reduction"] for stage in getattr(info, "info", info)]
        count = len(reductions)
        if count > TRANSFORMER_STAGES and len(set(reductions)) == 1:
            ends = [(count * part) // TRANSFORMER_STAGES - 1 for part in range(1, 5)]
            return ends, reductions[0]
        return list(range(count)), reductions[0]


def _averages(network: TimmNetwork, image_size: tuple[int, int]) -> bool:
    """Whether the embedding is the spatial mean of the last features, with no layer between."""
    twin = meta_copy(network.model).eval()
    with torch.no_grad():
        last = twin.forward_features(meta_images(twin, image_size))
        if last.ndim != 4 or last.shape[1] != network.embedding_dim:
            return False
        run: list[nn.Module] = []
        for layer in twin.modules():
            if not any(layer.children()) and not isinstance(layer, NEUTRAL):
                layer.register_forward_hook(lambda layer, *_: run.append(layer))
        twin.forward_head(last, pre_logits=True)
    return len(run) == 1 and isinstance(run[0], AVERAGES)


def _traced(
    network: TimmNetwork, image_size: tuple[int, int]
) -> tuple[Outputs, Callable[[Tensor], bool]]:
    """Outputs without values, and whether one of their tensors came straight from an activation.

    The tensor must be the very one that a layer of ``NON_NEGATIVE`` returned, and nothing may have
    written into it since.
    """
    twin = meta_copy(network).eval()
    made: dict[int, tuple[Tensor, int]] = {}

    def note(_: nn.Module, __: object, output: Tensor) -> None:
        made[id(output)] = (output, output._version)  # kept, so that the id stays its own

    for layer in twin.modules():
        if isinstance(layer, NON_NEGATIVE):
            layer.register_forward_hook(note)
    with torch.no_grad():
        outputs: Outputs = twin(meta_images(twin, image_size), maps=True)

    def non_negative(tensor: Tensor) -> bool:
        return id(tensor) in made and made[id(tensor)][1] == tensor._version

    return outputs, non_negative


def _layers_run(network: nn.Module, image_size: tuple[int, int]) -> set[str]:
    """Names of the layers that compute something in a forward pass in eval mode."""
    twin = meta_copy(network).eval()
    names: set[str] = set()
    for name, layer in twin.named_modules():
        if not any(layer.children()) and not isinstance(layer, nn.Identity | nn.Dropout):
            layer.register_forward_hook(lambda *_, name=name: names.add(name))
    with torch.no_grad():
        twin(meta_images(twin, image_size))
    return names


def create_timm_network(
    name: str,
    *,
    classes: int,
    image_size: tuple[int, int],
    pretrained: bool,
    drop_path: float = 0.0,
) -> TimmNetwork:
    """Build ``timm/NAME``; other drop rates and pooling are timm's defaults.

    Args:
        name: with the prefix; a tag as in ``timm/resnet18.a1_in1k`` chooses the weights.
        classes: number of classes K; a new classifier is drawn where the weights have another.
        image_size: (height, width).
        pretrained: start from the published weights, from the cache or the hub.
        drop_path: largest share of residual branches left out in training.

    Raises:
        UnknownName: timm has no such model.
        NetworkError: it cannot be built this way, or its weights cannot be had.
    """
    options: dict[str, Any] = {}
    config = timm_config(name)
    if config is not None and config.fixed_input_size:
        options["img_size"] = image_size
    if drop_path:
        options["drop_path_rate"] = drop_path
    if pretrained and (file := published_file(name)):
        options["pretrained_cfg_overlay"] = {"file": str(file)}
    try:
        model = timm.create_model(
            name.removeprefix(TIMM_PREFIX), pretrained=pretrained, num_classes=classes, **options
        )
    # Building asserts, and downloading fails, with whatever the libraries below timm raise.
    except Exception as error:
        if "drop_path_rate" in str(error):
            raise has_no_drop_path(name) from error
        if pretrained:
            raise no_weights(name, first_line(error)) from error
        raise _does_not_take(name, image_size, error) from error
    # Some take the rate and do nothing with it.
    if drop_path and not any(isinstance(p, DropPath) and p.drop_prob for p in model.modules()):
        raise has_no_drop_path(name)
    return TimmNetwork(model, name, image_size)


def _does_not_take(name: str, image_size: tuple[int, int], error: Exception) -> NetworkError:
    height, width = image_size
    return NetworkError(
        f"'{name}' cannot be built for images of {height}x{width}: {first_line(error)}\n"
        "Choose another image size or another model."
    )
