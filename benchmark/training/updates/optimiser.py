"""The optimiser that a protocol asks for, its groups of parameters, and their learning rates.

SGD and AdamW are torch's, fused. Every other name is timm's, which takes seconds to import: only
those who ask for it wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from benchmark.cards.protocol import Protocol
from benchmark.errors import TrainingError, UnknownName, UsageError, first_line

RATE = "rate"  # key of a group's share of the protocol's rate, in groups that have another than 1
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Part:
    """Parameters that are trained alike.

    Attributes:
        parameters: in their order.
        rate: their learning rate as a share of the protocol's.
        decay: their weight decay; None for the protocol's.
    """

    parameters: Sequence[nn.Parameter]
    rate: float = 1.0
    decay: float | None = None


def check_optimiser(protocol: Protocol) -> None:
    """Refuse what the protocol's optimiser cannot do, before anything is trained.

    Raises:
        UnknownName: neither torch's two nor timm has an optimiser of this name.
        UsageError: it does not take the protocol's ``betas``, ``eps`` or ``momentum``, or needs
            second derivatives, which are not computed here.
    """
    name = protocol.optimiser
    if name == "sgd":
        return
    if name == "adamw":
        _check_betas(protocol, 2)
        return
    from timm.optim import get_optimizer_info, list_optimizers

    known = ["sgd", "adamw", *list_optimizers()]
    if name not in known:
        raise UnknownName(
            "optimiser", name, known, "It is sgd, adamw, or one of timm.optim.list_optimizers()."
        )
    info = get_optimizer_info(name)
    if info.second_order:
        raise UsageError(
            f"optimiser '{name}' needs second derivatives, which are not computed here; choose "
            "another one."
        )
    _check_betas(protocol, info.num_betas if info.has_betas else 0)
    if protocol.eps is not None and not info.has_eps:
        raise UsageError(f"optimiser '{name}' has no eps; write eps=none.")
    usual = Protocol.model_fields["momentum"].default
    if protocol.momentum != usual and not info.has_momentum:
        raise UsageError(f"optimiser '{name}' has no momentum; leave it at {usual}.")


def _check_betas(protocol: Protocol, count: int) -> None:
    if protocol.betas is not None and len(protocol.betas) != count:
        has = f"{count} betas, not {len(protocol.betas)}" if count else "no betas; write betas=none"
        raise UsageError(f"optimiser '{protocol.optimiser}' has {has}.")


def make_optimiser(
    protocol: Protocol, network: str, parts: Sequence[Part], *, within: nn.Module
) -> torch.optim.Optimizer:
    """The optimiser of a training, with a group for each rate and weight decay.

    Without parts of their own rate or decay, and with ``decay_norms``, that is one group that holds
    all parameters in the order in which they were given.

    Args:
        protocol: says which optimiser, and its numbers.
        network: some networks have a base rate of their own.
        parts: every trained parameter once.
        within: the module that holds them, which knows what is a normalisation.

    Raises:
        UnknownName, UsageError: see ``check_optimiser``.
        TrainingError: it cannot be made on this machine.
    """
    check_optimiser(protocol)
    groups = _groups(protocol, parts, within)
    common: dict[str, Any] = {
        "lr": protocol.base_rate(network),
        "weight_decay": protocol.weight_decay,
    }
    if protocol.optimiser == "sgd":
        return torch.optim.SGD(
            groups, momentum=protocol.momentum, nesterov=protocol.nesterov, fused=True, **common
        )
    own = {"betas": protocol.betas, "eps": protocol.eps}
    common |= {name: value for name, value in own.items() if value is not None}
    if protocol.optimiser == "adamw":
        return torch.optim.AdamW(groups, fused=True, **common)
    from timm.optim import create_optimizer_v2

    try:
        optimiser: torch.optim.Optimizer = create_optimizer_v2(
            groups, protocol.optimiser, momentum=protocol.momentum, **common
        )
    # Some need a GPU or a package of their own, and say so in whatever way.
    except Exception as error:
        raise TrainingError(
            f"the optimiser '{protocol.optimiser}' cannot be made here: {first_line(error)}"
        ) from error
    return optimiser


def _groups(protocol: Protocol, parts: Sequence[Part], within: nn.Module) -> list[dict[str, Any]]:
    """Groups as torch takes them; parameters of equal rate and decay share one."""
    spared = frozenset() if protocol.decay_norms else norms_and_biases(within)
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for part in parts:
        decay = protocol.weight_decay if part.decay is None else part.decay
        for parameter in part.parameters:
            key = (part.rate, 0.0 if parameter in spared else decay)
            members.setdefault(key, []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay} | ({RATE: rate} if rate != 1.0 else {})
        for (rate, decay), parameters in members.items()
    ]


def norms_and_biases(module: nn.Module) -> frozenset[nn.Parameter]:
    """The parameters that ``decay_norms = false`` spares.

    All of normalisation layers, of whatever shape, and whatever else is a single number or a row of
    numbers: biases, and the scales of layers and of residual branches.
    """
    rows = {parameter for parameter in module.parameters() if parameter.ndim <= 1}
    norms = (part for part in module.modules() if isinstance(part, NORMS))
    return frozenset(rows.union(*(norm.parameters(recurse=False) for norm in norms)))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of the protocol's learning rate of the moment."""
    for group in optimiser.param_groups:
        # Groups of checkpoints that are older than shares have none.
        group["lr"] = rate * group.get(RATE, 1.0)


def clip(parameters: Iterable[nn.Parameter], clip_norm: float) -> None:
    """Scale all gradients so that their common norm is ``clip_norm`` at most; 0 leaves them."""
    if clip_norm:
        nn.utils.clip_grad_norm_(parameters, clip_norm)
