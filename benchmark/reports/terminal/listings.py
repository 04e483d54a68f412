"""Terminal tables of what there is, and of what a run would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.text import Text

from benchmark.reports.terminal.screen import Rows, words
from benchmark.reports.wording.duration import duration, end
from benchmark.reports.wording.settings import own_first, shown

MOST_PROBLEMS = 20
MOST_CASES = 5  # of a warning
MOST_LINES = 4  # of a case, beside its first
MODES = {"L": "grey", "1": "black and white", "P": "with a palette", "RGBA": "with transparency"}
"""Pillow's words for how colours are stored, as far as they say little to a person."""
TIMM = (
    "and every classification model of timm as timm/NAME:\n"
    "'kdbench list networks --search TEXT' finds it"
)


def listing_table(
    kind: str, entries: Sequence[Mapping[str, Any]], *, search: str | None = None
) -> RenderableType:
    """What there is of a kind; broken files below, each with its error.

    Args:
        kind: of the things.
        entries: to show.
        search: by what they were chosen, if they were.
    """
    if search is not None and not entries:
        return words(f"None of the {kind} has a name with '{search}' in it.")
    good = [entry for entry in entries if not entry.get("error")]
    table = {
        "recipes": _recipes,
        "datasets": _datasets,
        "networks": _networks,
        "suites": _suites,
    }[kind](good)
    broken = [entry for entry in entries if entry.get("error")]
    notes: list[RenderableType] = []
    if kind == "networks" and search is None:
        notes.append(words(TIMM, style="dim"))
    if kind == "recipes":
        page = "Equations, and what settings may be: docs/recipes.md, or 'kdbench pages'"
        notes.append(words(page, style="dim"))
    if broken:
        notes.append(words(f"\n{len(broken)} broken, left out:", style="red"))
        notes += [words(f"  {entry['path']}: {entry['error']}") for entry in broken]
    return Group(table, *notes)


