"""Whether a run can be trained at all, and how long: asked of its recipe before anything is."""

from __future__ import annotations

from dataclasses import replace

from benchmark.data.pictures import Pictures
from benchmark.errors import RecipeError
from benchmark.matrix.run import AnyRun, Run, fault_in
from benchmark.networks.index import network_shape
from benchmark.networks.outputs import NetworkShape
from benchmark.recipe.context import Proposal
from benchmark.training.updates.optimiser import check_optimiser
from benchmark.training.updates.stages import lead_of
from benchmark.training.walls.surroundings import unchanged


class Fitting:
    """Why recipes refuse networks; every network is looked into once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, float], NetworkShape] = {}

    def refusal(self, run: AnyRun) -> str | None:
        """Why a run cannot be trained; None if it can.

        Raises:
            UsageError: there is no such optimiser, or it does not take what the protocol says.
            NetworkError: one of its networks cannot be built.
            RecipeError: the recipe's own ``refuse`` raises.
        """
        check_optimiser(run.protocol)
        if not isinstance(run, Run):
            self.shape(run.network, run.pictures)
            return None
        # Only what is trained leaves branches out: weights that were brought need no such network.
        student = self.shape(run.network, run.pictures, run.protocol.drop_path)
        teacher = run.roles.get("teacher")
        shape = self.shape(teacher.network, run.pictures) if teacher else None
        proposal = Proposal(student, shape, images=run.card.splits["train"])
        try:
            with unchanged():
                reason = run.make_recipe().refusal(proposal)
        except (Exception, SystemExit, GeneratorExit) as error:
            raise fault_in(run.recipe, "refuse", error) from error
        if not reason:
            return None
        return f"recipe '{run.recipe.name}' cannot combine {run.pair or run.network}: {reason}"

    def shape(self, network: str, pictures: Pictures, drop_path: float = 0.0) -> NetworkShape:
        """Widths of a network, found without memory or arithmetic."""
        key = network, pictures.size, drop_path
        if key not in self._known:  # a second for a large network; classes change nothing inside it
            self._known[key] = network_shape(
                network,
                classes=pictures.classes,
                image_size=pictures.shape,
                drop_path=drop_path,
            )
        return replace(self._known[key], classes=pictures.classes)


def lead(run: Run) -> int:
    """Epochs that a run's recipe trains before the protocol's own.

    Raises:
        RecipeError: its stages are wrong, or asking for them raises.
    """
    try:
        with unchanged():
            return lead_of(run.make_recipe(), run.protocol)
    except RecipeError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:
        raise fault_in(run.recipe, "stages", error) from error
