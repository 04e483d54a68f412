"""What a person is told last: where everything is, and what can be done with it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """Where a call wrote to, as the command line named it.

    Attributes:
        results: folder of the records.
        runs: folder of weights and checkpoints.
        paths: folders with further recipes and cards.
    """

    results: Path
    runs: Path
    paths: Sequence[Path] = ()

    def options(self, *names: str) -> str:
        """Those options that are not what they would be anyway, to be written behind a command."""
        words: list[str] = []
        if "results" in names and self.results != Path("results"):
            words += ["--results", str(self.results)]
        if "runs" in names and self.runs != Path("runs"):
            words += ["--runs", str(self.runs)]
        for path in self.paths:
            words += ["--path", str(path)]
        return "".join(f" {shlex.quote(word)}" for word in words)


def afterwards(folders: Folders, example: tuple[str, bool] | None) -> list[str]:
    """Lines for a person.

    Args:
        folders: of the call.
        example: a run that has a record, as ``kdbench show`` takes it, and whether it is a cell
            with a result; None if nothing is recorded.
    """
    if example is None:
        return []
    cell, has_result = example
    own = f"{shlex.quote(cell)}{folders.options('results', 'runs')}"
    page = "leaderboard.md"
    command = f"kdbench leaderboard{folders.options('results')}"
    if folders.results != Path("results"):  # that of the usual results is not theirs to replace
        page = str(folders.results / page)
        command += f" --output {shlex.quote(page)}"
    next_ones = [
        (f"kdbench show {own}", "one record"),
        (command, f"all records on a page, {page}"),
    ]
    if has_result:
        # The form that holds any network.
        command = f"kdbench export {own} --to student --format torch-export"
        next_ones.append((command, "the student as a program that needs no kdbench"))
    return [
        f"The records are in {folders.results}, weights and checkpoints in {folders.runs}. Next:",
        *(f"  {command}\n      {what}" for command, what in next_ones),
    ]
