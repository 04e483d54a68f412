"""A nested state as tensors by name and the rest of it as JSON, and back.

The state of a learner is dictionaries, lists and tuples of tensors, numbers and text. Tensors come
back in the layout that they had: a fused optimiser reads moments and weights side by side in the
order of memory, and weights are kept with their channels last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

# What every version of safetensors has; others are kept as their bytes.
_OWN_TYPES = frozenset(
    {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8}
    | {torch.int64, torch.int32, torch.int16, torch.int8}
)


def pack(state: Any) -> tuple[Any, dict[str, Tensor]]:
    """Take a state apart.

    Args:
        state: dictionaries with keys of text or numbers, lists, tuples, tensors, numbers, text,
            None.

    Returns:
        A skeleton that JSON can hold, and the tensors on the CPU, contiguous, none of which shares
        its memory with another one. They are not copied where that is not needed.

    Raises:
        TypeError: the state holds something else; names the place.
    """
    packer = _Packer()
    return packer.node(state, "state"), packer.tensors


def unpack(skeleton: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The state that ``pack`` took apart.

    Raises:
        ValueError: the skeleton is none, or a tensor of it is missing.
    """
    if isinstance(skeleton, list):
        return [unpack(item, tensors) for item in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    match skeleton:
        case {"map": list(entries)}:
            return {key: unpack(value, tensors) for key, value in entries}
        case {"tuple": list(items)}:
            return tuple(unpack(item, tensors) for item in items)
        case {"number": str(text)}:
            return float(text)
        case {"tensor": str(name)} if name in tensors:
            return _restored(tensors[name], skeleton)
    raise ValueError(f"a part of the state is missing: {str(skeleton)[:100]}")


class _Packer:
    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._memories: set[int] = set()

    def node(self, value: Any, place: str) -> Any:
        if isinstance(value, Tensor):
            return self._tensor(value, place)
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"number": str(float(value))}
        if isinstance(value, Mapping):
            if odd := [key for key in value if not isinstance(key, str | int)]:
                raise TypeError(f"{place} has the key {odd[0]!r}; only text and whole numbers do.")
            return {
                "map": [[key, self.node(item, f"{place}.{key}")] for key, item in value.items()]
            }
        if isinstance(value, list | tuple):
            items = [self.node(item, f"{place}.{number}") for number, item in enumerate(value)]
            return {"tuple": items} if isinstance(value, tuple) else items
        raise TypeError(
            f"{place} is a {type(value).__name__}; a checkpoint holds tensors, numbers and text."
        )

    def _tensor(self, tensor: Tensor, place: str) -> dict[str, Any]:
        if tensor.layout is not torch.strided or tensor.is_quantized:
            raise TypeError(f"{place} is no plain tensor; a checkpoint holds only such.")
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
        node: dict[str, Any] = {"tensor": self._unused(place)}
        order = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
        if order != sorted(order):
            node["order"] = order
        tensor = tensor.permute(order).contiguous()
        if tensor.dtype not in _OWN_TYPES:
            node |= {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": [*tensor.shape]}
            tensor = tensor.reshape(-1).view(torch.uint8)
        memory = tensor.untyped_storage()
        # A part of a larger tensor, or of one that is packed already.
        if memory.nbytes() != tensor.nbytes or memory.data_ptr() in self._memories:
            tensor = tensor.clone()
        self._memories.add(tensor.untyped_storage().data_ptr())
        self.tensors[node["tensor"]] = tensor
        return node

    def _unused(self, place: str) -> str:
        """The place as a name; others may spell theirs alike, as 1 and "1"."""
        name, number = place, 1
        while name in self.tensors:
            number += 1
            name = f"{place}~{number}"
        return name


def _restored(tensor: Tensor, node: Mapping[str, Any]) -> Tensor:
    if "dtype" in node:
        dtype = getattr(torch, node["dtype"], None)
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"there is no type of numbers '{node['dtype']}'")
        tensor = tensor.view(dtype).reshape(node["shape"])
    order = node.get("order")
    if order is None:
        return tensor
    return tensor.permute([order.index(axis) for axis in range(len(order))])
