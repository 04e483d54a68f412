"""What a learner's loss does in some steps of its training: terms, gradients, shapes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.networks.outputs import Outputs
from benchmark.recipe.batch import Heard, Terms
from benchmark.training.learner import Learner

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Seen:
    """One step, before its update.

    Attributes:
        step: from 1.
        terms: the weighted loss terms.
        gradients: Euclidean norm of each term's gradient by the student's parameters.
        student: of the whole loss's gradient by the student's parameters.
        own: of the whole loss's gradient by the recipe's own layers; None if it has none.
    """

    step: int
    terms: Mapping[str, float]
    gradients: Mapping[str, float]
    student: float
    own: float | None


@dataclass
class Watch:
    """Looks on while a learner trains, and changes nothing: no draw, no sum, no state.

    Attributes:
        learner: in training.
        steps: numbers of the steps that are looked at, from 1.
        seen: those that were.
        shapes: of what ``forward`` gets, by network and part, in the first step.
    """

    learner: Learner
    steps: Collection[int]
    seen: list[Seen] = field(default_factory=list)
    shapes: dict[str, dict[str, tuple[Shape, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._count = 0
        lesson = self.learner.lesson
        # Of the network's first step alone: an examination copies the network, with its hooks.
        self._first = lesson.network.register_forward_hook(self._after_network)
        lesson.register_forward_hook(self._after_lesson)

    def _after_network(self, network: nn.Module, images: Any, outputs: Outputs) -> None:
        self.shapes["student"] = _shapes(outputs)
        self._first.remove()

    def _after_lesson(self, lesson: nn.Module, heard: tuple[Any, Heard], terms: Terms) -> None:
        self._count += 1
        if self._count == 1:
            said = heard[1]
            by_role = {"teacher": said} if isinstance(said, Outputs) else dict(said or {})
            self.shapes |= {role: _shapes(outputs) for role, outputs in by_role.items()}
        if self._count in self.steps:
            self.seen.append(self._look(terms))

    def _look(self, terms: Terms) -> Seen:
        lesson = self.learner.lesson
        theirs = [p for p in lesson.network.parameters() if p.requires_grad]
        known = set(map(id, theirs))
        own = [p for p in lesson.parameters() if p.requires_grad and id(p) not in known]
        sums: list[Tensor | None] = [None] * (len(theirs) + len(own))
        gradients = {}
        for name, term in terms.items():
            parts: tuple[Tensor | None, ...] = (None,) * len(sums)
            if term.requires_grad:
                parts = torch.autograd.grad(
                    term.reshape(()), [*theirs, *own], retain_graph=True, allow_unused=True
                )
            gradients[name] = _norm(parts[: len(theirs)])
            sums = [
                b if a is None else a if b is None else a + b
                for a, b in zip(sums, parts, strict=True)
            ]
        return Seen(
            self._count,
            {name: float(term.detach()) for name, term in terms.items()},
            gradients,
            _norm(sums[: len(theirs)]),
            _norm(sums[len(theirs) :]) if own else None,
        )


def _norm(parts: Collection[Tensor | None]) -> float:
    squares = [part.detach().double().square().sum() for part in parts if part is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def _shapes(outputs: Outputs) -> dict[str, tuple[Shape, ...]]:
    """The shapes of what a network computed, by part, without those that were not asked for."""
    shapes = {}
    for name, part in vars(outputs).items():
        tensors = [part] if isinstance(part, Tensor) else part if isinstance(part, tuple) else []
        if found := tuple(tuple(tensor.shape) for tensor in tensors if isinstance(tensor, Tensor)):
            shapes[name] = found
    return shapes
