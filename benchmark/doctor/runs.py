"""The folder of runs: who trains what, and whether checkpoints and weights are whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmark.doctor.findings import Check, Finding, Level, Repair, Surroundings, ok
from benchmark.launch.claims import EXPIRY_S, Holder, abandoned, clear, living
from benchmark.records.schema import Record
from benchmark.records.writing import set_aside
from benchmark.reports.wording.counts import counted
from benchmark.training.keeping.checkpoint_files import FORMAT, KIND
from benchmark.training.keeping.folders import WEIGHTS
from benchmark.training.keeping.heading import Damaged, Heading, Outdated, read_heading
from benchmark.training.keeping.sealed import read_sealed
from benchmark.training.keeping.workspace import KNOWN, unsealed_identity

Strange = Callable[[Path, Heading], str | None]
"""Says why a whole file is not what belongs in its place; None if it is."""


def claims(around: Surroundings) -> Iterator[Finding]:
    """Who trains, and who is said to but is dead."""
    at_work = list(living(around.runs))
    if at_work:
        yield Finding(
            Level.ok,
            f"{counted(len(at_work), 'run')} trained at this moment",
            tuple(
                f"{around.runs / name}: {who.host}, process {who.pid}" for name, who, _ in at_work
            ),
        )
    silent = [entry for entry in at_work if entry[2] > EXPIRY_S]
    if silent:
        yield Finding(
            Level.note,
            f"{counted(len(silent), 'run')} held by processes that have been silent for long",
            tuple(
                f"{around.runs / name}: {who.host}, process {who.pid}, silent for {age:,.0f} s"
                for name, who, age in silent
            ),
            f"Nothing: the next 'kdbench run' takes them over after {EXPIRY_S:.0f} s. If the "
            "process lives, look at its disk.",
        )
    if dead := list(abandoned(around.runs)):
        yield Finding(
            Level.note,
            f"{counted(len(dead), 'claim')} of dead processes of this machine",
            tuple(f"{path}: process {who.pid}, {who.label or 'no name'}" for path, who in dead),
            "'kdbench doctor --fix' removes them, and the next 'kdbench run' takes the runs over.",
            repair=partial(_cleared, dead),
        )


def checkpoints(around: Surroundings) -> Iterator[Finding]:
    """Whether half trained runs can go on."""
    files = sorted(around.runs.glob("*/checkpoint-*.safetensors"))
    yield from _looked_through(files, KIND, "checkpoint", _strange_checkpoint, around)
    if older := sorted(around.runs.glob("*/checkpoint.pt")):
        yield Finding(
            Level.note,
            f"{counted(len(older), 'checkpoint')} of an older version of kdbench",
            tuple(map(str, older)),
            "Delete them: they are not looked into, and their runs start over.",
        )


def weights(around: Surroundings) -> Iterator[Finding]:
    """Whether the weights that students learn from are whole."""
    files = sorted(around.runs.glob("*/weights*.safetensors"))
    old = [path for path in files if _of_folder(path, unsealed_identity(path))]
    sealed = [path for path in files if path not in old]
    yield from _looked_through(sealed, WEIGHTS, "weights file", _strange_weights, around)
    if old:
        yield Finding(
            Level.note,
            f"{counted(len(old), 'file')} of weights of an older version, without a seal",
            tuple(map(str, old)),
            "Nothing: they are used for records of that version. Delete them to train them again.",
        )
    if known := sorted(around.runs.glob("*/before-*.safetensors")):
        yield from _looked_through(known, KNOWN, "file that recipes keep", None, around)


def recorded(around: Surroundings) -> Iterator[Finding]:
    """Whether records and folders of runs speak of the same."""
    by_folder = {r.identity[:16]: r for r in around.held.records}
    busy = {name for name, _, _ in living(around.runs)}
    headings = [
        (path, about)
        for path in sorted(around.runs.glob("*/weights-*.safetensors"))
        if (about := _heading(path, WEIGHTS)) and path.parent.name not in busy
    ]
    other = [
        str(path)
        for path, heading in headings
        if (record := by_folder.get(path.parent.name)) is not None
        and record.weights != heading.about.get("recorded")
    ]
    if other:
        yield Finding(
            Level.note,
            f"{counted(len(other), 'file')} of weights that the records here do not speak of",
            tuple(other),
            "Nothing: they teach nobody here. Delete them, unless another folder of results shares "
            "this one of runs.",
        )
    nobodys = [str(path) for path, _ in headings if path.parent.name not in by_folder]
    if nobodys and by_folder and not around.held.problems:  # whose may be the runs' records
        yield Finding(
            Level.note,
            f"{counted(len(nobodys), 'file')} of weights of runs without a record here",
            tuple(nobodys),
            "Nothing, if another folder of results shares this one of runs; else delete them.",
        )
    yield from _finished(around.runs, by_folder, busy)


def size(around: Surroundings) -> Iterator[Finding]:
    """How much lies there."""
    folders = [path for path in around.runs.glob("*/") if path.is_dir()]
    whole = sum(file.lstat().st_size for folder in folders for file in folder.rglob("*"))
    yield ok(f"{counted(len(folders), 'folder')} of runs, {whole / 1e6:,.0f} MB")


CHECKS: tuple[Check, ...] = (size, claims, checkpoints, weights, recorded)


def _looked_through(
    files: Sequence[Path], kind: str, name: str, strange: Strange | None, around: Surroundings
) -> Iterator[Finding]:
    """Look at sealed files: at all of them, or only at what they say of themselves.

    Args:
        files: to look at.
        kind: of the sealed files.
        name: of one, for a person.
        strange: see ``Strange``.
        around: says how closely, and hears of the progress.
    """
    if not files:
        return
    look = partial(_look, kind, strange, quick=around.quick)
    start, total = time.monotonic(), sum(map(_size, files))
    faults: dict[type[Exception], dict[Path, str]] = {Damaged: {}, Outdated: {}, OSError: {}}
    with around.listener.progress(f"checking {name}s, bytes", total) as told:
        for path in files:
            size = _size(path)
            try:
                look(path)
            except FileNotFoundError:
                continue  # whoever trains has taken it away
            except (Damaged, OSError) as error:
                kind_of = next(
                    one for one in (Outdated, Damaged, OSError) if isinstance(error, one)
                )
                faults[kind_of][path] = str(error)
            told(size)
    how = "by heading" if around.quick else f"in {time.monotonic() - start:.1f} s"
    yield ok(f"{counted(len(files), name)} looked at {how}, {total / 1e6:,.1f} MB")
    yield from _unusable(faults, name, partial(_moved, list(faults[Damaged]), look))


def _unusable(
    faults: Mapping[type[Exception], Mapping[Path, str]], name: str, repair: Repair
) -> Iterator[Finding]:
    """What cannot be used, by the kind of the fault."""
    told = {
        kind: tuple(f"{path}: {why}" for path, why in found.items())
        for kind, found in faults.items()
    }
    if told[Damaged]:
        yield Finding(
            Level.fault,
            f"{counted(len(told[Damaged]), name)} damaged, and never used",
            told[Damaged],
            "'kdbench doctor --fix' moves what is damaged aside; 'kdbench run' goes on from the "
            "checkpoint before, or trains again what others build on. If it happens again, look "
            "at the disk.",
            repair=repair,
        )
    if told[OSError]:
        yield Finding(
            Level.fault,
            f"{counted(len(told[OSError]), name)} that cannot be read",
            told[OSError],
            "Look at their permissions, and at the disk.",
        )
    if told[Outdated]:
        yield Finding(
            Level.note,
            f"{counted(len(told[Outdated]), name)} of another version, and not used",
            told[Outdated],
            "Nothing: what they are of is trained again. Delete them to free the space.",
        )


def _look(kind: str, strange: Strange | None, path: Path, *, quick: bool) -> None:
    """Raises: OSError, Damaged, Outdated."""
    heading = read_heading(path, kind) if quick else read_sealed(path, kind)[0]
    if strange is not None and (why := strange(path, heading)):
        raise Damaged(why)


def _finished(runs: Path, by_folder: dict[str, Record], busy: set[str]) -> Iterator[Finding]:
    left = [
        path
        for path in sorted(runs.glob("*/checkpoint-*.safetensors"))
        if (record := by_folder.get(path.parent.name)) is not None
        and record.status == "ok"
        and path.parent.name not in busy
    ]
    if left:
        yield Finding(
            Level.note,
            f"{counted(len(left), 'checkpoint')} of finished runs, "
            f"{sum(map(_size, left)) / 1e6:,.0f} MB",
            tuple(map(str, left)),
            "Delete them, unless you are training these runs again, or another folder of results "
            "shares this one of runs.",
        )


def _strange_checkpoint(path: Path, heading: Heading) -> str | None:
    if heading.about.get("format") != FORMAT:
        raise Outdated(f"it has the form {heading.about.get('format')} of another version")
    identity, stand = heading.about.get("identity"), heading.about.get("stand")
    words = path.stem.split("-")[1:]
    if not _of_folder(path, identity) or stand != [int(word) for word in words if word.isdigit()]:
        return "it is another run's, or of another place in the training"
    return None


def _strange_weights(path: Path, heading: Heading) -> str | None:
    if not _of_folder(path, heading.about.get("identity")):
        return "they are another run's"
    of = heading.about.get("recorded")
    if path.stem != ("weights" if of is None else f"weights-{str(of)[:16]}"):
        return "they are not those that their name says"
    return None


def _of_folder(path: Path, identity: object) -> bool:
    """Whether a file says that it is of the run in whose folder it lies."""
    return isinstance(identity, str) and identity[:16] == path.parent.name


def _heading(path: Path, kind: str) -> Heading | None:
    try:
        return read_heading(path, kind)
    except (OSError, Damaged):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _cleared(dead: Iterable[tuple[Path, Holder]]) -> Iterator[str]:
    for path, holder in dead:
        if clear(path, holder):
            yield f"removed {path}"


def _moved(damaged: Iterable[Path], look: Callable[[Path], None]) -> Iterator[str]:
    for path in damaged:
        try:
            look(path)  # whoever trains may have put a whole one in its place
        except Damaged:
            yield f"moved {path} to {set_aside(path).name}"
        except FileNotFoundError:
            continue
