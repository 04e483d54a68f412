"""Learners that train side by side because they see the same batches."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from accelerate import Accelerator

from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.splits import DataSet
from benchmark.errors import TrainingError, UsageError
from benchmark.events import LearnerEpoch, Listener
from benchmark.recipe.batch import Batch
from benchmark.records.history import EpochRow
from benchmark.records.schema import Metrics
from benchmark.training.before import Before
from benchmark.training.ending import Ending, Failed, Stopped, diverged, failed
from benchmark.training.examining.examination import Examination
from benchmark.training.halt import Halt
from benchmark.training.job import Job
from benchmark.training.keeping.checkpoints import Checkpoints
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.learner import Learner
from benchmark.training.member import Member, Progress
from benchmark.training.precision import dtype_of
from benchmark.training.supply import Supply
from benchmark.training.teaching import Teachers
from benchmark.training.updates.stages import lead_of


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
        halt: when to stop.

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
        halt: Halt | None = None,
    ) -> None:
        self.jobs, self.accelerator = jobs, accelerator
        self.listener, self.halt = listener, halt or Halt()
        self.protocol, self.endings = jobs[0].protocol, dict[str, Ending]()
        self.lead = lead_of(jobs[0].recipe, self.protocol)
        if {lead_of(job.recipe, self.protocol) for job in jobs} != {self.lead}:
            raise ValueError("a group's members must have equally long first stages")
        self.supply = Supply(data, jobs, accelerator)
        self.loader = self.supply.loader
        needs = {need for job in jobs for need in job.recipe.info.needs}
        heard = [job.roles[role] for job in jobs for role in job.heard]
        device = accelerator.device
        self.teachers = Teachers(heard, device=device, dtype=dtype_of(accelerator), needs=needs)
        self.before = Before(self.supply, self.teachers, accelerator, workspace)
        self.checkpoints = Checkpoints(workspace, accelerator, listener)
        self.members = self._begin()
        self.done = self._common_epoch()
        self.examination = Examination(
            self.supply, Teachers(heard, device=device, dtype=torch.float32)
        )
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
            self._present = [member.job for member in self.members]
            self._started = time.perf_counter()
            self.listener.epoch_started(self.epoch, self.loader.images_per_epoch)
            yield epoch
            if self.stopped:
                return

    def batch(self, loaded: LoadedBatch, *, count: int) -> Batch:
        """What all members look at in a step; the teachers forget the one before."""
        self.teachers.next_batch()
        return self.supply.batch(loaded, count=count)

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
        last = epoch + 1 == self.protocol.epochs
        for member in self.members:
            self._close_epoch(member, seconds)
        scores: Mapping[str, Metrics] = {}
        if last or (epoch >= 0 and (epoch + 1) % self.protocol.evaluate_every == 0):
            scores = self._evaluate()
        self.stopped = not last and self._time_is_up()
        if not last:  # at the end the record comes first, then the weights
            self.checkpoints.write(self.members, due=self.stopped)
        rate = self.loader.images_per_epoch / seconds
        self.listener.epoch_finished(self.epoch, list(self._news()), rate)
        for member in self.members:
            if last:
                metrics = scores[member.job.identity]
                self.leave(member.job, member.finished(metrics, self.supply.data.pictures.shape))
            elif self.stopped:
                self.leave(member.job, Stopped(member.progress.epochs, member.epochs))

    # ------------------------------------------------------------------------- the beginning

    def _begin(self) -> list[Member]:
        """Build the learners; those with a checkpoint continue from it."""
        self.epoch, self.members, members = 1, [], list[Member]()
        for job in self.jobs:
            with self.guarding(job):
                learner = Learner(job, self.supply.setting, self.accelerator, self.before.known_to)
                member = Member(job, learner, Progress(), self.lead)
                self.checkpoints.restore(member)
                others = {other.identity for other in self.jobs if other is not job}
                member.progress.group = sorted(others | set(member.progress.group))
                members.append(member)
        return members

    def _common_epoch(self) -> int:
        epochs = {member.progress.epochs for member in self.members}
        if len(epochs) > 1:
            raise ValueError(f"a group must stand at one epoch, not {sorted(epochs)}")
        return epochs.pop() if epochs else 0

    # ------------------------------------------------------------------- the end of an epoch

    def _close_epoch(self, member: Member, seconds: float) -> None:
        """Note what an epoch gave, unless the numbers ran away."""
        progress, terms = member.progress, member.learner.mean_terms()
        if bad := [name for name, value in terms.items() if not math.isfinite(value)]:
            reason = f"loss term {', '.join(bad)} is not finite"
            self.leave(member.job, diverged(self.epoch, reason))
            return
        progress.epochs = self.epoch
        progress.train_seconds += seconds / len(self._present)
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

    def _news(self) -> Iterator[LearnerEpoch]:
        """What the epoch gave to those who began it, for those who listen."""
        rows = {member.job.identity: member.progress.history[-1] for member in self.members}
        for job in self._present:
            ending = self.endings.get(job.identity)
            if isinstance(ending, Failed):
                yield LearnerEpoch(job.label, {}, None, ending.failure.message)
            else:
                row = rows[job.identity]
                yield LearnerEpoch(job.label, row.terms, row.top1)

    def _time_is_up(self) -> bool:
        """Whether another epoch would end after the deadline; all processes agree."""
        if self.accelerator.num_processes == 1 and self.halt.asked:
            return True
        if self.halt.deadline is None:
            return False
        epoch_s = time.perf_counter() - self._started
        late = torch.tensor([float(self.halt.late(epoch_s))], device=self.accelerator.device)
        return bool(self.accelerator.reduce(late, reduction="sum").item() > 0)
