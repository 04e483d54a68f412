"""Learners that train side by side because they see the same batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from accelerate import Accelerator

from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.splits import DataSet
from benchmark.errors import TrainingError, UsageError
from benchmark.events import LearnerEpoch, Listener
from benchmark.recipe.batch import Batch
from benchmark.records.schema import Metrics
from benchmark.training.before import Before
from benchmark.training.ending import Ending, Failed, Stopped, diverged, failed
from benchmark.training.examining.examination import Examination
from benchmark.training.halt import Halt
from benchmark.training.job import Job
from benchmark.training.keeping.checkpoints import Checkpoints
from benchmark.training.keeping.pauses import CHECKPOINT_S, Pauses
from benchmark.training.keeping.stand import BEGINNING, Stand, common_stand
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
        checkpoint_s: seconds between checkpoints.

    Attributes:
        members: those that still train.
        endings: of those that do not, by identity.
        stand: the place at which all of them go on: the newest that all have a checkpoint of, or
            the beginning.
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
        checkpoint_s: float = CHECKPOINT_S,
    ) -> None:
        self.jobs, self.accelerator, self.listener = jobs, accelerator, listener
        self.pauses = Pauses(halt or Halt(), accelerator, checkpoint_s)
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
        self.stand, self.members = self._begin()
        self.examination = Examination(
            self.supply, Teachers(heard, device=device, dtype=torch.float32)
        )

    @property
    def epochs(self) -> int:
        """All that its members train."""
        return self.lead + self.protocol.epochs

    # --------------------------------------------------------------------------- the hot path

    def remaining_epochs(self) -> Iterator[tuple[int, int]]:
        """Epochs to go, until the protocol, the time or the members are at their end.

        They are counted from the protocol's first; those of earlier stages are negative. With each
        comes the step at which it begins, which is not 0 where it was left in the middle.
        """
        first = self.stand.step
        for epoch in range(self.stand.epoch - self.lead, self.protocol.epochs):
            self.epoch = self.lead + epoch + 1
            for member in self.members:
                with self.guarding(member.job):
                    member.start_epoch(epoch)
            if not self.members:
                return
            self._present = [member.job for member in self.members]
            images = self.loader.images_per_epoch
            self.listener.epoch_started(self.epoch, images)
            if first:
                self.listener.images_done(min(images, first * self.protocol.batch_size))
            before_s = max(member.progress.epoch_seconds for member in self.members)
            self.pauses.begin_epoch(first, len(self.loader), before_s)
            yield epoch, first
            first = 0

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

    def stops_after(self, step: int) -> bool:
        """Write checkpoints if they are due after a step; whether all members stopped there."""
        if not self.pauses.after_step(step):
            return False
        self._spend()
        self._keep(Stand(self.epoch - 1, step))
        return not self.members

    def finish(self, epoch: int) -> None:
        """Evaluate, write history and checkpoints, let go of those that diverged or are done."""
        self._spend()
        last = epoch + 1 == self.protocol.epochs
        for member in self.members:
            if (ran_away := member.close_epoch(self.loader.images_per_epoch)) is not None:
                self.leave(member.job, ran_away)
        scores: Mapping[str, Metrics] | None = {}
        if last or (epoch >= 0 and (epoch + 1) % self.protocol.evaluate_every == 0):
            scores = self._evaluate()
        if scores is None:  # they are examined again when they go on
            for member in self.members:
                member.progress.reopen()
            self._keep(Stand(self.epoch - 1, len(self.loader)))
            return
        rate = self.loader.images_per_epoch / self.pauses.epoch_s
        news = list(_news(self._present, self.members, self.endings))
        self.listener.epoch_finished(self.epoch, news, rate)
        if last:  # at the end the record and the weights come, and no checkpoint
            for member in self.members:
                metrics = scores[member.job.identity]
                self.leave(member.job, member.finished(metrics, self.supply.data.pictures.shape))
        elif self.pauses.after_epoch():
            self._keep(Stand(self.epoch))

    # ------------------------------------------------------------------------- the beginning

    def _begin(self) -> tuple[Stand, list[Member]]:
        """Build the learners, and let all continue from one place."""
        self.epoch, self.members, members = 1, [], list[Member]()
        stands = [self.checkpoints.stands(job) for job in self.jobs]
        stand = common_stand(stands) or BEGINNING
        for job in self.jobs:
            with self.guarding(job):
                learner = Learner(job, self.supply.setting, self.accelerator, self.before.known_to)
                member = Member(job, learner, Progress(), self.lead)
                if (fault := self.checkpoints.restore(member, stand)) is not None:
                    self.leave(job, fault)
                    continue
                member.stands_beside(self.jobs)
                members.append(member)
        return stand, members

    def _spend(self) -> None:
        """Note the time since the last note."""
        seconds = self.pauses.spent()
        for member in self.members:
            member.progress.spend(seconds, sharing=len(self._present))

    def _keep(self, stand: Stand) -> None:
        """Write checkpoints, and let all members go if the group stops there or nothing can be."""
        fault = self.checkpoints.write(self.members, stand, self.guarding)
        self.pauses.written()
        stopped = Stopped(stand.epoch, self.epochs, stand.step) if self.pauses.stops else None
        if (ending := fault or stopped) is not None:
            for member in self.members:
                self.leave(member.job, ending)

    def _evaluate(self) -> dict[str, Metrics] | None:
        """Score all members after an epoch; those whose predictions ran away leave.

        None if someone asked for a stop meanwhile.
        """
        sharing = max(len(self.members), 1)
        with self.pauses.examining():
            found = self.examination.of(self.members, self.guarding, self.pauses.in_examination)
        if found is None:
            return None
        scores = {}
        for member in self.members:
            progress, metrics = member.progress, found[member.job.identity]
            progress.evaluation_seconds += self.pauses.examination_s / sharing
            if metrics is None:
                self.leave(member.job, diverged(self.epoch, "the predictions are not finite"))
            else:
                progress.history[-1] = progress.history[-1].evaluated(metrics)
                scores[member.job.identity] = metrics
        return scores


def _news(
    present: Iterable[Job], members: Iterable[Member], endings: Mapping[str, Ending]
) -> Iterator[LearnerEpoch]:
    """What an epoch gave to those who began it, for those who listen."""
    rows = {member.job.identity: member.progress.history[-1] for member in members}
    for job in present:
        ending = endings.get(job.identity)
        if isinstance(ending, Failed):
            yield LearnerEpoch(job.label, {}, None, ending.failure.message)
        else:
            row = rows[job.identity]
            yield LearnerEpoch(job.label, row.terms, row.top1)
