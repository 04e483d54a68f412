"""Which runs cells need, what they share, and what is refused before anything trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.errors import IncompatiblePair, NetworkError, UnknownName, UsageError
from benchmark.launch.session import Session
from benchmark.matrix.request import Request, choice_of, parse_seeds
from benchmark.matrix.run import ImportedRun, Run
from benchmark.networks.creation import create_network
from benchmark.records.schema import DRAW
from benchmark.work.fitting import lead
from tests.support.sessions import FIVE

Make = Callable[..., Session]


def labels(session: Session) -> list[list[list[str]]]:
    plan = session.plan()
    return [
        [[r.label for r in group] for group in level]
        for level in plan.levels(session.workspace, lead)
    ]


def test_cells_share_the_runs_that_they_build_on(session: Make) -> None:
    plan = session(*FIVE).plan()
    assert len(plan.cells) == 5
    assert [run.label for run in plan.runs] == [
        "resnet8 vanilla",
        "resnet14 vanilla",
        "resnet14→resnet8 kd",
        "resnet14→resnet8 crd",
        "resnet14→resnet8 th-kd",
        "resnet14 sh-teacher",
        "resnet14→resnet8 sh-kd",
    ]


def test_groups_follow_the_roles(session: Make) -> None:
    first, second, third = labels(session(*FIVE))
    assert first == [["resnet8 vanilla", "resnet14 vanilla"]]
    assert second == [
        [
            "resnet14 sh-teacher",
            "resnet14→resnet8 kd",
            "resnet14→resnet8 crd",
            "resnet14→resnet8 th-kd",
        ]
    ]
    assert third == [["resnet14→resnet8 sh-kd"]]


def test_an_independent_donor_has_a_seed_of_its_own(session: Make) -> None:
    """The student and the teacher keep the cell's seed; the classifier's donor is another draw."""
    plan = session("vanilla", "sh-kd", "sh-kd[independent=true]", seeds="2,").plan()
    same, other = (cell.run for cell in plan.cells[1:])
    alone = plan.cells[0].run
    donor = other.roles["teacher"].roles["head"]
    assert same.roles["teacher"].roles["head"].identity == alone.identity
    assert donor.spec.seed == 2 + DRAW
    assert donor.identity != alone.identity
    assert (other.seed, other.roles["teacher"].spec.seed) == (2, 2)
    assert other.identity != same.identity
    assert "independent" not in same.spec.settings
    store = session("kd").store
    assert len({store.path_of(run.spec) for run in plan.runs}) == len(plan.runs)


def test_imported_weights_stand_for_no_independent_draw(session: Make, tmp_path: Path) -> None:
    """They are the teacher trained alone; a draw of that network is another training."""
    (tmp_path / "twice.py").write_text(
        "from benchmark import Recipe, Role, register\n"
        "@register('twice', family='logits')\n"
        "class Twice(Recipe):\n"
        "    def roles(self, pair):\n"
        "        return {'teacher': Role(pair.teacher), 'other': Role(pair.teacher, draw=1)}\n"
        "    def forward(self, batch, student, teacher):\n"
        "        return {'logits': student.logits.square().mean()}\n"
    )
    weights = tmp_path / "weights.pt"
    classes = session("kd").cells[0].card.classes
    torch.save(create_network("resnet14", classes=classes).state_dict(), weights)
    roles = (
        session("twice", paths=(tmp_path,), teachers=(f"resnet14={weights}",)).cells[0].run.roles
    )
    brought = roles["teacher"]
    assert isinstance(brought, ImportedRun)
    assert brought.weights == weights
    assert isinstance(roles["other"], Run)
    assert roles["other"].seed == DRAW


def test_a_group_has_one_teacher_and_one_seed(session: Make) -> None:
    wide = session("kd", pairs=("resnet14:resnet8", "resnet20:resnet8"), seeds="2")
    levels = labels(wide)
    assert sorted(len(group) for group in levels[1]) == [1, 1, 1, 1]


def test_equally_long_first_stages_train_side_by_side(session: Make) -> None:
    _, second = labels(session("kd", "ab", "ft", "fsp[first_stage=0.9]"))
    assert sorted(second) == [
        ["resnet14→resnet8 ab", "resnet14→resnet8 ft"],
        ["resnet14→resnet8 fsp[first_stage=0.9]"],
        ["resnet14→resnet8 kd"],
    ]


def test_a_star_is_every_method_that_trains_a_student(session: Make) -> None:
    everything = session("*", "kd[temperature=2]")
    names = [cell.run.recipe_label for cell in everything.cells]
    assert len(names) == len(set(names))
    known = {info.name for info in everything.recipes.values()}
    assert set(names) == known - {"sh-teacher"} | {"kd[temperature=2]"}
    assert everything.refusals == []


def test_what_builds_on_its_own_network_is_one_run_for_all_pairs(session: Make) -> None:
    two = session("self-kd", "kd", pairs=("resnet14:resnet8", "resnet8:resnet8"))
    own = [cell.run for cell in two.cells if cell.run.recipe.name == "self-kd"]
    assert len({run.identity for run in own}) == 1
    assert [run.spec.pair for run in own] == [None, None]
    pairs = [cell.run.spec.pair for cell in two.cells if cell.run.recipe.name == "kd"]
    assert pairs == ["resnet14:resnet8", "resnet8:resnet8"]
    [sh] = session("sh-kd").cells
    assert [run.spec.pair for run in sh.run.family()] == [
        None,
        "resnet14:resnet8",
        "resnet14:resnet8",
    ]


def test_a_protocol_may_have_its_own_pairs_and_image_size(
    session: Make, card_folder: Path, tmp_path: Path
) -> None:
    card = (card_folder / "datasets" / "tiny.toml").read_text().replace('"tiny"', '"own"')
    more = 'image_size = 48\npairs = ["resnet20:resnet8", "resnet32:resnet8"]\n'
    (tmp_path / "own.toml").write_text(f"{card}{more}")
    words: dict[str, object] = {"datasets": ("own",), "recipes": ("kd",), "seeds": "1"}

    def pairs(**others: object) -> list[str]:
        request = Request(paths=(tmp_path,), **(words | others))  # type: ignore[arg-type]
        cells = Session(request, runs=tmp_path, results=tmp_path, retry=False).cells
        assert {cell.card.image_size for cell in cells} == {32}
        assert {cell.run.pictures.size for cell in cells} == {48 if others else 32}
        return [str(cell.pair) for cell in cells]

    assert pairs() == ["resnet14:resnet8"]
    assert pairs(protocol="longer") == ["resnet20:resnet8", "resnet32:resnet8"]
    assert pairs(protocol="longer", pairs=("resnet8:resnet8",)) == ["resnet8:resnet8"]


ASSISTED = """
from benchmark import Role, register
from .kd import KD

