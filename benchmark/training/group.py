"""Learners that train side by side because they see the same batches."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from accelerate import Accelerator

from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.loaders.choice import Loader, make_loader
from benchmark.data.splits import DataSet, ImageSplit, hold_out
from benchmark.errors import TrainingError, UsageError
from benchmark.events import LearnerEpoch, Listener
from benchmark.recipe.contract import Batch
from benchmark.records.history import EpochRow
from benchmark.records.schema import Metrics
from benchmark.training.batch import batch_of
from benchmark.training.before import Before
from benchmark.training.checkpoint import Workspace
from benchmark.training.ending import Ending, Failed, Finished, Stopped, diverged, failed
from benchmark.training.examination import Examination
from benchmark.training.job import Job, Setting
from benchmark.training.learner import Learner
from benchmark.training.member import Member, Progress
from benchmark.training.precision import dtype_of, precision_of
from benchmark.training.stages import lead_of
from benchmark.training.teaching import Teachers

EVALUATION_BATCH = 256
CHECKPOINT_EVERY_S = 30.0  # a checkpoint of CRD's banks is 51 MB: seldom enough not to be felt


class Group:
    """Learners that train side by side because they see the same batches.

    A member whose step, stage or prediction raises leaves the group with its ending, and the others
    go on.

    Args:
        jobs: same data set, protocol, seed and epochs of first stages.
        data: the data set.
        accelerator: owns device, precision and processes.
        workspace: where checkpoints and weights are kept.
        listener: hears of the progress.
        deadline: time of ``time.monotonic`` at which to stop at the end of an epoch.

    Attributes:
        members: those that still train.
        endings: of those that do not, by identity.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        data: DataSet,
        *,
        accelerator: Accelerator,
        workspace: Workspace,
        listener: Listener,
        deadline: float | None = None,
    ) -> None:
        self.jobs, self.accelerator, self.workspace = jobs, accelerator, workspace
        self.listener, self.deadline = listener, deadline
        self.protocol, self.seed = jobs[0].protocol, jobs[0].seed
        self.data, self.endings = data, dict[str, Ending]()
        train, split = data.train, data.test
        if self.protocol.validation:
            train, split = hold_out(train, self.protocol.validation, self.seed)
        self.loader = self._load(train, train=True, batch_size=self.protocol.batch_size)
        self.setting = Setting(data.card, train.labels)
        self.lead = lead_of(jobs[0].recipe, self.protocol)
        if {lead_of(job.recipe, self.protocol) for job in jobs} != {self.lead}:
            raise ValueError("a group's members must have equally long first stages")
        self.teachers = self._teachers(
            dtype_of(accelerator), {need for job in jobs for need in job.recipe.info.needs}
        )
        self.before = Before(
            lambda: make_loader(
                train,
                data.card,
                batch_size=EVALUATION_BATCH,
                seed=0,
                device=accelerator.device,
                train=False,
            ),
            data.card.classes,
            self.teachers,
            accelerator,
            workspace,
        )
        self.members = self._begin()
        self.done = self._common_epoch()
        self.examination = Examination(
            self._load(split, train=False, batch_size=EVALUATION_BATCH),
            images=len(split),
            classes=data.card.classes,
            split="validation" if self.protocol.validation else "test",
            teachers=self._teachers(torch.float32),
            accelerator=accelerator,
        )
        self._saved_at = time.monotonic()
        self.stopped = False

    @property
    def epochs(self) -> int:
        """All that its members train."""
        return self.lead + self.protocol.epochs

    # --------------------------------------------------------------------------- the hot path

    def remaining_epochs(self) -> Iterator[int]:
        """Epochs to go, until the protocol, the time or the members are at their end.

        They are counted from the protocol's first; those of earlier stages are negative.
        """
        for epoch in range(self.done - self.lead, self.protocol.epochs):
            self.epoch = self.lead + epoch + 1
            for member in self.members:
                with self.guarding(member.job):
                    member.learner.start_epoch(epoch)
            if not self.members:
                return
            self._sharing = len(self.members)
            self._started = time.perf_counter()
            self.listener.epoch_started(self.epoch, self.loader.images_per_epoch)
            yield epoch
            if self.stopped:
                return

    def batch(self, loaded: LoadedBatch, *, count: int) -> Batch:
        """What all members look at in a step, before each takes its own view of it."""
        self.teachers.next_batch()
        return batch_of(
            loaded,
            self.protocol,
            classes=self.data.card.classes,
            seed=self.seed,
            count=count,
            process=self.accelerator.process_index,
        )

    @contextmanager
    def guarding(self, job: Job) -> Iterator[None]:
        """Let a member leave with the error that its work raises."""
        try:
            yield
        except UsageError:
            raise
        except Exception as error:
            if self.accelerator.num_processes > 1:
                # The others wait for this process in a collective: there is no going on.
                raise TrainingError(
                    f"'{job.label}' failed on process {self.accelerator.process_index}: "
                    f"{type(error).__name__}: {error}\nRun it with one process to have the failure "
                    "recorded; the same command continues the others from their checkpoints."
                ) from error
            self.leave(job, failed(error, self.epoch))

    def leave(self, job: Job, ending: Ending) -> None:
        """Note how a member ended, and let its memory go."""
        self.endings[job.identity] = ending
        self.members = [member for member in self.members if member.job is not job]

    def finish(self, epoch: int) -> None:
        """Evaluate, write history and checkpoints, let go of those that diverged or are done."""
        if self.accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self._started
        present = list(self.members)
        last = epoch + 1 == self.protocol.epochs
        for member in present:
            self._close_epoch(member, seconds)
        scores: Mapping[str, Metrics] = {}
        if last or (epoch >= 0 and (epoch + 1) % self.protocol.evaluate_every == 0):
            scores = self._evaluate()
        self.stopped = not last and self._time_is_up()
        self._write(last)
        self.listener.epoch_finished(
            self.epoch,
            [self._news(member) for member in present],
            self.loader.images_per_epoch / seconds,
        )
        for member in list(self.members):
            if last:
                self.leave(member.job, self._finished(member, scores[member.job.identity]))
            elif self.stopped:
                self.leave(member.job, Stopped(member.progress.epochs, member.epochs))

    # ------------------------------------------------------------------------- the beginning

    def _load(self, split: ImageSplit, *, train: bool, batch_size: int) -> Loader:
        accelerator = self.accelerator
        return make_loader(
            split,
            self.data.card,
            batch_size=batch_size,
            seed=self.seed,
            device=accelerator.device,
            shard=(accelerator.process_index, accelerator.num_processes),
            train=train,
            views=max(job.recipe.views for job in self.jobs) if train else 1,
        )

    def _begin(self) -> list[Member]:
        """Build the learners; those with a checkpoint continue from it."""
        self.epoch, self.members, members = 1, [], list[Member]()
        for job in self.jobs:
            with self.guarding(job):
                learner = Learner(job, self.setting, self.accelerator, self.before.known_to)
                member = Member(job, learner, Progress(), self.lead)
                self._continue(member)
                others = {other.identity for other in self.jobs if other is not job}
                member.progress.group = sorted(others | set(member.progress.group))
                members.append(member)
        return members

    def _continue(self, member: Member) -> None:
        """Continue from a member's checkpoint, if there is one."""
        job, precision = member.job, precision_of(self.accelerator)
        state = self.workspace.load_checkpoint(job.identity)
        if state is None:
            return
        if state["precision"] != precision:
            raise UsageError(
                f"'{job.label}' is half trained in another precision "
                f"({state['precision']}, now {precision}).\nContinue with the same --precision, or "
                f"delete {self.workspace.folder(job.identity)} to start over."
            )
        if state["source"] != job.source:
            self.listener.note(f"{job.label}: the recipe's file changed, starting over")
            return
        member.learner.load_state_dict(state["learner"])
        member.progress = Progress.of_state(state["progress"])

    def _common_epoch(self) -> int:
        epochs = {member.progress.epochs for member in self.members}
        if len(epochs) > 1:
            raise ValueError(f"a group must stand at one epoch, not {sorted(epochs)}")
        return epochs.pop() if epochs else 0

    def _teachers(self, dtype: torch.dtype, needs: Collection[str] = ()) -> Teachers:
        """The networks that the group's jobs hear, in an arithmetic."""
        return Teachers(
            [job.roles[role] for job in self.jobs for role in job.heard],
            device=self.accelerator.device,
            dtype=dtype,
            needs=needs,
        )

    # ------------------------------------------------------------------- the end of an epoch

    def _close_epoch(self, member: Member, seconds: float) -> None:
        """Note what an epoch gave, unless the numbers ran away."""
        progress, terms = member.progress, member.learner.mean_terms()
        if bad := [name for name, value in terms.items() if not math.isfinite(value)]:
            reason = f"loss term {', '.join(bad)} is not finite"
            self.leave(member.job, diverged(self.epoch, reason))
            return
        progress.epochs = self.epoch
        progress.train_seconds += seconds / self._sharing
        progress.group_seconds += seconds
        rate = self.loader.images_per_epoch / seconds
        progress.history.append(EpochRow(self.epoch, terms, seconds, rate))

    def _evaluate(self) -> dict[str, Metrics]:
        """Score all members after an epoch; those whose predictions ran away leave."""
        begun, sharing = time.perf_counter(), len(self.members)
        found = self.examination.of(self.members, self.guarding)
        seconds = (time.perf_counter() - begun) / max(sharing, 1)
        scores = {}
        for member in self.members:
            progress, metrics = member.progress, found[member.job.identity]
            progress.evaluation_seconds += seconds
            if metrics is None:
                self.leave(member.job, diverged(self.epoch, "the predictions are not finite"))
            else:
                progress.history[-1] = progress.history[-1].evaluated(metrics)
                scores[member.job.identity] = metrics
        return scores

    def _finished(self, member: Member, metrics: Metrics) -> Finished:
        """The end of a member that has all its epochs."""
        return Finished(
            metrics,
            member.cost(self.data.card.shape),
            tuple(member.progress.history),
            member.learner.result.state_dict(),
        )

    def _write(self, last: bool) -> None:
        """Write histories and checkpoints when they are due; at the end the record comes first."""
        due = self.stopped or time.monotonic() - self._saved_at > CHECKPOINT_EVERY_S
        if last or not due or not self.accelerator.is_main_process:
            return
        for member in self.members:
            identity = member.job.identity
            self.workspace.write_history(identity, member.progress.history)
            self.workspace.save_checkpoint(
                identity,
                {
                    "learner": member.learner.state_dict(),
                    "progress": member.progress.state_dict(),
                    "precision": precision_of(self.accelerator),
                    "source": member.job.source,
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

    def _news(self, member: Member) -> LearnerEpoch:
        """What a member's last epoch gave, for those who listen."""
        ending = self.endings.get(member.job.identity)
        if isinstance(ending, Failed):
            return LearnerEpoch(member.job.label, {}, None, ending.failure.message)
        row = member.progress.history[-1]
        return LearnerEpoch(member.job.label, row.terms, row.top1)
