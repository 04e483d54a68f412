"""The optimiser of a protocol: today's SGD to the bit, groups, rates, clipping, timm's names."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.cards.protocol import Protocol
from benchmark.errors import TrainingError, UnknownName, UsageError
from benchmark.networks.creation import create_network
from benchmark.training.updates.optimiser import (
    Part,
    check_optimiser,
    clip,
    make_optimiser,
    norms_and_biases,
    set_rate,
)


def protocol(**changes: Any) -> Protocol:
    values = {"name": "p", "epochs": 3, "batch_size": 8, "lr": 0.1, "schedule": "cosine"}
    return Protocol.model_validate(values | changes)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return create_network("resnet8", classes=4)


def whole(module: nn.Module) -> list[Part]:
    return [Part(list(module.parameters()))]


def todays(module: nn.Module, asked: Protocol) -> torch.optim.SGD:
    """What trained the committed records."""
    return torch.optim.SGD(
        [p for p in module.parameters() if p.requires_grad],
        lr=asked.lr,
        momentum=asked.momentum,
        nesterov=asked.nesterov,
        weight_decay=asked.weight_decay,
        fused=True,
    )


def train(module: nn.Module, optimiser: torch.optim.Optimizer, steps: int = 4) -> None:
    """Steps on random images, at a rate that changes, from the same random state each time."""
    torch.manual_seed(1)
    for step in range(steps):
        outputs = module(torch.randn(8, 3, 32, 32))
        nn.functional.cross_entropy(outputs.logits, torch.arange(8) % 4).backward()
        set_rate(optimiser, 0.1 / (step + 1))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def weights(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("changes", [{}, {"nesterov": True, "weight_decay": 1e-3}])
def test_plain_sgd_is_todays_to_the_bit(network: nn.Module, changes: dict[str, Any]) -> None:
    twin, asked = copy.deepcopy(network), protocol(**changes)
    ours, before = make_optimiser(asked, "x", whole(network), within=network), todays(twin, asked)
    assert ours.state_dict() == before.state_dict()
    train(network, ours)
    train(twin, before)
    assert torch.equal(weights(network), weights(twin))


def test_a_checkpoint_of_today_continues(network: nn.Module) -> None:
    asked, twin = protocol(), copy.deepcopy(network)
    before = todays(network, asked)
    train(network, before)
    file = io.BytesIO()
    torch.save(before.state_dict(), file)
    file.seek(0)
    twin.load_state_dict(network.state_dict())
    ours = make_optimiser(asked, "x", whole(twin), within=twin)
    ours.load_state_dict(torch.load(file, weights_only=True))
    train(network, before)
    train(twin, ours)
    assert torch.equal(weights(network), weights(twin))


def test_every_group_follows_the_rate_at_its_share(network: nn.Module) -> None:
    first, *rest = network.parameters()
    parts = [Part([first], rate=10.0), Part(rest[:2], decay=0.0), Part(rest[2:])]
    optimiser = make_optimiser(protocol(), "x", parts, within=network)
    set_rate(optimiser, 0.02)
    groups = [(group["lr"], group["weight_decay"]) for group in optimiser.param_groups]
    assert groups == [(0.2, 5e-4), (0.02, 0.0), (0.02, 5e-4)]
    held = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert held == [id(p) for p in network.parameters()]


def test_groups_and_their_shares_are_in_the_checkpoint(network: nn.Module) -> None:
    first, *rest = network.parameters()
    parts = [Part([first], rate=10.0), Part(rest)]
    optimiser = make_optimiser(protocol(), "x", parts, within=network)
    again = make_optimiser(protocol(), "x", parts, within=network)
    again.load_state_dict(optimiser.state_dict())
    set_rate(again, 0.02)
    assert [group["lr"] for group in again.param_groups] == [0.2, 0.02]


def test_parts_that_ask_for_nothing_share_one_group(network: nn.Module) -> None:
    first, *rest = network.parameters()
    optimiser = make_optimiser(protocol(), "x", [Part([first]), Part(rest)], within=network)
    assert len(optimiser.param_groups) == 1


def test_norms_and_biases_may_be_spared(network: nn.Module) -> None:
    asked = protocol(decay_norms=False)
    decayed, spared = make_optimiser(asked, "x", whole(network), within=network).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (5e-4, 0.0)
    matrices = {
        id(layer.weight) for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    assert {id(p) for p in decayed["params"]} == matrices
    assert len(decayed["params"]) + len(spared["params"]) == len(list(network.parameters()))


def test_a_norm_is_known_by_its_kind_and_not_by_its_name() -> None:
    module = nn.ModuleDict({"norm": nn.Linear(3, 3), "plain": nn.LayerNorm((2, 3, 3))})
    assert norms_and_biases(module) == {*module["plain"].parameters(), module["norm"].bias}


def test_adamw_is_torchs(network: nn.Module) -> None:
    asked = protocol(optimiser="adamw", lr=1e-3, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.05)
    twin = copy.deepcopy(network)
    train(network, make_optimiser(asked, "x", whole(network), within=network))
    other = torch.optim.AdamW(twin.parameters(), 1e-3, (0.8, 0.95), 1e-6, 0.05, fused=True)
    train(twin, other)
    assert torch.equal(weights(network), weights(twin))


@pytest.mark.parametrize("name", ["lamb", "lion", "muon", "nadamw", "sgdp"])
def test_any_optimiser_of_timm_trains_by_its_name(network: nn.Module, name: str) -> None:
    asked = protocol(optimiser=name, decay_norms=False)
    check_optimiser(asked)
    before = weights(network)
    first, *rest = network.parameters()
    parts = [Part([first], rate=2.0), Part(rest)]
    optimiser = make_optimiser(asked, "x", parts, within=network)
    train(network, optimiser)
    assert type(optimiser).__module__.startswith(("timm.", "torch.optim."))
    assert weights(network).isfinite().all()
    assert not torch.equal(weights(network), before)


def test_a_name_of_timm_gets_the_protocols_numbers(network: nn.Module) -> None:
    asked = protocol(optimiser="lamb", betas=(0.8, 0.9), eps=1e-5, weight_decay=0.02)
    (group,) = make_optimiser(asked, "x", whole(network), within=network).param_groups
    assert (group["betas"], group["eps"], group["weight_decay"]) == ((0.8, 0.9), 1e-5, 0.02)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimiser": "lian"}, "unknown optimiser 'lian'. Did you mean 'lion'?"),
        ({"optimiser": "adamww"}, "Did you mean 'adamw'?"),
        ({"optimiser": "adahessian"}, "needs second derivatives"),
        ({"optimiser": "lion", "eps": 1e-8}, "'lion' has no eps"),
        ({"optimiser": "lion", "momentum": 0.8}, "'lion' has no momentum; leave it at 0.9"),
        ({"optimiser": "sgdp", "betas": (0.9, 0.99)}, "'sgdp' has no betas"),
        ({"optimiser": "adan", "betas": (0.9, 0.99)}, "'adan' has 3 betas, not 2"),
        ({"optimiser": "adamw", "betas": (0.9,)}, "'adamw' has 2 betas, not 1"),
    ],
)
def test_what_an_optimiser_cannot_do_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_optimiser(protocol(**changes))
    assert said in str(caught.value)
    assert isinstance(caught.value, UnknownName) == (
        "unknown" in str(caught.value) or "mean" in said
    )


def test_an_optimiser_that_this_machine_lacks_is_one_message(network: nn.Module) -> None:
    asked = protocol(optimiser="fusednovograd")  # of apex, which is not installed
    with pytest.raises(TrainingError, match="'fusednovograd' cannot be made here"):
        make_optimiser(asked, "x", whole(network), within=network)


def test_clipping_scales_all_gradients_by_one_factor() -> None:
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))]
    grads = [torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0, 0.0])]

    def clipped(norm: float) -> list[Tensor]:
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad.clone()
        clip(parameters, norm)
        return [p.grad for p in parameters if p.grad is not None]

    for norm, factor in ((0.0, 1.0), (10.0, 1.0), (1.0, 0.2)):
        for grad, asked in zip(clipped(norm), grads, strict=True):
            torch.testing.assert_close(grad, asked * factor)
