"""The training loop: each batch once, the teacher once, every learner of the group one step.

Claim: a group costs less than its members trained apart and gives each of them the same weights,
bit for bit on the CPU. Evidence: ``tests/training/test_loop.py`` trains both ways and compares, and
so for an interrupted and continued training; ``kdbench speed`` measures the saving on this machine.
It holds because every random choice is a function of (seed, epoch, sample) in the data and of
(seed, step) in a learner, so no learner can disturb another.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from torch import Tensor

from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.loaders.choice import Loader, make_loader
from benchmark.data.splits import DataSet, hold_out
from benchmark.errors import TrainingError, UsageError
from benchmark.events import LearnerEpoch, Listener
from benchmark.networks.inference import inference_copy
from benchmark.networks.outputs import Outputs
from benchmark.training.checkpoint import Workspace
from benchmark.training.evaluation import Scores, evaluate, predictions
from benchmark.training.failure import Trouble, diverged, trouble_of
from benchmark.training.learner import Job, Learner, Setting
from benchmark.training.stages import lead_of
from benchmark.training.teaching import Teacher

EVALUATION_BATCH = 256
CHECKPOINT_EVERY_S = 30.0  # a checkpoint of CRD's banks is 51 MB: seldom enough not to be felt


@dataclass
class Progress:
    """What a run has behind it; the part of its checkpoint that is not tensors.

    Attributes:
        epochs: finished ones.
        history: one row an epoch.
        train_seconds: its share of the group's time.
        group_seconds: wall time of the group's training.
        evaluation_seconds: its share of the evaluations.
        group: identities of all runs that it trained beside.
    """

    epochs: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    train_seconds: float = 0.0
    group_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    group: list[str] = field(default_factory=list)


@dataclass
class Seat:
    """A learner in its group: what it has behind it and how it ended.

    Attributes:
        lead: epochs of its stages before the protocol's own.
    """

    job: Job
    source: str
    learner: Learner | None = None
    progress: Progress = field(default_factory=Progress)
    scores: Scores | None = None
    trouble: Trouble | None = None
    lead: int = field(init=False)

    def __post_init__(self) -> None:
        self.lead = lead_of(self.job.recipe, self.job.protocol)

    @property
    def active(self) -> bool:
        """Whether it still trains."""
        return self.learner is not None and self.trouble is None

    @property
    def finished(self) -> bool:
        """Whether it has all its epochs."""
        return self.trouble is None and self.progress.epochs == self.epochs

    @property
    def epochs(self) -> int:
        """All that it has to train."""
        return self.lead + self.job.protocol.epochs


class Group:
    """Learners that train side by side because they see the same batches.

    Args:
        seats: same data set, protocol, seed, epochs of first stages, and at most one teacher
            between them.
        data: the data set.
        accelerator: owns device, precision and processes.
        workspace: where checkpoints and weights are kept.
        listener: hears of the progress.
        deadline: time of ``time.monotonic`` at which to stop at the end of an epoch.
    """

    def __init__(
        self,
        seats: Sequence[Seat],
        data: DataSet,
        *,
        accelerator: Accelerator,
        workspace: Workspace,
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        self.seats, self.accelerator, self.workspace = seats, accelerator, workspace
        self.listener, self.deadline = listener, deadline
        self.protocol, seed = seats[0].job.protocol, seats[0].job.seed
        train, test = data.train, data.test
        if self.protocol.validation:
            train, test = hold_out(train, self.protocol.validation, seed)
        shard = (accelerator.process_index, accelerator.num_processes)
        device = accelerator.device
        self.loader: Loader = make_loader(
            train, data.pictures, batch_size=self.protocol.batch_size, seed=seed, device=device,
            shard=shard, train=True,
        )  # fmt: skip
        self.test: Loader = make_loader(
            test, data.pictures, batch_size=EVALUATION_BATCH, seed=seed, device=device,
            shard=shard, train=False,
        )  # fmt: skip
        self.setting = Setting(data.pictures, train.labels)
        self.test_images = len(test.labels)
        self.lead = seats[0].lead
        for seat in seats:
            self._guarded(seat, self._seat_learner)
        self._agree_on_epoch()
        self.teacher, self._reference = self._make_teacher()
        self._saved_at = time.monotonic()
        self.stopped = False

    def active(self) -> Iterator[Seat]:
        """Learners that still train."""
        return (seat for seat in self.seats if seat.active)

    def remaining_epochs(self) -> Iterator[int]:
        """Epochs to go, until the protocol, the time or the learners are at their end.

        They are counted from the protocol's first; those of earlier stages are negative.
        """
        for epoch in range(self.done - self.lead, self.protocol.epochs):
            if not any(seat.active for seat in self.seats):
                return
            for seat in self.active():
                self._guarded(seat, lambda s, at=epoch: s.learner.start_epoch(at))
            self._sharing = sum(seat.active for seat in self.seats)
            self._started = time.perf_counter()
            self.listener.epoch_started(self.lead + epoch + 1, self.loader.images_per_epoch)
            yield epoch
            if self.stopped:
                return

    def teach(self, images: Tensor) -> Outputs | None:
        """The teacher's outputs, once for all learners that read them."""
        if self.teacher is None or not any(
            seat.active and seat.learner.needs_teacher  # type: ignore[union-attr]
            for seat in self.seats
        ):
            return None
        return self.teacher(images)

    def step(
        self, seat: Seat, loaded: LoadedBatch, teacher: Outputs | None, *, at: float, count: int
    ) -> None:
        """One update of one learner; an error makes it leave the group."""
        self._guarded(seat, lambda s: s.learner.step(loaded, teacher, at=at, count=count))

    def finish(self, epoch: int) -> None:
        """Evaluate, write history and checkpoints, let go of those that diverged or are done."""
        if self.accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self._started
        number = self.lead + epoch + 1
        present = [seat for seat in self.seats if seat.progress.epochs == number - 1]
        last = epoch + 1 == self.protocol.epochs
        for seat in self.active():
            self._close_epoch(seat, number, seconds)
        if last or (epoch >= 0 and (epoch + 1) % self.protocol.evaluate_every == 0):
            self._evaluate(number, last=last)
        self.stopped = not last and self._time_is_up()
        self._write(last)
        self.listener.epoch_finished(
            number,
            [_news(seat) for seat in present],
            self.loader.images_per_epoch / seconds,
        )

    # ------------------------------------------------------------------------------- parts

    def _seat_learner(self, seat: Seat) -> None:
        """Build the learner and continue from its checkpoint, if there is one."""
        seat.learner = Learner(seat.job, self.setting, self.accelerator)
        state = self.workspace.load_checkpoint(seat.job.identity)
        if state is None:
            seat.progress = Progress(group=self._others(seat))
            return
        precision = self.accelerator.mixed_precision
        if state["precision"] != precision:
            raise UsageError(
                f"'{seat.job.label}' is half trained in another precision "
                f"({state['precision']}, now {precision}).\nContinue with the same --precision, or "
                f"delete {self.workspace.folder(seat.job.identity)} to start over."
            )
        if state["source"] != seat.source:
            self.listener.note(f"{seat.job.label}: the recipe's file changed, starting over")
            seat.progress = Progress(group=self._others(seat))
            return
        seat.learner.load_state_dict(state["learner"])
        seat.progress = Progress(**state["progress"])
        seat.progress.group = sorted(set(seat.progress.group) | set(self._others(seat)))

    def _others(self, seat: Seat) -> list[str]:
        return sorted(s.job.identity for s in self.seats if s is not seat)

    def _agree_on_epoch(self) -> None:
        if len({seat.lead for seat in self.seats}) > 1:
            raise ValueError("a group's members must have equally long first stages")
        epochs = {seat.progress.epochs for seat in self.active()}
        if len(epochs) > 1:
            raise ValueError(f"a group must stand at one epoch, not {sorted(epochs)}")
        self.done = epochs.pop() if epochs else 0

    def _make_teacher(self) -> tuple[Teacher | None, Tensor | None]:
        """The group's only teacher and the classes it predicts on the evaluated split."""
        roles = {
            id(seat.job.roles["teacher"]): seat.job.roles["teacher"]
            for seat in self.seats
            if "teacher" in seat.job.roles
        }
        if not roles:
            return None, None
        if len(roles) > 1:
            raise ValueError("a group has one teacher")
        network = next(iter(roles.values()))
        device = self.accelerator.device
        plain = Teacher(network, device=device, dtype=torch.float32, maps=False)
        reference = predictions(
            lambda images: plain(images).logits, self.test, images=self.test_images, device=device
        )
        half = self.accelerator.mixed_precision == "bf16"
        maps = any("maps" in seat.job.recipe.info.needs for seat in self.seats)
        dtype = torch.bfloat16 if half else torch.float32
        return Teacher(network, device=device, dtype=dtype, maps=maps), reference

    def _close_epoch(self, seat: Seat, number: int, seconds: float) -> None:
        """Note what an epoch gave, from 1 on, unless the numbers ran away."""
        learner, progress = seat.learner, seat.progress
        assert learner is not None
        terms = learner.mean_terms()
        if bad := [name for name, value in terms.items() if not math.isfinite(value)]:
            seat.trouble = diverged(number, f"loss term {', '.join(bad)} is not finite")
            return
        progress.epochs = number
        progress.train_seconds += seconds / self._sharing
        progress.group_seconds += seconds
        progress.history.append(
            {"epoch": number}
            | {f"loss_{name}": value for name, value in terms.items()}
            | {"seconds": seconds, "images_per_s": self.loader.images_per_epoch / seconds}
        )

    def _evaluate(self, number: int, *, last: bool) -> None:
        """Score all learners after an epoch, on the same batches of the evaluated split."""
        seats = list(self.active())
        begun = time.perf_counter()
        all_scores = evaluate(
            [self._predictor(seat) for seat in seats],
            self.test,
            classes=self.setting.pictures.classes,
            accelerator=self.accelerator,
            references=[self._reference if "teacher" in seat.job.roles else None for seat in seats],
        )
        seconds = time.perf_counter() - begun
        for seat, scores in zip(seats, all_scores, strict=True):
            seat.progress.evaluation_seconds += seconds / len(seats)
            if scores is None:
                continue  # the prediction failed, which is noted
            if not math.isfinite(scores.nll):
                seat.trouble = diverged(number, "the predictions are not finite")
                continue
            seat.progress.history[-1] |= {
                "top1": scores.top1,
                "top5": scores.top5,
                "nll": scores.nll,
            }
            seat.scores = scores if last else None

    def _predictor(self, seat: Seat) -> Callable[[Tensor], Tensor | None]:
        """Images to logits as the learner would be deployed, in float32; None once it failed."""
        learner = seat.learner
        assert learner is not None
        learner.share_buffers()
        learner.lesson.eval()
        copy, predict = inference_copy(learner.network), learner.recipe.predict

        def logits(images: Tensor) -> Tensor | None:
            found: list[Tensor] = []
            if seat.trouble is None:
                self._guarded(seat, lambda _: found.append(predict(copy(images).float())))
            return found[0] if found else None

        return logits

    def _write(self, last: bool) -> None:
        due = self.stopped or time.monotonic() - self._saved_at > CHECKPOINT_EVERY_S
        if not self.accelerator.is_main_process or not (due or last):
            return
        for seat in self.active():
            learner = seat.learner
            assert learner is not None
            identity = seat.job.identity
            self.workspace.write_history(identity, seat.progress.history)
            if not last:  # at the end the record comes first, then the weights
                self.workspace.save_checkpoint(
                    identity,
                    {
                        "learner": learner.state_dict(),
                        "progress": vars(seat.progress),
                        "precision": self.accelerator.mixed_precision,
                        "source": seat.source,
                    },
                )
        self._saved_at = time.monotonic()

    def _time_is_up(self) -> bool:
        """Whether another epoch would end after the deadline; all processes agree."""
        if self.deadline is None:
            return False
        epoch_s = time.perf_counter() - self._started
        late = torch.tensor(
            [float(time.monotonic() + epoch_s > self.deadline)], device=self.accelerator.device
        )
        return bool(self.accelerator.reduce(late, reduction="sum").item() > 0)

    def _guarded(self, seat: Seat, work: object) -> None:
        try:
            work(seat)  # type: ignore[operator]
        except UsageError:
            raise
        except Exception as error:
            if self.accelerator.num_processes > 1:
                # The others wait for this process in a collective: there is no going on.
                raise TrainingError(
                    f"'{seat.job.label}' failed on process {self.accelerator.process_index}: "
                    f"{type(error).__name__}: {error}\nRun it with one process to have the failure "
                    "recorded; the same command continues the others from their checkpoints."
                ) from error
            seat.trouble = trouble_of(error, seat.progress.epochs + 1)
            seat.learner = None


def _news(seat: Seat) -> LearnerEpoch:
    """What a learner's last epoch gave, for those who listen."""
    if seat.trouble is not None:
        return LearnerEpoch(seat.job.label, {}, None, seat.trouble.message)
    row = seat.progress.history[-1]
    terms = {k.removeprefix("loss_"): v for k, v in row.items() if k.startswith("loss_")}
    return LearnerEpoch(seat.job.label, terms, row.get("top1"))


def train(group: Group) -> None:
    """Train a group to its end, or until its time is up."""
    steps = len(group.loader)
    for epoch in group.remaining_epochs():
        for number, loaded in enumerate(group.loader.epoch(epoch)):
            at = epoch + (number + 0.5) / steps
            teacher = group.teach(loaded.images)
            for seat in group.active():
                group.step(seat, loaded, teacher, at=at, count=epoch * steps + number)
            group.listener.images_done(loaded.global_size)
        group.finish(epoch)
