"""Tables for the terminal; they keep to 80 columns and read the same in a plain log file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.text import Text

from benchmark.records.schema import Record
from benchmark.records.sources import SourceGroup, Standing
from benchmark.reports.board.aggregate import method_of
from benchmark.reports.board.metrics import MACS, PARAMETERS, Metric
from benchmark.reports.board.provenance import engines
from benchmark.reports.board.tables import Board, Cell, Column, Table
from benchmark.reports.terminal.screen import Rows, words
from benchmark.reports.wording import numbers as wording

BEST = "*"
INTERVAL_FROM = 3  # seeds
LONGEST_LABEL = 24
LONGEST_MESSAGE = 4_000  # signs
STATES = {"done": "green", "failed": "red", "stale": "yellow", "missing": ""}
SELDOM = {"changed": "yellow", "damaged": "red"}  # states that are shown where there is one
STANDINGS = {
    Standing.today: "that of today",
    Standing.attested: "older than that of today, and attested to give the same numbers",
    Standing.changed: "not that of today: 'kdbench run --retry changed' trains it again, and "
    "'kdbench verify' shows whether the numbers are the same",
    Standing.unknown: "of a recipe that is not here; --path names folders with others",
}
LEGEND = f"{BEST} best mean of those with all seeds   {wording.OPEN} not shown to be below it"


def result_table(board: Board) -> Iterator[RenderableType]:
    """A small table per data set, protocol and pair: the content of the leaderboard."""
    if not board.tables:
        yield Text("There is no record to show yet.")
    for table in board.tables:
        for column in table.columns:
            yield _title(f"{wording.heading(table)}: {wording.pair(column)}")
            yield _results(table, column)
        if any(cell.rank for column in table.columns for cell in column.cells.values()):
            yield _aside(LEGEND)
        for note in [*wording.notes(table), *wording.footnotes(table)]:
            yield _aside(note)
        if table.networks:
            yield _title(f"{wording.heading(table)}: networks")
            yield _networks(table)
    if left_out := wording.left_out(board):
        yield _aside(left_out)
    for line in wording.damaged(board):
        yield _aside(f"  {line}")


def coverage_table(rows: Iterable[Mapping[str, Any]]) -> RenderableType:
    """What of a choice of cells is done, by data set, protocol and recipe, with sums at the foot.

    Args:
        rows: each with ``dataset``, ``protocol``, ``recipe`` and the number of cells in every
            state, by its word; rows that share the names (other pairs) are added up. A state that
            is not among the usual ones has a column if a cell is in it.
    """
    rows = list(rows)
    sums: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        key = (row["dataset"], row["protocol"], row["recipe"])
        sums[key].update({name: n for name, n in row.items() if isinstance(n, int)})
    total = sum(sums.values(), Counter[str]())
    # The order of the rows is that of the states.
    told = dict.fromkeys(name for row in rows for name, n in row.items() if isinstance(n, int))
    styles = STATES | SELDOM
    states = [state for state in told if state in STATES or total[state]] or list(STATES)
    table = _empty()
    table.show_footer = True
    table.add_column("data set", Text("all"), overflow="fold")
    table.add_column("protocol", overflow="fold")
    table.add_column("recipe", overflow="fold")
    for state in states:
        table.add_column(words(state), Text(str(total[state])), justify="right", no_wrap=True)
    previous = ("", "")
    for (dataset, protocol, recipe), counts in sorted(sums.items()):
        # The names once a block: the eye finds the data sets.
        names = ("", "") if (dataset, protocol) == previous else (dataset, protocol)
        numbers = (_count(counts[state], styles.get(state, "")) for state in states)
        table.add_row(*names, recipe, *numbers)
        previous = (dataset, protocol)
    return table


def holdings_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What a folder of results holds, by data set and protocol, with what made it.

    Args:
        rows: each with ``dataset``, ``protocol``, the number of records in every state, ``newest``
            (ISO 8601), and ``machines``, their number by name.
    """
    blocks: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        blocks[row["dataset"], row["protocol"]].append(row)
    states = [*STATES, *(s for s in SELDOM if any(row[s] for row in rows))]
    states.remove("missing")
    table = _empty()
    for name in ("data set", "protocol"):
        table.add_column(name, overflow="fold")
    for name in states:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("newest", no_wrap=True)
    for (dataset, protocol), found in sorted(blocks.items()):
        sums = [sum(row[state] for row in found) for state in states]
        styles = [(STATES | SELDOM)[state] for state in states]
        table.add_row(
            dataset,
            protocol,
            *map(_count, sums, styles),
            max(row["newest"] for row in found)[:10],
        )
    machines = sum((Counter(row["machines"]) for row in rows), Counter[str]())
    made = ", ".join(f"{name} ({number})" for name, number in machines.most_common())
    return Group(table, words(f"Trained on: {made}."))


