"""The command that asks whether a record still holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.options import (
    CellArgument,
    DataOption,
    JsonOption,
    PathOption,
    ResultsOption,
    RunsOption,
)
from benchmark.cli.output import console, print_json, say
from benchmark.errors import UsageError
from benchmark.folders import cache_folder

if TYPE_CHECKING:
    from benchmark.matrix.request import Request
    from benchmark.records.schema import Record
    from benchmark.work.verify import Verdict, Verifier


def verify(
    cell: CellArgument,
    train: Annotated[
        bool, typer.Option("--train", help="Train the cell again; else evaluate its weights.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="Folder of recipes with the source of the record: train both sources, compare.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="With --against: train so many.")
    ] = None,
    data: DataOption = None,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    teacher_checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher-checkpoint", help="NETWORK=FILE with weights that the cell builds on."
        ),
    ] = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a cell's weights again, or train it again, and compare with its record.

    Where a cell that is trained again agrees, and its record came from another source of the
    recipe, this is written down: the tables then accept records of that source. Exit code 0 if it
    agrees, 1 if it does not.
    """
    from benchmark.matrix.request import Request
    from benchmark.records.store import Store

    record = Store(results).lookup(cell)
    request = Request(teachers=teacher_checkpoint or (), paths=path or ())
    verifier = verifier_of(record, request, data=data, runs=runs, results=results)
    if against is not None:
        verdict = verifier.against(record, against, epochs=epochs)
    elif epochs is not None:
        raise UsageError("--epochs is for --against: a record is of all epochs of its protocol.")
    else:
        verdict = verifier.train(record) if train else verifier.evaluate(record)
    show_verdict(verdict, as_json=as_json)
    raise typer.Exit(0 if verdict.holds else 1)


def verifier_of(
    record: Record, request: Request, *, data: Path | None, runs: Path, results: Path
) -> Verifier:
    """Who verifies this record, with its precision and its number of threads."""
    from benchmark.layouts.catalogue import known_cards
    from benchmark.matrix.request import teachers_of
    from benchmark.records.store import Store
    from benchmark.reports.terminal.live import listener
    from benchmark.work.place import Site
    from benchmark.work.verify import Verifier

    site = Site(
        runs=runs,
        data_dir=data,
        cache_dir=cache_folder(),
        precision=record.environment.precision,
        threads=record.environment.threads,  # sums depend on their number in the last digits
        compiled=bool(record.cost and record.cost.compiled),  # and on this
    )
    return Verifier(
        store=Store(results),
        place=site.place(),
        cards=known_cards(request.paths),
        teachers=teachers_of(request),
        paths=tuple(request.paths),
        listener=listener(console(stderr=True)),
    )


def show_verdict(verdict: Verdict, *, as_json: bool) -> None:
    """Print whether a record holds."""
    from benchmark.work.verify import EVALUATED

    if as_json:
        print_json(_as_json(verdict))
        return
    out, comparison = console(), verdict.comparison
    said = f"agrees {comparison.agreement}" if verdict.holds else "does not agree"
    say(out, f"{verdict.cell}: {verdict.how}, {said} ({comparison.basis})")
    say(out, f"  {'':16}{'recorded':>12}{'again':>12}{'difference':>12}{'allowed':>10}")
    for name, one in comparison.metrics.items():
        difference = one.again - one.recorded
        mark = "" if one.agrees else "  differs"
        say(
            out,
            f"  {name:16}{one.recorded:>12g}{one.again:>12g}{difference:>+12.3g}"
            f"{one.tolerance:>10.2g}{mark}",
        )
    recipe = verdict.record.spec.recipe
    if verdict.attestation is not None:
        say(out, f"Recorded with another source of {recipe}: attested in {verdict.attestation}")
    elif verdict.holds and not verdict.is_of_today and verdict.how == EVALUATED:
        say(
            out,
            f"Recorded with another source of {recipe}; whether that of today gives the same, "
            "'kdbench verify --train' says.",
        )


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "cell": verdict.cell,
        "how": verdict.how,
        "protocol": verdict.protocol,
        "holds": verdict.holds,
        "agreement": verdict.comparison.agreement,
        "basis": verdict.comparison.basis,
        "metrics": {
            name: {**one.model_dump(), "agrees": one.agrees}
            for name, one in verdict.comparison.metrics.items()
        },
        "recorded_source": verdict.record.recipe_source,
        "source": verdict.source,
        "is_of_today": verdict.is_of_today,
        "attestation": str(verdict.attestation) if verdict.attestation else None,
        "environment": verdict.environment.model_dump(),
    }
