"""Learners that train side by side because they see the same batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from accelerate import Accelerator

from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.splits import DataSet
from benchmark.events import LearnerEpoch, Listener
from benchmark.recipe.batch import Batch
from benchmark.records.schema import Metrics
from benchmark.training.before import Before
from benchmark.training.ending import Ending, Failed, Stopped, diverged
from benchmark.training.examining.examination import Examination
from benchmark.training.halt import Halt
from benchmark.training.job import Job
from benchmark.training.keeping.checkpoints import Checkpoints
from benchmark.training.keeping.engine import engine_of
from benchmark.training.keeping.pauses import CHECKPOINT_S, Pauses
from benchmark.training.keeping.stand import BEGINNING, Stand, common_stand
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.learner import Learner
from benchmark.training.member import Member, Progress
from benchmark.training.precision import dtype_of
from benchmark.training.steps.programs import programs_for
from benchmark.training.supply import Supply
from benchmark.training.teaching import Teachers
from benchmark.training.updates.stages import lead_of
from benchmark.training.walls.agreement import Agreement
from benchmark.training.walls.guard import Guard, Reading
from benchmark.training.walls.listening import Steady
from benchmark.training.walls.sharing import Sharing


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
        limit_s: of a member's own share of the training's time; None for none.
        compiled: whether steps are compiled; None where that pays.

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
        limit_s: float | None = None,
        compiled: bool | None = None,
    ) -> None:
        self.accelerator, self.listener = accelerator, Steady(listener)
        self.pauses = Pauses(halt or Halt(), accelerator, checkpoint_s)
        self.protocol, self.endings = jobs[0].protocol, dict[str, Ending]()
        self.members: list[Member] = []
        agreement = Agreement(accelerator, workspace.folder)
        self.guard = Guard(accelerator, self.listener, self.leave, agreement, limit_s=limit_s)
        self.lead = _common_lead(jobs, self.guard)
        self.supply = Supply(data, jobs, accelerator)
        self.loader = self.supply.loader
        needs = {need for job in jobs for need in job.recipe.info.needs}
        heard = [job.roles[role] for job in jobs for role in job.heard]
        device = accelerator.device
        steps, note = self.epochs * len(self.loader), self.listener.note
        self.programs = programs_for(compiled, accelerator, self.protocol, steps=steps, note=note)
        self.teachers = Teachers(
            heard, device=device, dtype=dtype_of(accelerator), needs=needs, programs=self.programs
        )
        self.sharing = Sharing(self.loader, self.supply.batch, self.teachers, self.guard)
        self.before = Before(self.supply, self.teachers, accelerator, workspace)
        engine = engine_of(accelerator, is_compiled=self.programs is not None)
        self.checkpoints = Checkpoints(workspace, accelerator, self.listener, engine)
        self.stand, self.members = self._begin(jobs)
        exact = Teachers(heard, device=device, dtype=torch.float32)
        self.examination = Examination(self.supply, exact)

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
            self.epoch = self.guard.epoch = self.lead + epoch + 1
            for member in self.members:
                with self.guard.turn(member.job):
                    member.start_epoch(epoch)
            if not self.members:
                return
            self._present = {member.job.identity: member.job.label for member in self.members}
            self.sharing.thorough = True
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
        return self.sharing.batch(loaded, count=count)

    def turn(self, job: Job) -> Reading[Batch]:
        """A member's step: ``with group.turn(job) as batch``; it leaves with what goes wrong."""
        return self.sharing.turn(job)

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
            fault = member.close_epoch(self.loader.images_per_epoch, len(self.loader))
            if fault is not None or (fault := self.guard.late(member.job)) is not None:
                self.leave(member.job, fault)
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
                with self.guard.turn(member.job):
                    self.leave(member.job, member.finished(metrics, self.supply.data))
        elif self.pauses.after_epoch():
            self._keep(Stand(self.epoch))

    # ------------------------------------------------------------------------- the beginning

    def _begin(self, jobs: Sequence[Job]) -> tuple[Stand, list[Member]]:
        """Build the learners, and let all continue from one place."""
        self.epoch, members = 1, list[Member]()
        self.endings |= self.guard.agreement.left_over(jobs)
        ready = [job for job in jobs if job.identity not in self.endings]
        stand = common_stand([self.checkpoints.stands(job) for job in ready]) or BEGINNING
        setting, known_to, wall = self.supply.setting, self.before.known_to, self.guard.wall
        for job in ready:
            with self.guard.turn(job):
                learner = Learner(job, setting, self.accelerator, known_to, wall, self.programs)
                member = Member(job, learner, Progress(), self.lead, self.loader.photographs)
                if (fault := self.checkpoints.restore(member, stand)) is not None:
                    self.leave(job, fault)
                    continue
                member.stands_beside(jobs)
                self.guard.spent[job.identity] = member.progress.own_seconds
                members.append(member)
        return stand, members

    def _spend(self) -> None:
        """Note the time since the last note."""
        said, seconds = self.teachers.answering.settle(), self.pauses.spent()
        self.guard.share(list(self._present), seconds)
        for member in self.members:
            own = self.guard.spent[member.job.identity]
            member.spend(seconds, sharing=len(self._present), own_seconds=own, said=said)

    def _keep(self, stand: Stand) -> None:
        """Write checkpoints, and let all members go if the group stops there or nothing can be."""
        fault = self.checkpoints.write(self.members, stand, self.guard.turn)
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
            found = self.examination.of(self.members, self.guard, self.pauses.in_examination)
        if found is None:
            return None
        scores = {}
        for member in self.members:
            metrics = found[member.job.identity]
            member.progress.examine(metrics, self.pauses.examination_s / sharing)
            if metrics is None:
                self.leave(member.job, diverged(self.epoch, "the predictions are not finite"))
            else:
                scores[member.job.identity] = metrics
        return scores


def _news(
    present: Mapping[str, str], members: Iterable[Member], endings: Mapping[str, Ending]
) -> Iterator[LearnerEpoch]:
    """What an epoch gave to those who began it, for those who listen."""
    rows = {member.job.identity: member.progress.history[-1] for member in members}
    for identity, label in present.items():
        ending = endings.get(identity)
        if isinstance(ending, Failed):
            yield LearnerEpoch(label, {}, None, ending.failure.message, identity)
        elif identity in rows:
            row = rows[identity]
            yield LearnerEpoch(label, row.terms, row.top1, identity=identity)


def _common_lead(jobs: Iterable[Job], guard: Guard) -> int:
    leads = set[int]()
    for job in jobs:
        with guard.turn(job):
            leads.add(lead_of(job.recipe, job.protocol))
    if len(leads) > 1:
        raise ValueError("a group's members must have equally long first stages")
    return leads.pop() if leads else 0
