"""Whatever is written on a command line is accepted or refused with a message of ours.

The long form: ``KDBENCH_TORTURE_EXAMPLES=10000 pytest tests/matrix/test_fuzzed_requests.py``.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmark.errors import BenchmarkError, UsageError
from benchmark.matrix.plan import MOST_CELLS, cells_of, make_plan
from benchmark.matrix.request import Request, choice_of, parse_seeds
from benchmark.recipe.discovery import load_recipes
from benchmark.records.store import Store
from benchmark.training.keeping.workspace import Workspace
from benchmark.work.fitting import Fitting
from tests.support.fuzzing import examples
from tests.support.sessions import Make

EXAMPLES = examples(100)
# Each needs recipes and cards, which are made once for all examples.
SLOWLY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NUMBERS = ["0", "1", "-1", "0.5", "1e999", "-1e-999", "nan", "inf", "1" * 400, "9" * 5000,
           "0x10", "1_000", "١", "none", "true", "2147483648", "1e308"]  # fmt: skip
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["\0", "a\0b", "\ud800", "\x1b[31m", "[" * 3000, "]" * 50, "é" * 300, "../..", "/", "~", "*",
     "a\nb"]
)  # fmt: skip
VALUES = st.sampled_from(NUMBERS) | TEXTS
RECIPES = st.sampled_from(["kd", "vanilla", "crd", "sh-kd", "*", "nothing"])
SETTINGS = st.sampled_from(["temperature", "kd_weight", "ce_weight", "independent", "stage", "x"])
FIELDS = st.sampled_from(
    ["epochs", "batch_size", "lr", "milestones", "warmup_epochs", "image_size", "betas", "mixup",
     "augmentation", "optimiser", "schedule", "validation", "average", "weight_decay", "name"]
)  # fmt: skip
Texts = st.SearchStrategy[str]
PAIR = "resnet14:resnet8"
PAIRS = st.sampled_from([PAIR, "resnet8:resnet8", "a:b", "::", ""]) | TEXTS


def bracketed(
    names: st.SearchStrategy[str], keys: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    inside = st.lists(st.tuples(keys, VALUES).map("=".join), max_size=3).map(",".join)
    return st.tuples(names | TEXTS, inside).map(lambda parts: f"{parts[0]}[{parts[1]}]") | TEXTS


def plan_of(card_folder: Path, folder: Path, **words: object) -> int:
    """The number of runs in the plan of a request."""
    values = {"datasets": ("tiny",), "recipes": ("kd",), "seeds": "1", "paths": (card_folder,)}
    choice = choice_of(Request(**(values | words)))  # type: ignore[arg-type]
    cells, _ = cells_of(choice, load_recipes(), Fitting().refusal)
    return len(make_plan(cells, Store(folder / "results"), Workspace(folder / "runs")).runs)


@SLOWLY
@given(
    recipe=bracketed(RECIPES, SETTINGS),
    protocol=st.none() | bracketed(st.just("quick"), FIELDS),
    pair=PAIRS,
    seeds=st.sampled_from(["1", "3,", *NUMBERS]) | TEXTS,
)
@example(recipe=f"kd[temperature={'1' * 400}]", protocol=None, pair=PAIR, seeds="1")
@example(recipe="kd", protocol=f"quick[epochs={'1' * 400}]", pair=PAIR, seeds="1")
@example(recipe="kd", protocol="quick[lr=1e308]", pair=PAIR, seeds="999999,")
@example(recipe="kd", protocol="quick[image_size=100000000]", pair=PAIR, seeds="1")
def test_words_are_accepted_or_refused(
    card_folder: Path, tmp_path: Path, recipe: str, protocol: str | None, pair: str, seeds: str
) -> None:
    words = {"recipes": (recipe,), "protocol": protocol, "pairs": (pair,), "seeds": seeds}
    with contextlib.suppress(BenchmarkError):
        assert plan_of(card_folder, tmp_path, **words) > 0


@settings(max_examples=EXAMPLES)
@given(st.text() | st.from_regex(r"[0-9,-]{1,30}", fullmatch=True))
def test_seeds_are_few_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert 1 <= len(parse_seeds(text)) <= 1000


@pytest.mark.parametrize("text", ["2147483648", "10000000", "1001", "9" * 5000, "1" * 19 + ","])
def test_too_many_seeds_are_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


def test_too_many_cells_are_refused_before_they_are_planned(session: Make) -> None:
    with pytest.raises(UsageError, match=rf"At most {MOST_CELLS:,} are planned at once"):
        session("*", seeds="1000")


@pytest.mark.parametrize(
    "words",
    [
        {"paths": (Path("1" * 400),)},
        {"paths": (Path("a\0b"),)},
        {"teachers": ("1" * 400,)},
        {"teachers": ("resnet14=" + "x" * 5000,)},
        {"datasets": ("a\x1b[31m",)},
        {"recipes": ("kd[" + "[" * 10_000,)},
        {"protocol": "quick\ud800"},
        {"suite": "q" * 3000},
    ],
)
def test_words_that_cannot_be_looked_for_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        Request(**words)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 1000