@register("assisted", family="logits", paper="none")
class Assisted(KD):
    def roles(self, pair):
        depth = int(pair.teacher.removeprefix("resnet"))
        return {"teacher": Role(f"resnet{depth - 6}")}
"""


def test_a_teacher_found_by_the_name_of_the_pairs_is_of_that_pair(
    session: Make, tmp_path: Path
) -> None:
    (tmp_path / "assisted.py").write_text(ASSISTED)
    pairs = ("resnet20:resnet8", "resnet14:resnet8")
    cells = session("assisted", paths=(tmp_path,), pairs=pairs).cells
    assert [cell.run.spec.pair for cell in cells] == list(pairs)
    assert [cell.run.roles["teacher"].network for cell in cells] == ["resnet14", "resnet8"]


def identity(session: Session) -> str:
    return session.cells[-1].run.identity


def test_everything_that_changes_the_result_is_in_the_identity(session: Make) -> None:
    same = [identity(session("kd")), identity(session("kd[temperature=4]"))]
    assert len(set(same)) == 1
    different = [
        identity(session("kd")),
        identity(session("crd")),
        identity(session("kd[temperature=2]")),
        identity(session("kd", pairs=("resnet20:resnet8",))),
        identity(session("kd", pairs=("resnet14:resnet14",))),
        identity(session("kd", seeds="1,")),
        identity(session("kd", protocol="longer")),
        identity(session("kd", protocol="quick[epochs=3]")),
    ]
    assert len(set(different)) == len(different)


LATER = """
from typing import Annotated
import torch.nn.functional as F
from benchmark import Later, Recipe, register

