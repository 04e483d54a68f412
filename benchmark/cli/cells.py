"""The options of a choice of cells, and how they come to a command.

They stand once, as the fields of ``CellOptions``. A command that is decorated with
``choosing_cells`` has them all, and is called with the ``Request`` that they make::

    @choosing_cells
    def status(request: Request, *, results: ResultsOption = Path("results")) -> None:
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, get_type_hints

import typer

from benchmark.cli.options import PathOption, ProtocolOption, RecipeOption

if TYPE_CHECKING:
    from benchmark.matrix.request import Request

# Every help text lists options in this order, a command's own between those of the choice.
ORDER = (
    "suite", "dataset", "pair", "recipe", "seeds", "protocol", "data", "runs", "results",
    "teacher_checkpoint", "retry", "minutes", "dry_run", "precision", "workers", "threads",
    "memory_per_worker", "checkpoint_minutes", "time_limit", "path", "as_json",
)  # fmt: skip


@dataclass(frozen=True)
class CellOptions:
    """Which cells: each option with its words, its help and what it is if nobody writes it."""

    suite: Annotated[
        str | None,
        typer.Option("--suite", help="A named choice of cells; 'quick' if no --dataset."),
    ] = None
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Name of a data set; repeatable.")
    ] = None
    pair: Annotated[
        list[str] | None,
        typer.Option(
            "--pair", help="teacher:student; repeatable; else the data set's usual pairs."
        ),
    ] = None
    recipe: RecipeOption = None
    seeds: Annotated[str | None, typer.Option("--seeds", help="How many (3) or which (0,2,5).")] = (
        None
    )
    protocol: ProtocolOption = None
    teacher_checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher-checkpoint",
            help="FILE or NETWORK=FILE with trained teacher weights; repeatable.",
        ),
    ] = None
    path: PathOption = None

    def request(self) -> Request:
        """What was asked for."""
        from benchmark.matrix.request import Request  # imports torch

        return Request(
            suite=self.suite,
            datasets=self.dataset or (),
            pairs=self.pair or (),
            recipes=self.recipe or (),
            seeds=self.seeds,
            protocol=self.protocol,
            teachers=self.teacher_checkpoint or (),
            paths=self.path or (),
        )


def choosing_cells(command: Callable[Concatenate[Request, ...], None]) -> Callable[..., None]:
    """Give a command the options of a choice of cells; they arrive as its first argument.

    typer reads a command's options from its signature, so the fields of ``CellOptions`` are put
    into it in the place of the ``Request``.

    Args:
        command: takes a ``Request``, then its own options by keyword, all of them in ``ORDER``.
    """

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        chosen = CellOptions(**{option.name: values.pop(option.name) for option in choice})
        command(chosen.request(), **values)

    choice = fields(CellOptions)
    request, *own = inspect.signature(command).parameters.values()
    # Without the Request's, which is not imported yet.
    with_options.__annotations__ = {
        name: annotation
        for name, annotation in command.__annotations__.items()
        if name != request.name
    }
    types = get_type_hints(CellOptions, include_extras=True)
    types |= get_type_hints(with_options, include_extras=True)
    defaults = {option.name: option.default for option in choice}
    defaults |= {parameter.name: parameter.default for parameter in own}
    with_options.__annotations__ = types
    vars(with_options)["__signature__"] = inspect.Signature(
        [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=types[name]
            )
            for name, default in sorted(defaults.items(), key=lambda item: ORDER.index(item[0]))
        ]
    )
    return with_options
