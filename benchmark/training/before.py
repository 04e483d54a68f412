"""What recipes learn of the training set before their layers are built: one pass, then kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from accelerate import Accelerator
from torch import Tensor

from benchmark.data.loaders.batches import stable_seed
from benchmark.recipe.batch import Batch, Heard
from benchmark.recipe.context import Context
from benchmark.recipe.contract import Recipe
from benchmark.records.canonical import digest
from benchmark.training.job import Job
from benchmark.training.keeping.workspace import Workspace
from benchmark.training.precision import precision_of
from benchmark.training.supply import Supply
from benchmark.training.teaching import Teachers
from benchmark.training.walls.randomness import seed_all


class Before:
    """Gives jobs what their recipes' ``before`` found, computed once a teacher and kept with it.

    Args:
        supply: of the training set.
        teachers: that the group hears.
        accelerator: owns device and processes; each process makes the pass by itself.
        workspace: where what was found is kept, in the folder of the first network that is heard.
    """

    def __init__(
        self, supply: Supply, teachers: Teachers, accelerator: Accelerator, workspace: Workspace
    ) -> None:
        self.supply, self.teachers = supply, teachers
        self.accelerator, self.workspace = accelerator, workspace

    def known_to(self, job: Job, context: Context) -> Mapping[str, Tensor]:
        """What a job's recipe knows when it is built, on the CPU; nothing for most recipes."""
        recipe = job.recipe
        if type(recipe).before is Recipe.before:
            return {}
        owner = next((job.role_identities.get(role, "") for role in job.heard), "")
        key = self._key(job)
        kept = self.workspace.load_known(owner, key) if owner else None
        if kept is not None:
            return kept
        # Not the run's random state: what is kept is the same whichever seed comes first.
        seed_all(stable_seed(key, "before"))
        found = {
            what: tensor.detach().cpu()
            for what, tensor in recipe.before(
                replace(context, maybe_network=None), self._pass(job)
            ).items()
        }
        if owner and self.accelerator.is_main_process:
            self.workspace.save_known(owner, key, found)
        return found

    def _pass(self, job: Job) -> Iterator[tuple[Batch, Heard]]:
        for loaded in self.supply.training_set().epoch(0):
            self.teachers.next_batch()
            batch = Batch(
                loaded.images,
                loaded.labels,
                loaded.index,
                0.0,
                class_count=self.supply.data.pictures.classes,
            )
            yield batch, job.hear(self.teachers.ask, batch.images)
        self.teachers.next_batch()

    def _key(self, job: Job) -> str:
        recipe, protocol = job.recipe, job.protocol
        names = recipe.settings_model.model_fields
        return digest(
            {
                "source": job.source,
                "recipe": recipe.info.name,
                "settings": {name: getattr(recipe, name) for name in names},
                "network": job.network,
                "heard": [job.role_identities.get(role, "") for role in job.heard],
                "weights": {role: taught.digest for role, taught in job.taught_by.items()},
                "held_out": [protocol.validation, job.seed] if protocol.validation else [],
                "image_size": protocol.image_size,
                "precision": precision_of(self.accelerator),
            }
        )