@register("grown", family="logits", paper="none")
class Grown(Recipe):
    weight: float = 1.0
{setting}
    def forward(self, batch, student, teacher):
        return {{"ce": self.weight * F.cross_entropy(student.logits, batch.labels)}}
"""


def test_a_setting_of_a_later_date_leaves_older_identities(session: Make, tmp_path: Path) -> None:
    found = {}
    for name, setting in {
        "before": "",
        "marked": "    new: Annotated[bool, Later] = False",
        "unmarked": "    new: bool = False",
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "grown.py").write_text(LATER.format(setting=setting))
        found[name] = identity(session("grown", paths=(folder,)))
        if name == "marked":
            used = session("grown[new=true]", paths=(folder,))
            assert used.cells[0].run.spec.settings == {"weight": 1.0, "new": True}
            found["used"] = identity(used)
    assert found["marked"] == found["before"]
    assert len({found["before"], found["unmarked"], found["used"]}) == 3


def test_records_of_different_runs_have_different_places(session: Make) -> None:
    sessions = [
        session(*FIVE),
        session("kd[temperature=2]"),
        session("kd", protocol="longer"),
        session("kd", protocol="quick[epochs=3]"),
    ]
    runs = {run.identity: run for s in sessions for run in s.plan().runs}
    store = sessions[0].store
    places = {store.path_of(run.spec) for run in runs.values()}
    assert len(places) == len(runs)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [0, 1, 2]),
        ("0,2,5", [0, 2, 5]),
        ("4,", [4]),
        ("2,2", [2]),
        ("1-3", [1, 2, 3]),
        ("0-1,5", [0, 1, 5]),
        ("7-7", [7]),
    ],
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    ["0", "-1", "x", "1.5", "", ",", "1;2", "1000000,", "3-1", "1-", "-", "0-1000", "0-2000000,"],
)
def test_wrong_seeds(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"recipes": ("kdd",)}, "unknown recipe 'kdd'. Did you mean 'kd'?"),
        ({"recipes": ("kd[temprature=2]",)}, "Did you mean 'temperature'?"),
        ({"recipes": ("kd[temperature=hot]",)}, "setting 'temperature': 'hot'"),
        ({"recipes": ("kd[temperature]",)}, "Write NAME"),
        ({"pairs": ("resnet14:resnet9",)}, "unknown network 'resnet9'"),
        ({"pairs": ("resnet14",)}, "is not a pair"),
        ({"protocol": "quik"}, "unknown protocol 'quik'. Did you mean 'quick'?"),
        ({"protocol": "quick[epoch=2]"}, "Did you mean 'epochs'?"),
        ({"protocol": "quick[epochs=0]"}, "greater than 0"),
        ({"protocol": "quick[optimiser=lian]"}, "optimiser 'lian'. Did you mean 'lion'?"),
        ({"protocol": "quick[optimiser=adahessian]"}, "needs second derivatives"),
        ({"protocol": "quick[label_smoothing=1.5]"}, "label_smoothing"),
        ({"datasets": ("tinny",)}, "unknown data set 'tinny'. Did you mean 'tiny'?"),
        ({"suite": "quik", "datasets": ()}, "unknown suite 'quik'. Did you mean 'quick'?"),
        ({"recipes": ()}, "needs at least one --recipe"),
        ({"paths": (Path("nowhere"),)}, "there is no folder 'nowhere'"),
    ],
)
def test_wrong_words_get_one_clear_message(
    card_folder: Path, tmp_path: Path, words: dict[str, object], message: str
) -> None:
    request = Request(
        **({"datasets": ("tiny",), "recipes": ("kd",), "paths": (card_folder,)} | words)  # type: ignore[arg-type]
    )
    with pytest.raises(UsageError) as caught:
        Session(request, runs=tmp_path, results=tmp_path, retry=False)
    assert message in str(caught.value)


@pytest.mark.parametrize(("recipe", "network"), [("vanilla", "resnet8"), ("kd", "resnet14")])
def test_drop_path_is_refused_before_training_where_a_network_has_none(
    session: Make, recipe: str, network: str
) -> None:
    with pytest.raises(NetworkError, match=f"'{network}' has no residual branches"):
        session(recipe, protocol="quick[drop_path=0.1]")


def test_drop_path_is_no_matter_of_weights_that_were_brought(session: Make, tmp_path: Path) -> None:
    file = tmp_path / "teacher.pth"
    torch.save(create_network("resnet14", classes=4).state_dict(), file)
    words = {"pairs": ("resnet14:timm/test_vit",), "protocol": "quick[drop_path=0.1]"}
    made = session("kd", teachers=(f"resnet14={file}",), **words)
    assert [run.network for run in made.plan().todo] == ["resnet14", "timm/test_vit"]


def test_a_pair_that_a_recipe_refuses_is_refused_before_training(
    session: Make, tmp_path: Path
) -> None:
    (tmp_path / "picky.py").write_text(
        "import torch\n"
        "from benchmark import Recipe, register\n"
        "@register('picky', family='logits')\n"
        "class Picky(Recipe):\n"
        "    def refuse(self, context):\n"
        "        if context.student.embedding_dim != context.teacher.embedding_dim:\n"
        "            return 'the embeddings differ in width.'\n"
        "    def forward(self, batch, student, teacher):\n"
        "        return {'logits': student.logits.square().mean()}\n"
    )
    assert session("picky", paths=(tmp_path,)).plan().todo
    bad = ("resnet14:wrn_16_2",)
    with pytest.raises(IncompatiblePair, match="resnet14:wrn_16_2: the embeddings differ in width"):
        session("picky", paths=(tmp_path,), pairs=bad)
    mixed = session("picky", "vanilla", paths=(tmp_path,), pairs=bad)
    assert [cell.run.recipe.name for cell in mixed.cells] == ["vanilla"]
    assert len(mixed.refusals) == 1


NEEDS_CLASS_MAPS = """
from benchmark import Recipe, register
@register("looking", family="features", needs={"class_maps"})
class Looking(Recipe):
    def refuse(self, proposal):
        if proposal.images < 5 * proposal.student.classes:
            return f"it needs five images of a class, of {proposal.images}"
    def forward(self, batch, student, teacher):
        return {"maps": (student.class_maps.mean() - teacher.class_maps.mean()).square()}
