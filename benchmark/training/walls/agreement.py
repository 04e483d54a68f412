"""How the processes of one training agree on a member that failed, and what they leave if not.

The gradients of a member are averaged over the processes, so that one that leaves alone would let
the others wait for ever. A fault that all of them meet at the same point, as most are, they find to
be the same through the store that they met at; then the member leaves everywhere. A fault of one
process ends the training, and is written down first: the next start records it.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from pydantic import ValidationError

from benchmark.files import write_whole
from benchmark.records.schema import Failure
from benchmark.training.ending import Failed
from benchmark.training.job import Job

PATIENCE_S = 60.0  # longer than any process is behind another, shorter than anyone's patience
FILE = "failure.json"
LARGEST = 1_000_000  # bytes; what is written has at most a tenth of it


class Agreement:
    """Between the processes of a training.

    Args:
        accelerator: owns the processes.
        folder: of a run by its identity, where its failure waits for the next start.
    """

    def __init__(self, accelerator: Accelerator, folder: Callable[[str], Path]) -> None:
        self.accelerator, self.folder = accelerator, folder
        self._failures = 0

    def any_says(self, word: bool) -> bool:
        """Whether any process says so; all must ask."""
        said = torch.tensor([float(word)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(said, reduction="sum").item() > 0)

    def all_met(self, job: Job, ending: Failed) -> bool:
        """Whether all processes met a member's failure; where they did not, it is written down."""
        if self.accelerator.num_processes == 1:
            return True
        self._failures += 1
        if self._all_came(f"{job.identity}/{self._failures}/{ending.failure.kind}"):
            return True
        self.write(job, ending)
        return False

    def _all_came(self, what: str) -> bool:
        """Wait until every process has been here; False if one does not come."""
        from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

        try:
            store = PrefixStore(f"kdbench/{what}", _get_default_store())
            store.set(str(self.accelerator.process_index), "here")
            everyone = [str(number) for number in range(self.accelerator.num_processes)]
            try:
                store.wait(everyone, datetime.timedelta(seconds=PATIENCE_S))
            except RuntimeError:  # torch.distributed.DistStoreError, which older versions lack
                store.set("over", "yes")
                return False
            return not store.check(["over"])
        except RuntimeError:  # who kept the store is gone
            return False

    # ------------------------------------------------------------------ from start to start

    def write(self, job: Job, ending: Failed) -> None:
        """Let the next start tell a failure that this one cannot have recorded.

        The first one stays: what other processes meet when one is gone tells nothing.
        """
        path = self.folder(job.identity) / FILE
        if path.exists():
            return
        text = json.dumps(
            {
                "identity": job.identity,
                "source": job.source,
                "status": ending.status,
                "failure": ending.failure.model_dump(),
                "traceback": ending.traceback,
            }
        )
        with suppress(OSError):  # the failure itself is said in any case
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode(), durable=True)

    def left_over(self, jobs: Sequence[Job]) -> dict[str, Failed]:
        """The failures that an earlier start wrote down and could not record; told once."""
        found: dict[str, Failed] = {}
        if self.accelerator.is_main_process:
            taken = {job.identity: self._take(job) for job in jobs}
            found = {identity: ending for identity, ending in taken.items() if ending}
        if self.accelerator.num_processes > 1:
            box = [found]
            broadcast_object_list(box)
            [found] = box
        return found

    def _take(self, job: Job) -> Failed | None:
        path = self.folder(job.identity) / FILE
        try:
            if path.stat().st_size > LARGEST:
                return None
            told: Mapping[str, Any] = json.loads(path.read_bytes())
            path.unlink()
            if (told["identity"], told["source"]) != (job.identity, job.source):
                return None
            failure = Failure.model_validate(told["failure"])
            return Failed(told["status"], failure, str(told["traceback"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError):
            return None
