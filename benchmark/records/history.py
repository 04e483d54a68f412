"""The history of a run: a row for every epoch, and the CSV file that lies beside the record.

A loss term is called by its own name everywhere but in the file, where its column is ``loss_NAME``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.errors import RecordError
from benchmark.records.bounds import LARGEST_FILE, read_bytes
from benchmark.records.schema import Diagnostics, Metrics, Record

LOSS = "loss_"
SCORES = ("top1", "top5", "nll")  # of an epoch that was evaluated; all of them, or none
REQUIRED = ("epoch", "images_per_s", "seconds")


@dataclass(frozen=True)
class EpochRow:
    """What one epoch of a run gave.

    Attributes:
        epoch: its number, from 1.
        terms: mean of every weighted loss term, by name.
        seconds: wall time of the group's training in this epoch.
        images_per_s: training images a second of the group.
        top1, top5: accuracy in percent on the evaluated split; None if it was not evaluated.
        nll: mean negative log-likelihood there, nats; None if it was not evaluated.
    """

    epoch: int
    terms: Mapping[str, float]
    seconds: float
    images_per_s: float
    top1: float | None = None
    top5: float | None = None
    nll: float | None = None

    @property
    def loss(self) -> float:
        """What was minimised: the sum of the terms."""
        return sum(self.terms.values())

    def evaluated(self, metrics: Metrics) -> EpochRow:
        """The row with the scores of the evaluation that followed the epoch."""
        return replace(self, top1=metrics.top1, top5=metrics.top5, nll=metrics.nll)

    def flat(self) -> dict[str, float]:
        """The values by column of the file, without those that the epoch does not have."""
        scores = {"top1": self.top1, "top5": self.top5, "nll": self.nll}
        return (
            {"epoch": self.epoch}
            | {name: value for name, value in scores.items() if value is not None}
            | {"images_per_s": self.images_per_s}
            | {f"{LOSS}{name}": self.terms[name] for name in sorted(self.terms)}
            | {"seconds": self.seconds}
        )

    @classmethod
    def from_flat(cls, values: Mapping[str, float]) -> EpochRow:
        """The row of which ``flat`` gave these values.

        Raises:
            RecordError: a column is missing or unknown, or the epoch is not a whole number.
        """
        losses = {name: value for name, value in values.items() if name.startswith(LOSS)}
        if missing := [name for name in REQUIRED if name not in values]:
            raise RecordError(f"a row of a history has no '{missing[0]}'.")
        if unknown := values.keys() - losses.keys() - {*REQUIRED, *SCORES}:
            raise RecordError(f"a row of a history has the unknown column '{min(unknown)}'.")
        epoch = values["epoch"]
        if not math.isfinite(epoch) or int(epoch) != epoch or epoch < 1:
            raise RecordError(f"a row of a history has the epoch {epoch}; they count from 1.")
        return cls(
            epoch=int(epoch),
            terms={name.removeprefix(LOSS): value for name, value in losses.items()},
            seconds=values["seconds"],
            images_per_s=values["images_per_s"],
            top1=values.get("top1"),
            top5=values.get("top5"),
            nll=values.get("nll"),
        )


def history_csv(rows: Iterable[EpochRow]) -> str:
    """The text of a history's file: six significant digits, nothing where a value is missing.

    The columns are the epoch, the scores, then the speed, the losses and the time by name; those
    that no row has are left out.
    """
    values = [row.flat() for row in rows]
    names = sorted({name for row in values for name in row}, key=_column)
    text = io.StringIO()
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    for row in values:
        table.writerow({name: f"{value:.6g}" for name, value in row.items()})
    return text.getvalue()


def read_history(text: str) -> tuple[EpochRow, ...]:
    """The rows of a history's file.

    Raises:
        RecordError: it is no such file; says what is wrong in which line.
    """
    rows: list[EpochRow] = []
    try:
        for line in csv.DictReader(io.StringIO(text), restval=""):
            if None in line:
                raise RecordError("a row of a history has more values than there are columns.")
            rows.append(EpochRow.from_flat({k: float(v) for k, v in line.items() if v}))
    except (ValueError, csv.Error) as error:
        raise RecordError(f"line {len(rows) + 2} of the history: {error}.") from None
    except RecordError as error:
        raise RecordError(f"line {len(rows) + 2} of the history: {error}") from None
    return tuple(rows)


def diagnostics_of(rows: Sequence[EpochRow]) -> Diagnostics:
    """What a record keeps of its history: the best evaluated epoch and the losses of the last one.

    Args:
        rows: of all epochs, in their order; at least one was evaluated. Of equals the first is
            the best.

    Raises:
        RecordError: no epoch was evaluated.
    """
    scored = [(row.top1, row.epoch) for row in rows if row.top1 is not None]
    if not scored:
        raise RecordError("a history without an evaluated epoch has no best one.")
    best_top1, best_epoch = max(scored, key=lambda pair: pair[0])
    last = rows[-1]
    return Diagnostics(
        best_top1=best_top1, best_epoch=best_epoch, train_loss=last.loss, terms=dict(last.terms)
    )


@dataclass(frozen=True)
class HistoryFault:
    """What is wrong with the history beside a record.

    Attributes:
        message: for a person.
        contradicts: whether it is whole and says another last epoch than the record.
    """

    message: str
    contradicts: bool = False


def fault_of(path: Path, record: Record) -> HistoryFault | None:
    """Whether the history beside a record is damaged, or contradicts it.

    A record says which history was written with it; of older ones the last row is compared, and a
    history that ends earlier was cut short. Neither is a fault of the record.

    Args:
        path: of the history; there need not be one.
        record: that it should belong to.
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        return HistoryFault(f"there is no history {path}.") if record.history else None
    except OSError as error:
        return HistoryFault(f"cannot read the history {path}: {error}")
    if record.history not in (None, hashlib.sha256(content).hexdigest()):
        return HistoryFault(
            f"the history {path} is not the one that was written. The record is not damaged."
        )
    try:
        if len(content) > LARGEST_FILE:
            raise RecordError(f"it has more than {LARGEST_FILE:,} bytes")
        head, *rows = content.decode("utf-8").splitlines()
        last = read_history(f"{head}\n{rows[-1]}\n")[0]
    except (RecordError, ValueError, IndexError, csv.Error) as error:
        return HistoryFault(f"the history {path} is damaged: {error}. The record is not.")
    if record.metrics is None or record.cost is None:
        return None
    epochs = record.spec.protocol_values.get("epochs")
    if isinstance(epochs, int) and last.epoch != epochs + record.cost.extra_epochs:
        return HistoryFault(
            f"the history {path} ends with epoch {last.epoch}: it is damaged. The record is not."
        )
    for name in SCORES:
        told, recorded = getattr(last, name), getattr(record.metrics, name)
        if told is not None and told != recorded:
            return HistoryFault(
                f"has {name} {recorded}, and its history {path.name} ends with {told}",
                contradicts=True,
            )
    return None


def _column(name: str) -> tuple[int, str]:
    first = ("epoch", *SCORES)
    return (first.index(name), "") if name in first else (len(first), name)
