"""One network that minimises one recipe: its step, its prediction, its state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from benchmark.data.loaders.batches import stable_seed
from benchmark.errors import RecipeError
from benchmark.networks.outputs import Network
from benchmark.recipe.batch import Batch, Heard, Terms
from benchmark.recipe.context import Context
from benchmark.recipe.contract import Recipe
from benchmark.training.cost import Meter
from benchmark.training.job import Job, Setting, context_of, make_network
from benchmark.training.steps.lesson import Lesson, over_processes
from benchmark.training.steps.programs import Program, Programs
from benchmark.training.teaching import Teachers
from benchmark.training.updates.averaging import WeightAverage
from benchmark.training.updates.optimiser import Part, clip, make_optimiser, set_rate
from benchmark.training.updates.stages import Span, spans_of
from benchmark.training.updates.terms import TermSums
from benchmark.training.walls.lending import Lent
from benchmark.training.walls.randomness import seed_all
from benchmark.training.walls.wall import Wall


def nothing_known(job: Job, context: Context) -> Mapping[str, Tensor]:
    """For recipes that learn nothing of the training set before they are built."""
    return {}


class Learner:
    """A network in training.

    Args:
        job: what to train.
        setting: what the data say.
        accelerator: owns device, precision and processes.
        known_to: gives what the recipe's ``before`` found of the training set.
        wall: puts back what a hook leaves changed.
        programs: compile its step; None trains it as it is written.

    Attributes:
        forward: gives the loss terms of a batch, in all steps but a stage's first.
    """

    def __init__(
        self,
        job: Job,
        setting: Setting,
        accelerator: Accelerator,
        known_to: Callable[[Job, Context], Mapping[str, Tensor]] = nothing_known,
        wall: Wall | None = None,
        programs: Programs | None = None,
    ) -> None:
        self.job, self.programs = job, programs
        self.accelerator, self.wall = accelerator, wall or Wall()
        self.spans = spans_of(job.recipe, job.protocol)
        # What the recipe is built from is its own to change.
        own = replace(job, roles=Lent(job.roles))
        network = make_network(own, setting)
        self.wall.tidy("adapt")
        context = context_of(own, replace(setting, labels=setting.labels.clone()), network)
        context = replace(context, known=known_to(job, context))
        self.wall.tidy("before")
        seed_all(stable_seed(job.seed, "recipe", job.network))
        job.recipe.build(context)
        self.wall.tidy("build")
        self.lesson = Lesson(network, job.recipe, accelerator.autocast, self.spans[0].stage)
        self.lesson.to(accelerator.device).to(memory_format=torch.channels_last)
        decay = job.protocol.average
        self.average = WeightAverage(network, decay) if decay else None
        self._enter(self.spans[0])
        self.terms = TermSums(self.recipe.info.name, accelerator)
        self.forwards_per_image = self.backwards_per_image = 0.0

    @property
    def network(self) -> Network:
        """The network itself."""
        return self.lesson.network

    @property
    def recipe(self) -> Recipe:
        """The recipe with its layers."""
        return self.lesson.recipe

    @property
    def is_compiled(self) -> bool:
        """Whether its steps are, or what its teachers say in them."""
        if self.programs is None:
            return False
        heard = self.programs.teachers if self.job.heard else ()
        return any(not program.is_plain for program in (*heard, self._program) if program)

    @property
    def training_parameters(self) -> int:
        """Number of all that is trained, the recipe's own layers included."""
        return sum(p.numel() for p in self.lesson.trainable)

    def _enter(self, span: Span) -> None:
        """Begin a stage: an optimiser and an average without a past, on what it trains."""
        protocol = self.job.protocol
        self.span = span
        trained = self._trained = self.lesson.enter(span.stage)
        if not trained:
            raise RecipeError(
                f"recipe '{self.recipe.info.name}' trains nothing in its stage "
                f"'{span.stage.name}': everything rests."
            )
        parts = _parts(self.recipe, self.network, trained)
        self.optimiser = make_optimiser(protocol, self.job.network, parts, within=self.lesson)
        if self.average is not None:
            self.average.restart()
        self._plain = over_processes(self.lesson, self.accelerator, partial=not span.is_main)
        self._program: Program[[Batch, Heard], Terms] | None = None
        if self.programs is not None:
            self._program = self.programs.of_lesson(self.lesson, self.job.label)
        self.forward: Callable[[Batch, Heard], Terms] = self._program or self._plain
        self._meter = Meter(self.lesson.networks())

    def start_epoch(self, epoch: int) -> None:
        """Be in the epoch's stage, in training mode, and forget the last epoch's sums."""
        for span in self.spans:
            if span.start == epoch and span is not self.span:
                self._enter(span)
        self.lesson.wake()
        self.terms.clear()

    def step(
        self, batch: Batch, teachers: Teachers, *, weight: float, at: float, count: int
    ) -> None:
        """One update.

        Args:
            batch: this process's part of the global batch.
            teachers: the networks that the group hears.
            weight: of this part's mean, see ``LoadedBatch``.
            at: epochs done, with the share of the current one.
            count: number of the step in the whole training; with the seed it is the random state.
        """
        seed_all(stable_seed(self.job.seed, "step", count, self.accelerator.process_index))
        rate = self.span.rate(self.job.protocol, self.job.network, at)
        set_rate(self.optimiser, rate)
        own = batch.views[: self.recipe.views - 1]  # others of the group may look at more
        view = self.recipe.view(replace(batch, progress=self.span.progress(at), views=own))
        if _is_own(self.recipe.view, Recipe.view):
            self.wall.tidy("view")
        forward = self._plain if self._meter.is_open else self.forward
        terms = forward(view, self.job.hear(teachers.ask, view.images))
        self.wall.tidy("forward")
        loss = torch.stack([term.reshape(()) for term in terms.values()])
        total = loss.sum() * weight if weight != 1.0 else loss.sum()
        self.accelerator.backward(total)
        if self._meter.is_open:
            self._read_meter(len(batch.index), len(view.images))
        clip(self._trained, self.job.protocol.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()
        self.terms.add(terms, loss.detach(), len(batch.index) if weight > 0 else 0)
        if _is_own(self.recipe.after_step, Recipe.after_step):
            with torch.no_grad():
                self.recipe.after_step(self.network)
            self.wall.tidy("after_step")

    def _read_meter(self, images: int, looked_at: int) -> None:
        """Note what a stage's first step cost for every image of the batch, teachers included."""
        self._meter.close()
        heard = looked_at * len(self.job.heard)
        self.forwards_per_image = (self._meter.forwards + heard) / images
        self.backwards_per_image = self._meter.backwards / images

    def deployed(self) -> Iterator[nn.Module]:
        """What stays when the training is over."""
        yield self.result
        yield from self.recipe.deployed()

    @property
    def result(self) -> Network:
        """The network that is evaluated and kept: the average of its weights, if it has one."""
        return self.network if self.average is None else self.average.network

    def share_buffers(self) -> None:
        """Give all processes the main process's BatchNorm statistics before an evaluation."""
        for buffer in self._own_buffers():
            torch.distributed.broadcast(buffer, src=0)

    def _own_buffers(self) -> list[Tensor]:
        """What is each process's own between two evaluations, if there are several."""
        if self.accelerator.num_processes == 1:
            return []
        return list(nn.ModuleList([*self.lesson.networks(), *self.deployed()]).buffers())

    def within_epoch(self) -> dict[str, Any]:
        """What a training that continues within an epoch needs beside ``state_dict``.

        All processes take part: their sums of loss terms and their own buffers are in it, in rows.
        """
        rows = [self.accelerator.gather(buffer[None]) for buffer in self._own_buffers()]
        return {"terms": self.terms.state_dict(), "buffers": rows}

    def go_on_within(self, state: Mapping[str, Any]) -> None:
        """Continue an epoch from what ``within_epoch`` gave."""
        self.terms.load_state_dict(state["terms"])
        for buffer, rows in zip(self._own_buffers(), state["buffers"], strict=False):
            if len(rows) == self.accelerator.num_processes:  # else the main one's do for all
                buffer.copy_(rows[self.accelerator.process_index])

    def state_dict(self) -> dict[str, Any]:
        """All that a continued training needs."""
        return {
            "lesson": self.lesson.state_dict(),
            "stage": self.spans.index(self.span),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "passes": [self.forwards_per_image, self.backwards_per_image],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state_dict`` gave."""
        self.lesson.load_state_dict(state["lesson"])
        if (span := self.spans[state["stage"]]) is not self.span:
            self._meter.close()  # no step of the first stage will
            self._enter(span)
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.forwards_per_image, self.backwards_per_image = state["passes"]
        if self.forwards_per_image:  # its first step was counted; a later stage counts anew
            self._meter.close()


def _parts(recipe: Recipe, network: Network, trained: Sequence[nn.Parameter]) -> list[Part]:
    """What is trained, by the rates and weight decays that the recipe asks for.

    Raises:
        RecipeError: a parameter is in two of the recipe's parts.
    """
    left, taken = set(trained), set[nn.Parameter]()
    parts = []
    for group in recipe.parameter_groups(network):
        modules = nn.ModuleList(group.modules)  # which gives what two of them share once
        own = list(modules.parameters())
        if taken & set(own):
            raise RecipeError(
                f"recipe '{recipe.info.name}': parameter_groups() names a parameter in two parts. "
                "Each may stand in one; the rest is the protocol's."
            )
        taken |= set(own)
        parts.append(Part([p for p in own if p in left], group.rate, group.decay))
    rest = Part([p for p in trained if p not in taken])
    return [part for part in (rest, *parts) if part.parameters]


def _is_own(hook: Callable[..., Any], default: Callable[..., Any]) -> bool:
    """Whether a recipe has a hook of its own."""
    return getattr(hook, "__func__", None) is not default
