"""Which records may stand in one mean."""

from __future__ import annotations

from pathlib import Path

from benchmark.catalogues.today import sources
from benchmark.recipe.source import Source
from benchmark.records.attestations import Attestation, Attested, Compared
from benchmark.records.schema import Record
from benchmark.records.sources import SourceGroup, Sources, Standing
from tests.records.made_records import ENVIRONMENT, record

OLD, MIDDLE, NEW, TEXT, OTHER = ("1" * 64, "2" * 64, "tree1:" + "3" * 64, "4" * 64, "5" * 64)
TODAY = {"kd": Source(meaning=NEW, text=TEXT)}


def attestation(old: str, new: str) -> Attestation:
    return Attestation(
        recipe="kd",
        recipe_version=1,
        old=old,
        new=new,
        by="record",
        cell="cifar100/resnet8/kd/seed0",
        identity="a" * 64,
        protocol="paper",
        agreement="within a tolerance",
        metrics={"top1": Compared(recorded=50.0, again=50.5, tolerance=1.0)},
        environment=ENVIRONMENT,
        finished="2026-01-01T00:00:00Z",
    )


def made(source: str, recipe: str = "kd", seed: int = 0) -> Record:
    return record(50.0, recipe=recipe, seed=seed).model_copy(update={"recipe_source": source})


def test_todays_source_is_known_by_both_digests() -> None:
    known = Sources(TODAY)
    assert known.group(made(NEW)) == known.group(made(TEXT)) == SourceGroup(Standing.today)


def test_records_of_another_source_are_a_group_of_their_own() -> None:
    known = Sources(TODAY)
    groups = {source: known.group(made(source)) for source in (OLD, OTHER)}
    assert {group.standing for group in groups.values()} == {Standing.changed}
    assert len({group.key for group in groups.values()} | {""}) == 3


def test_what_is_attested_is_one_group_with_todays() -> None:
    first, second = attestation(OLD, MIDDLE), attestation(MIDDLE, NEW)
    known = Sources(TODAY, Attested((first, second)))
    group = known.group(made(OLD))
    assert (group.standing, group.key, group.by) == (Standing.attested, "", (first, second))
    assert known.group(made(OTHER)).standing is Standing.changed


def test_sources_that_agree_with_each_other_alone_are_one_group() -> None:
    known = Sources(TODAY, Attested((attestation(OLD, MIDDLE),)))
    one, other = known.group(made(OLD)), known.group(made(MIDDLE))
    assert one == other
    assert one.standing is Standing.changed


def test_of_a_recipe_that_is_not_here_nothing_is_said_but_which_belong_together() -> None:
    known = Sources({}, Attested((attestation(OLD, MIDDLE),)))
    assert known.group(made(OLD)).standing is Standing.unknown
    assert known.group(made(OLD)) == known.group(made(MIDDLE)) != known.group(made(OTHER))


def test_the_catalogue_knows_todays_sources(tmp_path: Path) -> None:
    known = sources([], tmp_path, Attested())
    assert known.today["kd"].meaning.startswith("tree1:")
    kd = made(known.today["kd"].text)
    assert known.group(kd).standing is Standing.today