def plan_table(overview: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What a run would do, level by level."""
    yield words(
        f"cells: {overview['cells']}; runs that they need: {overview['runs']}, of which "
        f"{overview['recorded']} recorded and "
        f"{overview['to_train']} to train{_in_short(overview)}."
    )
    for reason in overview["left_out"]:
        yield words(f"left out: {reason}", style="yellow")
    for note in overview["notes"]:
        yield words(note, style="yellow")
    if not overview["to_train"]:
        return
    table = _table("step", "group", "seed", "time", "runs that train side by side")
    number = 0
    for step, level in enumerate(overview["levels"], start=1):
        for group in level:
            number += 1
            what = f"{group['dataset']}\n{group['protocol']}, {group['epochs']} epochs"
            runs = Text("\n").join(_run(run) for run in group["runs"])
            table.add_row(str(step), what, str(group["seed"]), _time(group), runs)
        table.add_section()
    yield table
    yield words(_whole(overview))


def _time(group: Mapping[str, Any]) -> Text:
    """How long a group takes, and how that is known."""
    if group["seconds"] is None:
        return words("?", style="dim")
    if group["source"] is None:
        return words("none", style="dim")
    about = "some " if group["rough"] else ""
    text = words(f"{about}{duration(group['seconds'])}\n")
    return text.append(group["source"], style="dim")


def _in_short(overview: Mapping[str, Any]) -> str:
    """How long all takes, if that is known, for the first line."""
    seconds = overview["seconds"]
    if seconds is None or not overview["to_train"]:
        return ""
    return f", in about {duration(seconds)}: begun now, it ends {end(seconds)}"


def _whole(overview: Mapping[str, Any]) -> str:
    """How long all takes together, or what to do to know it."""
    workers = overview["workers"]
    by = "one worker" if workers == 1 else f"{workers} workers"
    if overview["seconds"] is not None:
        rough = any(group["rough"] for level in overview["levels"] for group in level)
        return f"With {by}: {'some ' if rough else ''}{duration(overview['seconds'])}" + (
            "; what says 'some' is rough: --measure finds it out." if rough else "."
        )
    known = [group["seconds"] for level in overview["levels"] for group in level]
    least = sum(seconds for seconds in known if seconds is not None) / workers
    if not least:
        return "How long it takes is not known: --measure finds it out."
    return (
        f"With {by}: more than {duration(least)}; of {overview['groups_of_unknown_time']} groups "
        "nothing is known: --measure finds it out."
    )


def data_table(report: Mapping[str, Any]) -> RenderableType:
    """What is in a data set, by split, and what is wrong with it."""
    table = _table("split", "images", "of a class", "pixels", "broken")
    for split, part in report["splits"].items():
        fewest, most = part["fewest_of_a_class"], part["most_of_a_class"]
        sizes = list(dict.fromkeys(f"{width}x{height}" for height, width in part["sizes"] or ()))
        table.add_row(
            split,
            f"{part['images']:,}",
            str(fewest) if fewest == most else f"{fewest} to {most}",
            " … ".join(sizes),
            f"{part['broken']:,}",
        )
    return Group(
        words(f"{report['dataset']}: {report['classes']} classes, {report['origin']}"),
        table,
        words(_classes(report)),
        words(_colours(report["splits"].values())),
        *_found(report),
    )


def _classes(report: Mapping[str, Any]) -> str:
    """How uneven the classes are."""
    least, most = report["smallest_class"], report["largest_class"]
    if least["images"] == most["images"]:
        return f"Classes: each has {most['images']:,} training images."
    times = f", {report['imbalance']:.1f} times as many" if report["imbalance"] else ""
    return (
        f"Classes: the smallest, '{least['name']}', has {least['images']:,} training images, the "
        f"largest, '{most['name']}', {most['images']:,}{times}."
    )


def _colours(splits: Iterable[Mapping[str, Any]]) -> str:
    """In which ways images store their colours."""
    modes, turned = Counter[str](), 0
    for part in splits:
        modes.update(part["modes"])
        turned += part["turned"]
    told = ", ".join(f"{count:,} {MODES.get(mode, mode)}" for mode, count in modes.most_common())
    others = "" if set(modes) <= {"RGB"} else "; networks see all as RGB"
    turns = f" Turned as their EXIF note says: {turned:,}." if turned else ""
    return f"Colours: {told or 'none'}{others}.{turns}"


def _found(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What is wrong with a data set, and what a person should look at."""
    problems, warnings = report["problems"], report["warnings"]
    for problem in problems[:MOST_PROBLEMS]:
        yield words(problem, style="red")
    if len(problems) > MOST_PROBLEMS:
        yield words(f"… and {len(problems) - MOST_PROBLEMS:,} more; --json names all.", "red")
    for warning in warnings:
        yield words(f"Warning: {warning['what']}", style="yellow")
        for first, *others in warning["cases"][:MOST_CASES]:
            more = [f"… and {len(others) - MOST_LINES:,} more"] if len(others) > MOST_LINES else []
            lines = [f"    {line}" for line in (*others[:MOST_LINES], *more)]
            yield words("\n".join([f"  {first}", *lines]))
        if len(warning["cases"]) > MOST_CASES:
            yield words(f"  … and {len(warning['cases']) - MOST_CASES:,} more; --json names all.")
        yield words(warning["remedy"])
    if not problems and not warnings:
        yield words("Nothing is wrong with it.", style="green")


def cache_table(files: Sequence[Mapping[str, Any]], *, deleted: bool) -> RenderableType:
    """All that is kept, the largest first, with the sum."""
    if not files:
        return words("Nothing is kept.")
    table = _table("data set", "what", "MB", "changed", "where")
    for file in files:
        day = datetime.fromtimestamp(file["changed"]).strftime("%Y-%m-%d")
        table.add_row(
            file["dataset"], file["kind"], f"{file['bytes'] / 1e6:,.1f}", day, file["path"]
        )
    total = sum(file["bytes"] for file in files) / 1e6
    what = "deleted" if deleted else "in all; --clear deletes them, and runs make them again"
    count = f"{len(files)} file" if len(files) == 1 else f"{len(files)} files"
    return Group(table, words(f"{count}, {total:,.1f} MB {what}."))


def _recipes(entries: Sequence[Mapping[str, Any]]) -> Rows:
    table = _table("name", "family", "what it minimises, paper, needs, settings")
    for entry in entries:
        settings = own_first(entry["settings"]).items()
        needs = ", ".join(["logits", *entry["needs"]])
        lines = [
            words(entry["summary"]),
            words(", ".join(filter(None, (entry["paper"], f"reads {needs}"))), style="dim"),
            words(", ".join(f"{name}={shown(setting['default'])}" for name, setting in settings)),
        ]
        table.add_row(entry["name"], entry["family"], Text("\n").join(filter(None, lines)))
        table.add_section()
    return table


def _datasets(entries: Sequence[Mapping[str, Any]]) -> Rows:
    table = _table("name", "what it is, and by protocol the usual pairs")
    for entry in entries:
        size = entry["image_size"]
        lines = [
            words(
                f"{entry['title']}: {entry['classes']} classes, {entry['train']:,} training and "
                f"{entry['test']:,} test images, {size}x{size} pixels"
            )
        ]
        # Protocols that have the same pairs stand together: most cards have one list of them.
        shared: dict[tuple[str, ...], list[str]] = {}
        for protocol, pairs in entry["pairs_by_protocol"].items():
            shared.setdefault(tuple(pairs), []).append(protocol)
        for pairs, protocols in shared.items():
            line = words(f"{', '.join(protocols)}: ")
            lines.append(line.append_text(words(", ".join(pairs), style="dim")))
        table.add_row(entry["name"], Text("\n").join(lines))
        table.add_section()
    return table


def _networks(entries: Sequence[Mapping[str, Any]]) -> Rows:
    table = _table("name", "parameters", "MACs")
    for entry in entries:
        sizes = (entry["parameters"], entry["macs"])
        table.add_row(entry["name"], *("" if size is None else f"{size:,}" for size in sizes))
    return table


def _suites(entries: Sequence[Mapping[str, Any]]) -> Rows:
    table = _table("name", "seeds", "what for, and of what")
    for entry in entries:
        pairs = entry["pairs"] or ["the usual pairs"]
        recipes = ["every method" if name == "*" else name for name in entry["recipes"]]
        lines = [
            words(entry["title"]),
            words(
                f"{', '.join(entry['datasets'])}; protocol {entry['protocol'] or 'default'}; "
                f"{', '.join(pairs)}; {', '.join(recipes)}",
                style="dim",
            ),
        ]
        table.add_row(entry["name"], str(entry["seeds"]), Text("\n").join(lines))
        table.add_section()
    return table


def _run(run: Mapping[str, Any]) -> Text:
    state = "" if run["state"] == "missing" else f"  ({run['state']})"
    stand = f"  (goes on after epoch {run['epoch']})" if run["epoch"] else ""
    return words(f"{run['label']}{state}{stand}")


def _table(*columns: str) -> Rows:
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    numbers = {"parameters", "MACs", "seeds",
               "seed", "step", "images", "broken", "MB"}  # fmt: skip
    for column in columns:
        table.add_column(
            words(column), justify="right" if column in numbers else "left", overflow="fold"
        )
    return table
