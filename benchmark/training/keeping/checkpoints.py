"""When members of a group are written to their checkpoints, and how they continue from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from accelerate import Accelerator

from benchmark.errors import UsageError
from benchmark.events import Listener
from benchmark.records.schema import Engine
from benchmark.training.ending import Disturbed
from benchmark.training.job import Job
from benchmark.training.keeping.checkpoint_files import Checkpoint
from benchmark.training.keeping.engine import difference
from benchmark.training.keeping.folders import WorkspaceError
from benchmark.training.keeping.heading import Damaged, Outdated
from benchmark.training.keeping.stand import BEGINNING, Stand
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.member import Member, Progress


class Checkpoints:
    """The checkpoints of a group.

    Args:
        workspace: where they are kept.
        accelerator: its main process writes.
        listener: hears of what is written, and of checkpoints that cannot be used.
        engine: what the group is trained with.
    """

    def __init__(
        self,
        workspace: Workspace,
        accelerator: Accelerator,
        listener: Listener,
        engine: Engine,
    ) -> None:
        self.files, self.workspace = workspace.checkpoints, workspace
        self.accelerator, self.listener = accelerator, listener
        self.engine = engine
        self._told: set[str] = set()

    def stands(self, job: Job) -> tuple[Stand, ...]:
        """Where a job can go on, the newest place first; its beginning if nowhere else.

        Every place is checked: a damaged checkpoint is named, and the one before it counts.

        Raises:
            UsageError: it is half trained in another precision.
        """
        if self.files.has_pickle(job.identity):
            self._tell(f"{job.label}: its checkpoint is of an older version, starting over")
        found = []
        for stand in self.files.places(job.identity):
            path = self.files.path(job.identity, stand)
            try:
                checkpoint = self.files.read(job.identity, stand)
            except Outdated as reason:
                self._tell(f"{job.label}: {path} is not used: {reason}")
                continue
            except Damaged as reason:
                self._tell(f"{job.label}: the checkpoint {path} is damaged: {reason}")
                continue
            if checkpoint.source != job.source:
                self._tell(f"{job.label}: the recipe's file changed, starting over")
                break
            self._check_precision(job, checkpoint)
            found.append(stand)
        return tuple(found) or (BEGINNING,)

    def restore(self, member: Member, stand: Stand) -> Disturbed | None:
        """Continue from a member's checkpoint at one of its ``stands``.

        Returns:
            What came between if it can no longer be read, as it could a moment ago.
        """
        job = member.job
        if stand == BEGINNING:
            return None
        try:
            checkpoint = self.files.read(job.identity, stand)
        except Damaged as reason:
            return Disturbed(f"{self.files.path(job.identity, stand)}: {reason}", lasting=False)
        member.learner.load_state_dict(checkpoint.state["learner"])
        member.within = checkpoint.state["within"]
        member.progress = Progress.of_state(checkpoint.state["progress"])
        member.progress.goes_on(before=checkpoint.engine, now=self.engine)
        if checkpoint.engine != self.engine:
            changed = difference(checkpoint.engine, self.engine)
            self._tell(f"{job.label}: goes on with another engine ({changed}); its record says so")
        return None

    def write(
        self,
        members: Sequence[Member],
        stand: Stand,
        guarding: Callable[[Job], AbstractContextManager[object]],
    ) -> Disturbed | None:
        """Write histories and checkpoints; all processes take part, the main one writes.

        Args:
            members: who is written.
            stand: where they are.
            guarding: takes the error of a member whose state cannot be kept.

        Returns:
            Why they cannot be written; those that are there stay.
        """
        fault: Disturbed | None = None
        for member in members:
            with guarding(member.job):
                # Also where nothing is written: a part of it comes from all processes.
                checkpoint = self._checkpoint(member, stand)
                if fault is None and self.accelerator.is_main_process:
                    fault = self._write(member, checkpoint)
        if self.accelerator.num_processes > 1:
            flag = torch.tensor([float(fault is not None)], device=self.accelerator.device)
            anywhere = self.accelerator.reduce(flag, reduction="sum").item() > 0
            if fault is None and anywhere:
                fault = Disturbed("the main process cannot write the checkpoints", lasting=True)
        return fault

    def _checkpoint(self, member: Member, stand: Stand) -> Checkpoint:
        state = {
            "learner": member.learner.state_dict(),
            "within": member.learner.within_epoch() if stand.step else None,
            "progress": member.progress.state_dict(),
        }
        return Checkpoint(stand, member.job.source, self.engine, state)

    def _write(self, member: Member, checkpoint: Checkpoint) -> Disturbed | None:
        identity = member.job.identity
        try:
            self.workspace.write_history(identity, member.progress.history)
            self.listener.kept(self.workspace.history_path(identity))
            self.listener.kept(self.files.write(identity, checkpoint))
        except WorkspaceError as error:
            return Disturbed(str(error), lasting=True)
        return None

    def _check_precision(self, job: Job, checkpoint: Checkpoint) -> None:
        before, now = checkpoint.engine.precision, self.engine.precision
        if before != now:
            raise UsageError(
                f"'{job.label}' is half trained in another precision ({before}, now {now}).\n"
                f"Continue with the same --precision, or delete "
                f"{self.workspace.folder(job.identity)} to start over."
            )

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self.listener.note(message)
