"""Python and the packages: there, whole, of versions that fit each other."""

from __future__ import annotations

import importlib
import os
import platform
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import benchmark
from benchmark.doctor.findings import Check, Finding, Level, Surroundings, ok
from benchmark.errors import first_line
from benchmark.folders import PACKAGE
from benchmark.reports.wording.counts import counted

ROOT = PACKAGE.parent  # of a checkout
IMPORTED = (
    "numpy", "torch", "torchvision", "timm", "accelerate", "datasets", "pyarrow", "PIL", "cv2",
    "albumentations", "safetensors", "huggingface_hub",
)  # fmt: skip
NOT_FOR_USERS = {"dev"}  # extras
Requirements = dict[str, list[Requirement]]
"""What is required by the name of the extra; under the empty name what always is."""


def origin(_: Surroundings) -> Iterator[Finding]:
    """Which kdbench this is, and whether it is the one that is installed."""
    kind = "checkout" if _project() else "wheel"
    where = str(ROOT if kind == "checkout" else PACKAGE)
    yield ok(f"kdbench {benchmark.__version__} from a {kind}, Python {platform.python_version()}")
    try:
        installed = metadata.version("kdbench")
    except metadata.PackageNotFoundError:
        yield Finding(
            Level.note,
            "kdbench runs from its folder and is not installed",
            (where,),
            "Nothing, if that is what you want; 'pip install -e .' there gives the command.",
        )
        return
    if installed != benchmark.__version__:
        yield Finding(
            Level.warning,
            f"version {installed} is installed, but {benchmark.__version__} runs",
            (where,),
            "Take the folder out of PYTHONPATH, or install it: 'pip install -e .'.",
        )


def required(_: Surroundings) -> Iterator[Finding]:
    """Whether what kdbench needs is there, in versions that it and the packages themselves take."""
    wanted = _requirements()
    wrong = [fault for one in wanted[""] if (fault := _fault(one))]
    if wrong:
        yield Finding(
            Level.fault,
            f"{counted(len(wrong), 'package')} missing or of a version that kdbench does not take",
            tuple(wrong),
            "Install them: 'make setup' in a checkout, else 'pip install --upgrade kdbench'.",
        )
    unfit = [
        f"{one.name} wants {fault}"
        for one in wanted[""]
        if _version(one.name)
        for inner in _asked_by(one.name)
        if (fault := _fault(inner))
    ]
    if unfit:
        yield Finding(
            Level.warning,
            "packages do not fit each other",
            tuple(unfit),
            "Install those that belong together in one command, torch with torchvision first: "
            "'pip install torch torchvision', then the others.",
        )
    if not wrong and not unfit:
        yield ok(f"{counted(len(wanted['']), 'package')} of versions that fit")


def extras(_: Surroundings) -> Iterator[Finding]:
    """Which optional parts are installed, and whether they fit."""
    wanted = _requirements()
    here = []
    for extra in sorted(set(wanted) - {""} - NOT_FOR_USERS):
        if not any(_version(one.name) for one in wanted[extra]):
            continue
        here.append(extra)
        if wrong := [fault for one in wanted[extra] if (fault := _fault(one))]:
            yield Finding(
                Level.warning,
                f"the extra '{extra}' is not whole",
                tuple(wrong),
                f"Install it: pip install 'kdbench[{extra}]'.",
            )
    if here:
        yield ok(f"with {' and '.join(here)}")


def tested(_: Surroundings) -> Iterator[Finding]:
    """Whether the packages are those that kdbench is tested with."""
    file = ROOT / "constraints.txt"
    if not _project() or not file.is_file():
        return  # a wheel does not bring it
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    pinned = {one.name: one for one in map(Requirement, filter(None, lines))}
    other = [fault for one in pinned.values() if _version(one.name) and (fault := _fault(one))]
    if other:
        yield Finding(
            Level.note,
            f"{counted(len(other), 'package')} of other versions than are tested",
            tuple(other),
            "'pip install -c constraints.txt -e .' installs those; numbers of other versions may "
            "differ in their last digits.",
        )


def twice(_: Surroundings) -> Iterator[Finding]:
    """Whether two packages bring the same module: each overwrites files of the other."""
    owners = metadata.packages_distributions()
    for module in IMPORTED:
        bringing = sorted(set(owners.get(module, ())))
        if len(bringing) > 1:
            yield Finding(
                Level.warning,
                f"{' and '.join(bringing)} both bring the module {module}",
                remedy=f"'pip uninstall {' '.join(bringing)}', then install one of them"
                + (": opencv-python-headless." if module == "cv2" else "."),
            )
    ours = {canonicalize_name(one.name) for one in _requirements()[""]}
    places: dict[str, set[str]] = {}
    for found in metadata.distributions():
        if (package := canonicalize_name(found.metadata["Name"] or "")) in ours:
            places.setdefault(package, set()).add(str(found.locate_file("")))
    for name, folders in places.items():
        if len(folders) > 1:
            yield Finding(
                Level.note,
                f"{name} is installed {len(folders)} times; the first is used",
                tuple(sorted(folders)),
                "Use one environment alone: unset PYTHONPATH, or 'pip uninstall' the other.",
            )


def imports(_: Surroundings) -> Iterator[Finding]:
    """Whether what is installed can be imported."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network
    for module in IMPORTED:
        try:
            found = importlib.import_module(module)
        except Exception as error:  # a library that is broken fails in any way
            yield Finding(
                Level.fault,
                f"'import {module}' fails: {type(error).__name__}: {first_line(error)}",
                remedy="Install it again: 'pip install --force-reinstall' with its name"
                + (", together with torch." if module == "torchvision" else "."),
            )
            continue
        if getattr(found, "__file__", None) is None:
            yield Finding(
                Level.fault,
                f"the module {module} is a folder without code",
                tuple(map(str, getattr(found, "__path__", ()))),
                "Take the folder out of PYTHONPATH, or rename it: it hides the package.",
            )


CHECKS: tuple[Check, ...] = (origin, required, extras, tested, twice, imports)


def _project() -> Path | None:
    """The project's file, if this is a checkout."""
    file = ROOT / "pyproject.toml"
    return file if file.is_file() and (ROOT / "recipes").is_dir() else None


def _requirements() -> Requirements:
    """What kdbench requires: as its project's file says, or an installed wheel."""
    if file := _project():
        project = tomllib.loads(file.read_text("utf-8"))["project"]
        found = {"": project["dependencies"], **project.get("optional-dependencies", {})}
        return {name: [Requirement(text) for text in texts] for name, texts in found.items()}
    every = [Requirement(text) for text in metadata.requires("kdbench") or ()]
    names = metadata.metadata("kdbench").get_all("Provides-Extra") or []
    base = [one for one in every if _applies(one, "")]
    return {
        "": base,
        **{name: [o for o in every if o not in base and _applies(o, name)] for name in names},
    }


def _asked_by(package: str) -> list[Requirement]:
    """What an installed package requires here, without its extras."""
    every = (Requirement(text) for text in metadata.requires(package) or ())
    return [one for one in every if _applies(one, "")]


def _applies(one: Requirement, extra: str) -> bool:
    return one.marker is None or one.marker.evaluate({"extra": extra})


def _fault(one: Requirement) -> str | None:
    """What is wrong with the package that is required; None if nothing is."""
    if not _applies(one, ""):
        return None
    here = _version(one.name)
    if here is None:
        return f"{one.name}{one.specifier}, which is not installed"
    if not one.specifier.contains(here, prereleases=True):
        return f"{one.name}{one.specifier}, and {here} is installed"
    return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
