"""The commands that show what there is and what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.options import (
    CellArgument,
    FormatOption,
    JsonOption,
    Kind,
    Page,
    PathOption,
    ResultsOption,
    RunsOption,
)
from benchmark.cli.output import DEBUG, console, print_json, say, write_out
from benchmark.errors import UsageError
from benchmark.folders import cache_folder


def list_(
    kind: Annotated[
        Kind, typer.Argument(help="What to list: recipes, datasets, networks or suites.")
    ],
    search: Annotated[
        str | None,
        typer.Option(
            "--search",
            help="Only names with this in them, or like this: 'resnet*d'; of networks those of "
            "timm too.",
        ),
    ] = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """List recipes, data sets, networks or suites."""
    from benchmark.catalogues.lists import describe
    from benchmark.reports.terminal.listings import listing_table

    entries = describe(kind.value, path or [], cache_folder(), search)
    if as_json:
        print_json(entries, ascii_only=False)
    else:
        console().print(listing_table(kind.value, entries, search=search))


def show(
    cell: CellArgument,
    runs: RunsOption = Path("runs"),
    results: ResultsOption = Path("results"),
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one record for a person; of a failed run, the file with the whole error too."""
    from benchmark.catalogues.today import current, sources
    from benchmark.matrix.elsewhere import Elsewhere
    from benchmark.records.places import other_roots
    from benchmark.records.store import Store
    from benchmark.reports.terminal.results import record_view
    from benchmark.training.keeping.folders import RunFolders

    store, folders = Store(results), RunFolders(runs)
    record = store.lookup(cell)
    if as_json:
        write_out(record.model_dump_json(indent=2) + "\n")
        return
    known = sources(path or [], cache_folder(), store.attested()[0])
    reason = current(path or [], cache_folder()).reason(record.spec)
    stale = [f"Stale: its {reason} is not that of today."] if reason else []
    traceback = folders.traceback_of(record.identity)
    whole = [f"The whole error: {traceback}."] if record.error and traceback.is_file() else []
    from_elsewhere = Elsewhere(store, folders)(record)
    clone = ["Recorded elsewhere: it came with a clone, its weights are not in --runs."]
    place = store.path_of(record.spec).relative_to(store.root)
    others = [
        f"This one is in {results}; another one of this cell is in {other}: add --results {other}."
        for other in other_roots(results)
        if (other / place).is_file()
    ]
    notes = [*stale, *whole, *(clone if from_elsewhere else []), *others]
    out = console()
    out.print(record_view(record, source=known.group(record), notes=notes))
    if whole and DEBUG.get():
        say(out, traceback.read_text(encoding="utf-8", errors="replace"))


def leaderboard(
    results: ResultsOption = Path("results"),
    output: Annotated[
        Path | None, typer.Option("--output", help="File to write; - is the standard output.")
    ] = None,
    format_: FormatOption = "md",
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the file is not up to date.")
    ] = False,
    path: PathOption = None,
) -> None:
    """Write the leaderboard from the records and from published numbers in their reported/."""
    from benchmark.catalogues.today import current, sources
    from benchmark.reports import leaderboard as board
    from benchmark.reports.formats import load_formats

    form = load_formats(path or []).get(format_)
    target = output or Path(form.output)
    text, problems = board.compose(
        results,
        form,
        current(path or [], cache_folder()),
        origins=lambda attested: sources(path or [], cache_folder(), attested).group,
    )
    aside = console(stderr=True)
    for problem in problems:
        say(aside, f"Left out: {problem}")
    if check and str(target) == "-":
        raise UsageError("--check compares with a file: name it with --output.")
    if check:
        difference = board.difference(text, target)
        say(aside, difference or f"{target} is what the records give.")
        raise typer.Exit(1 if difference or problems else 0)
    if str(target) == "-":
        write_out(text)
    else:
        board.save(text, target)
        aside.print(f"Wrote {target}.", highlight=False)
    raise typer.Exit(1 if problems else 0)


def pages(
    ctx: typer.Context,
    of: Annotated[Page, typer.Argument(help="Of what: recipes or commands.")] = Page.recipes,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help="File to write, else recipes.md or commands.md; - is the standard output.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results", help="Folder of records: shows what settings gave that were tried."
        ),
    ] = None,
    path: PathOption = None,
) -> None:
    """Write a page of the recipes (equations, papers, settings), or one of the commands.

    With --path it is of the recipes there.
    """
    from benchmark.catalogues.pages import recipe_page
    from benchmark.cli.help.manual import manuals
    from benchmark.reports.leaderboard import save
    from benchmark.reports.pages.commands import command_page

    target = output or Path(f"{of.value}.md")
    broken: tuple[str, ...] = ()
    if of is Page.commands:
        text = command_page(manuals(ctx.find_root().command))
    else:
        text, broken = recipe_page(path or [], cache_folder(), target.parent, results)
    aside = console(stderr=True)
    for problem in broken:
        say(aside, f"Left out: {problem}")
    if str(target) == "-":
        write_out(text)
    else:
        save(text, target)
        aside.print(f"Wrote {target}.", highlight=False)
    raise typer.Exit(1 if broken else 0)
