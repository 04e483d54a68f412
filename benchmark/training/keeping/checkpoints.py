"""When members of a group are written to their checkpoints, and how they continue from them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from accelerate import Accelerator

from benchmark.errors import UsageError
from benchmark.events import Listener
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.member import Member, Progress
from benchmark.training.precision import precision_of

EVERY_S = 30.0  # a checkpoint of CRD's banks is 51 MB: seldom enough not to be felt


class Checkpoints:
    """The checkpoints of a group.

    Args:
        workspace: where they are kept.
        accelerator: its main process writes.
        listener: hears when a member must start over.
    """

    def __init__(self, workspace: Workspace, accelerator: Accelerator, listener: Listener) -> None:
        self.workspace, self.accelerator, self.listener = workspace, accelerator, listener
        self._written_at = time.monotonic()

    def restore(self, member: Member) -> None:
        """Continue from a member's checkpoint, if there is one.

        Raises:
            UsageError: it was trained in another precision.
        """
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

    def write(self, members: Iterable[Member], *, due: bool) -> None:
        """Write histories and checkpoints, if it is due or was long ago."""
        late = time.monotonic() - self._written_at > EVERY_S
        if not (due or late) or not self.accelerator.is_main_process:
            return
        for member in members:
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
        self._written_at = time.monotonic()
