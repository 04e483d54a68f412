"""A nested state is taken apart and put together again, bit for bit and in its layout."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmark.training.keeping.nested import pack, unpack

TYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.uint8,
    torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64, torch.complex128,
)  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Equal in types, values, bits and the layout of tensors."""
    if isinstance(one, Tensor):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        dense = one.is_contiguous() or one.is_contiguous(memory_format=torch.channels_last)
        if dense and not {0, 1} & {*one.shape} and one.stride() != other.stride():
            return False
        as_bytes = [t.contiguous().reshape(-1).view(torch.uint8) for t in (one, other)]
        return torch.equal(*as_bytes)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    dtype = draw(st.sampled_from(TYPES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 9)))
    tensor = torch.randint(0, 2, shape, generator=generator).to(dtype)
    if tensor.ndim == 4 and draw(st.booleans()):
        tensor = tensor.to(memory_format=torch.channels_last)
    match draw(st.integers(0, 3)):
        case 0 if tensor.ndim > 1:
            return tensor.transpose(0, 1)
        case 1 if tensor.ndim and len(tensor):
            return tensor[:1]  # a part of a larger one
        case 2 if tensor.ndim:
            return tensor[:, None].expand(-1, 2, *tensor.shape[1:])  # has fewer numbers than places
    return tensor


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.text(max_size=6) | st.integers(-2, 99)
STATES = st.recursive(
    PLAIN | tensors(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(state=STATES)
@settings(max_examples=200, deadline=None)
def test_a_state_comes_back_as_it_was(state: Any) -> None:
    skeleton, tensors = pack(state)
    assert all(tensor.is_contiguous() for tensor in tensors.values())
    assert same(state, unpack(json.loads(json.dumps(skeleton, allow_nan=False)), tensors))


def test_tensors_that_share_memory_come_apart() -> None:
    whole = torch.arange(6.0)
    state = {"whole": whole, "again": whole, "part": whole[2:4], "turned": whole.view(2, 3).t()}
    skeleton, tensors = pack(state)
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors.values()}) == 4
    assert same(state, unpack(skeleton, tensors))


def test_names_that_are_spelled_alike_stay_apart() -> None:
    state = {1: torch.ones(1), "1": torch.zeros(1), "a.b": torch.ones(2), "a": {"b": torch.ones(3)}}
    skeleton, tensors = pack(state)
    assert len(tensors) == 4
    assert same(state, unpack(skeleton, tensors))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_an_optimiser_goes_on_with_the_layout_of_its_weights(name: str) -> None:
    """A fused step reads weights and moments side by side in the order of memory."""
    make = {
        "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, fused=True),
        "adamw": lambda p: torch.optim.AdamW(p, 0.1, fused=True),
    }[name]
    states = []
    for restored in (False, True):
        torch.manual_seed(0)
        layer = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        optimiser = make(layer.parameters())
        for step in range(4):
            if restored and step == 2:
                kept = unpack(*pack(optimiser.state_dict()))
                optimiser = make(layer.parameters())
                optimiser.load_state_dict(kept)
            layer(torch.randn(2, 3, 8, 8)).square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()
        states.append(layer.weight.detach())
    assert torch.equal(*states)


@pytest.mark.parametrize(
    "odd",
    [object(), {1.5: 1}, torch.eye(2).to_sparse(), [len]],
    ids=["object", "key", "sparse", "code"],
)
def test_what_cannot_be_kept_is_named(odd: Any) -> None:
    with pytest.raises(TypeError, match=r"state\.a"):
        pack({"a": odd})


@pytest.mark.parametrize(
    "skeleton", [{"tensor": "gone"}, {"odd": 1}, {"map": 3}, [{"tensor": 3}], {}]
)
def test_a_skeleton_without_its_tensors_is_refused(skeleton: Any) -> None:
    with pytest.raises(ValueError, match="missing"):
        unpack(skeleton, {})
