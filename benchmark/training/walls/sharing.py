"""The batches of a training, which its members read one after the other."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.data.loaders.batches import LoadedBatch
from benchmark.data.loaders.choice import Loader
from benchmark.recipe.batch import Batch
from benchmark.training.job import Job
from benchmark.training.teaching import Teachers
from benchmark.training.walls.guard import Guard, Reading
from benchmark.training.walls.shared import Shared


class Sharing:
    """Gives every member the batch of a step and what the teachers say of it.

    Args:
        loader: gives any batch again.
        prepare: makes a batch for recipes of a loaded one and the number of its step.
        teachers: forget their answers with every batch.
        guard: whose turns they are.

    Attributes:
        thorough: whether values are compared after the turns of the next batch, too.
    """

    def __init__(
        self,
        loader: Loader,
        prepare: Callable[[LoadedBatch, int], Batch],
        teachers: Teachers,
        guard: Guard,
    ) -> None:
        self._loader, self._prepare, self._teachers, self._guard = loader, prepare, teachers, guard
        self.thorough = True

    def batch(self, loaded: LoadedBatch, *, count: int) -> Batch:
        """What all members look at in a step; the teachers forget the one before.

        Args:
            loaded: this process's part of the global batch.
            count: number of the step in the whole training.
        """
        epoch, number = divmod(count, len(self._loader))
        self._guard.place = f"step {number + 1} of {len(self._loader)}"

        def again() -> Batch:
            return self._watched(next(self._loader.epoch(epoch, first=number)), count)

        self._teachers.next_batch()
        batch = self._watched(loaded, count)
        self._shared = Shared(
            batch, again, forget=self._teachers.next_batch, thorough=self.thorough
        )
        self._teachers.answered, self.thorough = self._shared.answered, False
        return batch

    def turn(self, job: Job) -> Reading[Batch]:
        """A member's step; it leaves with what goes wrong."""
        return self._guard.reading(job, self._shared, timed=True)

    def _watched(self, loaded: LoadedBatch, count: int) -> Batch:
        batch = self._prepare(loaded, count)
        epoch, number = divmod(count, len(self._loader))
        self._teachers.answering.begin(batch.images, epoch=epoch, step=number)
        batch.shared.making = self._guard.wall.engine
        # Not the method of ``_shared`` itself: it holds the batch, which would be a circle.
        batch.shared.made = lambda view: self._shared.viewed(view)
        return batch
