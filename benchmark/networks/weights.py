"""Weights that people have in files, loaded into a network, with one clear word if they do not fit.

Read are state dicts, alone or in a checkpoint under ``model`` or ``state_dict``, as .pt, .pth or
.safetensors, with or without the prefixes that wrappers leave on the names.

Such files come from anywhere. Nothing in them is run (``weights_only``), one that unpacks to far
more than it is itself is not unpacked, shapes are compared before anything of a tensor is copied,
and numbers that are not finite are refused: nothing was ever trained to them.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from benchmark.errors import NetworkError, printable
from benchmark.networks.heads import classifier_key
from benchmark.networks.outputs import Network

State = dict[str, Tensor]
CONTAINERS = ("model", "state_dict")
# Prefixes that DataParallel, torch.compile and our own wrapper of timm's models leave.
WRAPPERS = ("module.", "_orig_mod.", "model.")
SHOWN = 3
_MOST_RATIO = 4  # of unpacked to packed; torch and safetensors do not pack at all
_FREE_BYTES = 64 << 20  # for which the ratio is not looked at
_MOST_LEVELS = 4  # of containers in each other


def load_weights(network: Network, path: str | Path) -> None:
    """Load a file's weights into the network; all of them must be there and fit.

    Raises:
        NetworkError: the file is missing or no checkpoint, or it holds another network or another
            number of classes. The network is then left as it was.
    """
    path = Path(path)
    wanted = network.state_dict()
    state = _fit_names(_read(path), wanted)
    # Old files lack BatchNorm's counters, which change nothing at a fixed momentum.
    state = {k: v for k, v in wanted.items() if k.endswith("num_batches_tracked")} | state
    _check_names(state, wanted, path)
    state = {key: _fit_shape(value, wanted[key]) for key, value in state.items()}
    _check_shapes(state, wanted, path, classifier=f"{classifier_key(network)}.weight")
    _check_numbers(state, path)
    network.load_state_dict(state)


def _read(path: Path) -> State:
    """The tensors of a file by name.

    Raises:
        NetworkError: the file is missing, unreadable, or has no tensors where they are expected.
    """
    if not path.is_file():
        raise NetworkError(f"there is no file of weights at {path}.")
    try:
        content = _parse(path)
    # The libraries end in anything for files that are truncated, damaged, or something else.
    except Exception as error:
        raise NetworkError(
            f"{path} is not a checkpoint that can be read: it is truncated, or another kind of "
            f"file, or holds more than tensors.\n{type(error).__name__}: {_first_sentence(error)}"
        ) from error
    state = _find_state(content)
    if not state:
        raise NetworkError(
            f"{path} holds no weights: expected is a state dict, alone or under "
            f"{' or '.join(repr(key) for key in CONTAINERS)}."
        )
    return state


def check_size(path: Path) -> None:
    """Refuse a file that unpacks to far more than it is itself.

    Raises:
        ValueError: it does.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as packed:
        unpacked = sum(entry.file_size for entry in packed.infolist())
    if unpacked > max(_FREE_BYTES, _MOST_RATIO * path.stat().st_size):
        raise ValueError(f"{path.stat().st_size:,} bytes would unpack to {unpacked:,}")


def _parse(path: Path) -> Any:
    check_size(path)
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    # Published checkpoints keep the options of their training next to the weights.
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def _find_state(content: Any) -> State:
    for _ in range(_MOST_LEVELS):
        if not isinstance(content, Mapping):
            return {}
        inner = [content[name] for name in CONTAINERS if isinstance(content.get(name), Mapping)]
        if not inner:
            return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        content = inner[0]
    return {}


def _fit_names(state: State, wanted: Collection[str]) -> State:
    """The state dict in the spelling of its names that fits the network best."""
    spellings = [state, {f"model.{key}": value for key, value in state.items()}]
    bare = state
    for prefix in WRAPPERS:
        bare = {key.removeprefix(prefix): value for key, value in bare.items()}
        spellings += [bare, {f"model.{key}": value for key, value in bare.items()}]
    return max(spellings, key=lambda spelling: len(spelling.keys() & set(wanted)))


def _fit_shape(value: Tensor, wanted: Tensor) -> Tensor:
    """A classifier that was a 1×1 convolution, as the linear layer that it is here."""
    if value.ndim == 4 and value.shape == (*wanted.shape, 1, 1) and wanted.ndim == 2:
        return value.flatten(1)
    return value


def _check_names(state: State, wanted: State, path: Path) -> None:
    missing = [key for key in wanted if key not in state]
    unexpected = [key for key in state if key not in wanted]
    if missing or unexpected:
        lines = [f"{path} holds the weights of another network."]
        lines += _summary("missing in the file", missing)
        lines += _summary("not in the network", unexpected)
        raise NetworkError("\n".join(lines))


def _check_shapes(state: State, wanted: State, path: Path, *, classifier: str) -> None:
    wrong = [key for key in wanted if state[key].shape != wanted[key].shape]
    has, needs = state[classifier].shape, wanted[classifier].shape
    head = {classifier, classifier.removesuffix("weight") + "bias"}
    if set(wrong) <= head and has[1:] == needs[1:] and wrong:
        raise NetworkError(
            f"{path} holds a classifier for {has[0]} classes, the data set has {needs[0]}.\n"
            "Choose the weights that were trained on this data set."
        )
    if wrong:
        shapes = [f"{key} {_shape(state[key])} for {_shape(wanted[key])}" for key in wrong]
        lines = [f"{path} holds the weights of a network of other widths."]
        raise NetworkError("\n".join(lines + _summary("of another shape", shapes)))


def _check_numbers(state: State, path: Path) -> None:
    """Refuse tensors that hold no plain numbers, or numbers that are not finite."""
    odd = [k for k, v in state.items() if v.layout != torch.strided or v.is_meta or v.is_quantized]
    odd += [k for k, v in state.items() if k not in odd and not torch.isfinite(v).all()]
    if odd:
        lines = [f"{path} holds no weights that anything was trained to. Fetch it again."]
        raise NetworkError("\n".join(lines + _summary("without a finite number each", odd)))


def _summary(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    rest = len(names) - SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return [f"{what}: {printable(', '.join(name[:200] for name in names[:SHOWN]))}{more}"]


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _first_sentence(error: Exception) -> str:
    return printable(str(error).partition("\n")[0].partition(". ")[0][:500])
