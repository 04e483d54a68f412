"""Whether a record still holds: evaluated again, trained again, and attested."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from accelerate import Accelerator

from benchmark.errors import RecordError
from benchmark.events import Listener
from benchmark.folders import builtin_folder
from benchmark.layouts.catalogue import known_cards
from benchmark.matrix.states import State
from benchmark.records.comparing import compared, evaluated
from benchmark.records.schema import Record
from benchmark.work.place import Place
from benchmark.work.verify import Verifier
from tests.records.made_records import record as made_record
from tests.support.sessions import Execute, Make, Session

MINE = """
import torch.nn.functional as F
from benchmark import Recipe, register

@register("mine", family="logits", paper="none")
class Mine(Recipe):
    def forward(self, batch, student, teacher):
        ce = F.cross_entropy(student.logits, batch.labels)
        return {"ce": ce, "mse": 0.1 * F.mse_loss(student.logits, teacher.logits)}
"""
RENAMED = MINE.replace("ce = F", "term = F").replace('"ce": ce', '"ce": term')
EDITED = MINE.replace("0.1 *", "0.4 *")

Verify = Callable[[], Verifier]


def recipes_folder() -> Path:
    return builtin_folder("recipes")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.fixture
def write(own: Path) -> Callable[[str], None]:
    def write(text: str) -> None:
        (own / "mine.py").write_text(text)
        sys.modules.pop("benchmark_recipes.mine", None)

    return write


@pytest.fixture
def trained(
    session: Make, execute: Execute, own: Path, write: Callable[[str], None]
) -> Callable[..., Session]:
    def trained(recipe: str = "mine") -> Session:
        write(MINE)
        made = session(recipe, paths=(own,))
        execute(made)
        return made

    return trained


@pytest.fixture
def verifier(
    accelerator: Accelerator, card_folder: Path, cache_dir: Path, own: Path
) -> Callable[[Session], Verifier]:
    def make(made: Session) -> Verifier:
        paths = (card_folder, own)
        return Verifier(
            store=made.store,
            place=Place(accelerator, made.workspace, None, cache_dir),
            cards=known_cards(paths),
            teachers={},
            paths=paths,
            listener=Listener(),
        )

    return make


def record_of(made: Session) -> Record:
    found = made.store.find(made.cells[0].run.spec)
    assert found is not None
    return found


def test_weights_that_are_kept_give_the_record_again(
    trained: Callable[..., Session], verifier: Callable[[Session], Verifier]
) -> None:
    made = trained()
    verdict = verifier(made).evaluate(record_of(made))
    assert verdict.comparison.agreement == "bit for bit"
    assert set(verdict.comparison.metrics) == {
        "top1", "top5", "mean_per_class", "nll", "ece", "agreement"
    }  # fmt: skip
    assert verdict.is_of_today
    assert verdict.attestation is None


def test_other_weights_than_the_records_are_noticed(
    trained: Callable[..., Session], verifier: Callable[[Session], Verifier]
) -> None:
    made = trained("vanilla")
    record, run = record_of(made), made.cells[0].run
    metrics = record.metrics
    assert metrics is not None
    other = record.model_copy(
        update={"metrics": metrics.model_copy(update={"nll": metrics.nll + 0.1})}
    )
    verdict = verifier(made).evaluate(other)
    assert not verdict.holds
    assert [name for name, one in verdict.comparison.metrics.items() if not one.agrees] == ["nll"]
    for file in made.workspace.folder(run.identity).glob("weights*"):
        file.unlink()
    with pytest.raises(RecordError, match="--train"):
        verifier(made).evaluate(record)


@pytest.mark.parametrize("with_weights", [True, False])
def test_a_run_that_is_trained_again_gives_the_record_again(
    trained: Callable[..., Session],
    verifier: Callable[[Session], Verifier],
    with_weights: bool,
    tmp_path: Path,
) -> None:
    made = trained()
    if not with_weights:
        (tmp_path / "runs").rename(tmp_path / "gone")
    before = sorted(made.store.root.rglob("*"))
    verdict = verifier(made).train(record_of(made))
    assert verdict.comparison.agreement == "bit for bit"
    assert verdict.attestation is None, "its source is that of today"
    assert sorted(made.store.root.rglob("*")) == before


def test_a_change_that_leaves_the_results_is_attested(
    trained: Callable[..., Session],
    verifier: Callable[[Session], Verifier],
    write: Callable[[str], None],
    session: Make,
    own: Path,
) -> None:
    record = record_of(trained())
    write(RENAMED)
    made = session("mine", paths=(own,))
    identity = made.cells[0].run.identity
    assert made.known()[identity].state is State.changed
    verdict = verifier(made).train(record)
    assert verdict.holds
    assert verdict.attestation is not None
    assert verdict.attestation.is_relative_to(made.store.root / "attested" / "mine")
    assert made.known()[identity].state is State.done
    assert "agrees bit for bit" in made.known()[identity].reason
    contents = made.store.all()
    assert contents.problems == contents.beside == ()
    [attestation] = contents.attested.attestations
    assert (attestation.old, attestation.new) == (record.recipe_source, made.cells[0].run.source)


def test_a_change_that_gives_other_results_is_not(
    trained: Callable[..., Session],
    verifier: Callable[[Session], Verifier],
    write: Callable[[str], None],
    session: Make,
    own: Path,
) -> None:
    record = record_of(trained())
    write(EDITED)
    made = session("mine", paths=(own,))
    verdict = verifier(made).train(record)
    assert not verdict.holds
    assert not verdict.comparison.metrics["train_loss"].agrees
    assert verdict.attestation is None
    assert not (made.store.root / "attested").exists()


def test_a_run_that_fails_when_it_is_trained_again_does_not_hold(
    trained: Callable[..., Session],
    verifier: Callable[[Session], Verifier],
    write: Callable[[str], None],
    session: Make,
    own: Path,
) -> None:
    record = record_of(trained())
    write(MINE.replace("        ce = F", "        raise ArithmeticError('no')\n        ce = F"))
    verdict = verifier(session("mine", paths=(own,))).train(record)
    assert not verdict.holds
    assert "failed: no" in verdict.comparison.basis


@pytest.mark.parametrize(("text", "holds"), [(RENAMED, True), (EDITED, False)])
def test_two_sources_are_compared_by_one_engine(
    trained: Callable[..., Session],
    verifier: Callable[[Session], Verifier],
    write: Callable[[str], None],
    session: Make,
    own: Path,
    tmp_path: Path,
    text: str,
    holds: bool,
) -> None:
    """The record may be of another engine, whose numbers nobody gets any more."""
    record = record_of(trained())
    shutil.copytree(recipes_folder(), tmp_path / "then", ignore=shutil.ignore_patterns("__*"))
    shutil.copy(own / "mine.py", tmp_path / "then")
    write(text)
    made = session("mine", paths=(own,))
    verdict = verifier(made).against(record, tmp_path / "then", epochs=1)
    assert verdict.holds is holds
    assert verdict.protocol == "quick[epochs=1]"
    state = made.known()[made.cells[0].run.identity]
    assert state.state is (State.done if holds else State.changed)
    if holds:
        [attestation] = made.store.all().attested.attestations
        assert (attestation.by, attestation.protocol) == ("engine", "quick[epochs=1]")
        assert "both trained by one engine under quick[epochs=1]" in state.reason
    write(EDITED.replace("0.4", "0.5"))
    (tmp_path / "then" / "mine.py").write_text(EDITED.replace("0.4", "0.7"))
    with pytest.raises(RecordError, match="no record came from the source"):
        verifier(made).against(record, tmp_path / "then", epochs=1)


def test_what_cannot_be_verified_says_why(
    trained: Callable[..., Session], verifier: Callable[[Session], Verifier]
) -> None:
    made = trained("vanilla")
    record = record_of(made)
    failed = made_record(None).model_copy(update={"spec": record.spec})
    with pytest.raises(RecordError, match="no result to verify"):
        verifier(made).evaluate(failed)
    stale = record.spec.model_copy(update={"data_revision": "older"})
    with pytest.raises(RecordError, match="which is stale: it is of another data revision"):
        verifier(made).train(record.model_copy(update={"spec": stale, "identity": "0" * 64}))


# What agrees


def values(top1: float, nll: float = 1.0) -> dict[str, float]:
    return {"top1": top1, "nll": nll, "ece": 3.0}


def test_on_the_same_engine_every_digit_must_be_equal() -> None:
    assert compared(values(50), values(50), same_engine=True).agreement == "bit for bit"
    assert compared(values(50), values(50.0001), same_engine=True).agreement is None


def test_on_another_engine_the_spread_of_the_seeds_is_allowed() -> None:
    seeds = [made_record(top1, seed=seed) for seed, top1 in enumerate((49.0, 50.0, 51.0))]
    near = compared(values(50), values(51.9), same_engine=False, seeds=seeds)
    assert near.agreement == "within the spread of the seeds"
    assert near.metrics["top1"].tolerance == 2.0
    assert compared(values(50), values(52.1), same_engine=False, seeds=seeds).agreement is None


def test_with_one_seed_a_tolerance_is_stated() -> None:
    seeds = [made_record(50.0)]
    near = compared(values(50), values(51.5, nll=1.2), same_engine=False, seeds=seeds)
    assert near.agreement == "within a tolerance"
    assert "2 points" in near.basis
    assert compared(values(50), values(52.5), same_engine=False, seeds=seeds).agreement is None


def test_of_weights_a_prediction_in_a_thousand_may_turn() -> None:
    assert evaluated(values(50), values(50), 10_000).agreement == "bit for bit"
    assert evaluated(values(50), values(50.1), 10_000).agreement == "within a tolerance"
    assert evaluated(values(50), values(50.2), 10_000).agreement is None
    assert evaluated(values(50), values(50, nll=1.1), 10_000).agreement is None