"""


def test_a_network_without_class_maps_is_refused_with_its_reason(
    session: Make, tmp_path: Path
) -> None:
    (tmp_path / "looking.py").write_text(NEEDS_CLASS_MAPS)
    assert session("looking", paths=(tmp_path,)).plan().todo
    bad = ("timm/mobilenetv3_small_100:resnet8",)
    with pytest.raises(IncompatiblePair, match="reads class maps, and 'timm/mobilenetv3_small_100"):
        session("looking", paths=(tmp_path,), pairs=bad)


def test_a_refusal_sees_the_cards_true_counts(session: Make, tmp_path: Path) -> None:
    (tmp_path / "looking.py").write_text(NEEDS_CLASS_MAPS.replace("5 *", "5000 *"))
    images = session("kd").cells[0].card.splits["train"]
    with pytest.raises(IncompatiblePair, match=f"five images of a class, of {images}"):
        session("looking", paths=(tmp_path,))


def test_a_suite_gives_what_is_not_named() -> None:
    choice = choice_of(Request(recipes=("kd",), seeds="1"))
    assert [card.name for card in choice.datasets] == ["sketchbirds"]
    assert choice.recipes == ("kd",)
    assert choice.protocol == "quick"
    with pytest.raises(UnknownName):
        choice_of(Request(suite="nothing"))


def test_the_fine_grained_suite_is_every_set_under_its_ranked_protocol() -> None:
    choice = choice_of(Request(suite="fine-grained"))
    assert [card.name for card in choice.datasets] == ["cub200", "cars", "aircraft", "cifar100"]
    for card in choice.datasets:
        protocol = card.protocol(choice.protocol)
        assert protocol.ranked
        assert card.pairs_of(protocol)
