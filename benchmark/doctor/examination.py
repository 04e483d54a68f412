"""The whole look: every check of every part, none of which can stop another."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace

from benchmark.doctor.findings import Check, Finding, Level, Surroundings
from benchmark.errors import BenchmarkError, first_line

PARTS = ("installation", "device", "folders", "recipes", "hub", "kept", "records", "runs")
"""Modules beside this one, in the order in which they are looked at. Each lists its ``CHECKS``.

They are imported when their turn comes: what makes an import fail, a broken torch, is what a doctor
is asked about.
"""


def examine(around: Surroundings, parts: Iterable[str] = PARTS) -> list[Finding]:
    """All that is found, in the order of the parts; what two checks found alike stands once.

    Args:
        around: where is looked, and how closely.
        parts: that are looked at.
    """
    found = [finding for part in parts for finding in _part(part, around)]
    told: set[tuple[Level, str, tuple[str, ...]]] = set()
    kept = []
    for finding in found:
        key = (finding.level, finding.what, finding.where)
        if finding.level is Level.ok or key not in told:
            told.add(key)
            kept.append(finding)
    return kept


def mend(findings: Iterable[Finding]) -> list[Finding]:
    """Do the repairs that there are; returns what was found, with what was done about it."""
    left: list[Finding] = []
    for finding in findings:
        if finding.repair is None:
            left.append(finding)
            continue
        done: list[str] = []
        try:
            done += finding.repair()
        except OSError as error:
            if done:
                left.append(replace(finding, level=Level.note, done=tuple(done), repair=None))
            left.append(
                Finding(
                    Level.fault,
                    f"could not be mended: {finding.what}",
                    (str(error),),
                    "Look at the permissions of the folder, and repeat.",
                    part=finding.part,
                )
            )
        else:
            said = tuple(done) or ("it was gone already",)
            left.append(replace(finding, done=said, repair=None))
    return left


def _part(name: str, around: Surroundings) -> list[Finding]:
    try:
        checks: tuple[Check, ...] = importlib.import_module(f"{__package__}.{name}").CHECKS
    except Exception as error:  # a package that is broken fails in any way
        what = f"cannot be looked at: {type(error).__name__}: {first_line(error)}"
        remedy = "Mend what is found of the installation first."
        return [Finding(Level.fault, what, remedy=remedy, part=name)]
    return [replace(f, part=name) for check in checks for f in _checked(check, around)]


def _checked(check: Check, around: Surroundings) -> Iterator[Finding]:
    """What a check finds; that it fails is a finding too."""
    try:
        yield from check(around)
    except BenchmarkError as error:
        what, _, remedy = str(error).partition("\n")
        yield Finding(Level.fault, what.rstrip("."), remedy=remedy.replace("\n", " "))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        yield Finding(
            Level.fault,
            f"the check '{check.__name__}' failed: {type(error).__name__}: {first_line(error)}",
            (f"{last.filename}, line {last.lineno}",),
            "Mend what this says, or report it with the output of 'kdbench doctor --json'.",
        )