def record_view(
    record: Record, *, source: SourceGroup | None = None, notes: Sequence[str] = ()
) -> RenderableType:
    """One record for a person: what was asked for, the result, the cost, where it came from.

    Args:
        record: to show.
        source: how its recipe's source stands to that of today, if that is known.
        notes: what else a reader should know of it, a sentence each.
    """
    spec = record.spec
    table = Rows(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    blocks = (_asked(record), _result(record), _cost(record), _provenance(record, source))
    for number, block in enumerate(blocks):
        if number and block:
            table.add_row()
        for name, value in block.items():
            table.add_row(name, value)
    where = f"{spec.dataset}, {spec.pair or spec.network}, {method_of(spec)}, seed {spec.seed}"
    return Group(_title(where), table, *map(_aside, notes))


def _asked(record: Record) -> Mapping[str, str]:
    spec = record.spec
    ranked = "" if spec.ranked else " (not ranked)"
    values = {
        "network": spec.network,
        "recipe": f"{spec.recipe}, version {spec.recipe_version}",
        "settings": _pairs(spec.settings) or "none",
        "protocol": spec.protocol + ranked,
        "": _pairs(spec.protocol_values),
        "data": f"{spec.dataset}, revision {spec.data_revision}",
    }
    if spec.starts_from:
        values["starts from"] = spec.starts_from
    for name, role in sorted(spec.roles.items()):
        top1 = "" if role.top1 is None else f", top-1 {role.top1:.2f}"
        values[name] = f"{role.network}, {role.recipe}{top1} ({role.identity[:12]})"
    return values


def _result(record: Record) -> Mapping[str, str]:
    metrics, diagnostics, error = record.metrics, record.diagnostics, record.error
    values: dict[str, str] = {"status": record.status}
    if error:
        epoch = "" if error.epoch is None else f", epoch {error.epoch}"
        values["error"] = bounded(f"{error.kind}: {error.message}")
        values["where"] = f"{error.where}{epoch}"
    if metrics:
        values["top-1"] = f"{metrics.top1:.2f} % of {metrics.images} {metrics.evaluated_on} images"
        values["top-5"] = f"{metrics.top5:.2f} %"
        values["per class"] = f"{metrics.mean_per_class:.2f} % mean"
        values["calibration"] = f"NLL {metrics.nll:.4f}, ECE {metrics.ece:.2f} %"
        if metrics.agreement is not None:
            values["agreement"] = f"{metrics.agreement:.2f} % with the teacher"
    if diagnostics:
        best = f"{diagnostics.best_top1:.2f} % at epoch {diagnostics.best_epoch}"
        values["best epoch"] = f"{best} (diagnostic, not ranked)"
        terms = _pairs({name: f"{value:.4g}" for name, value in diagnostics.terms.items()})
        values["last loss"] = f"{diagnostics.train_loss:.4g} ({terms})"
    return values


def _cost(record: Record) -> Mapping[str, str]:
    cost = record.cost
    if cost is None:
        return {}
    others = "1 other run" if len(cost.group) == 1 else f"{len(cost.group)} other runs"
    beside = f", beside {others}" if cost.group else ""
    own = (
        f", {wording.size(cost.recipe_parameters)} of the recipe" if cost.recipe_parameters else ""
    )
    values = {
        "deployed": f"{wording.size(cost.parameters)} parameters, {wording.size(cost.macs)} MACs",
        "trained": f"{wording.size(cost.training_parameters)} parameters{own}",
        "time": f"{cost.train_seconds:.0f} s training, {cost.evaluation_seconds:.0f} s evaluation",
        "speed": f"{cost.images_per_s:.0f} images/s{beside}",
        "memory": f"{cost.peak_memory_mb:.0f} MB at most",
    }
    share, rounded = cost.teacher_outputs_read, cost.teacher_outputs
    read = "" if share is None else f"{100 * share:.3g} % read and not computed"
    if said := ", ".join(filter(None, (read, rounded and f"rounded to {rounded}"))):
        values["teachers"] = said
    if cost.forwards_per_image is not None and cost.backwards_per_image is not None:
        forwards, backwards = cost.forwards_per_image, cost.backwards_per_image
        values["passes"] = f"{forwards:g} forwards, {backwards:g} backwards an image"
    return values


def _provenance(record: Record, source: SourceGroup | None) -> Mapping[str, str]:
    environment = record.environment
    commit = (environment.git_commit or "unknown")[:12]
    dirty = ", with uncommitted changes" if environment.git_dirty else ""
    number = environment.processes
    processes = "1 process" if number == 1 else f"{number} processes"
    compiled = ", compiled" if record.cost and record.cost.compiled else ""
    values = {
        "device": f"{environment.device}, {environment.precision}, {processes} "
        f"with {environment.threads} thread{'s' if environment.threads != 1 else ''}{compiled}",
        **({"processor": environment.processor} if environment.processor else {}),
        "software": f"Python {environment.python}, {_pairs(environment.packages, ' ')}",
        "commit": commit + dirty,
        "source": record.recipe_source + (f"\n{STANDINGS[source.standing]}" if source else ""),
    }
    if before := engines(record)[:-1]:
        values["continued"] = "\n".join(f"began with {engine}" for engine in before)
    if record.weights:
        values["weights"] = record.weights
    if record.published_weights:
        values["started from"] = record.published_weights
    return values | {"finished": record.finished, "identity": record.identity}


def bounded(message: str) -> str:
    """A message of bearable length: of a longer one the beginning and the end."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    half = LONGEST_MESSAGE // 2
    return f"{message[:half]}\n… {len(message) - 2 * half:,} more …\n{message[-half:]}"


def _results(table: Table, column: Column) -> Rows:
    rich = _empty()
    rich.add_column("", overflow="fold")
    rich.add_column(words(_headed(table.metric)), no_wrap=True)
    rich.add_column("", no_wrap=True)
    rich.add_column("seeds", overflow="fold")
    interval = any(cell.gain and cell.gain.n >= INTERVAL_FROM for cell in column.cells.values())
    rich.add_column("gain [95 %]" if interval else "gain", no_wrap=True)
    if teacher := column.teacher_score:
        number = wording.numbered("", table, column.teacher_notes).strip()
        rich.add_row(Text("teacher"), wording.spread(teacher), number, str(teacher.n), "")
    if column.alone:
        _row(rich, table, column.alone, "student alone")
    rich.add_section()
    for method in table.methods([column]):
        _row(rich, table, column.cells[method], method)
    return rich


def _row(rich: Rows, table: Table, cell: Cell, name: str) -> None:
    mark = {"best": BEST, "open": wording.OPEN, None: ""}[cell.rank]
    mark = wording.numbered(mark, table, cell.notes).strip()
    gain = "" if cell.gain is None else _gain(cell)
    style = "bold" if cell.rank == "best" else ("red" if cell.failures and not cell.score else "")
    rich.add_row(_label(name), _spread(cell), mark, wording.seeds(cell), gain, style=style)


def _gain(cell: Cell) -> str:
    """With its interval from three seeds on; that of two is wider than the table."""
    gain = cell.gain
    if gain is not None and gain.n < INTERVAL_FROM:
        return f"{gain.mean:+.2f}"
    return wording.gain(cell)


def _label(method: str) -> Text:
    """A method's label that breaks between settings, not within one."""
    if len(method) <= LONGEST_LABEL:
        return words(method)
    return words(method.replace("[", "[\n  ").replace(",", ",\n  "))


def _networks(table: Table) -> Rows:
    rich = _empty()
    rich.add_column("network", overflow="fold")
    rich.add_column("trained as", overflow="fold")
    rich.add_column(words(_headed(table.metric)), no_wrap=True)
    rich.add_column("seeds", overflow="fold")
    rich.add_column("params", justify="right", no_wrap=True)
    rich.add_column("MACs", justify="right", no_wrap=True)
    for row in table.networks:
        cell = row.cell
        rich.add_row(
            row.network,
            _label(cell.method),
            wording.numbered(_spread(cell), table, cell.notes),
            wording.seeds(cell),
            wording.size(cell.latest(PARAMETERS)),
            wording.size(cell.latest(MACS)),
        )
    return rich


def _headed(metric: Metric) -> str:
    return f"{metric.label} {metric.unit}".rstrip()


def _spread(cell: Cell) -> str:
    if score := cell.score:
        return wording.spread(score)
    return "failed" if cell.failures else wording.NOTHING


def _empty() -> Rows:
    return Rows(box=box.SIMPLE_HEAD, pad_edge=False)


def _count(number: int, style: str) -> Text:
    return Text(str(number), style=style) if number else Text("·", style="dim")


def _title(text: str) -> Text:
    # Not the title of the rich table, which would be wrapped to the width of its columns.
    return words(text, style="bold")


def _aside(text: str) -> Text:
    return words(text, style="dim")


def _pairs(values: Mapping[str, object], equals: str = "=") -> str:
    return ", ".join(f"{name}{equals}{value}" for name, value in sorted(values.items()))
