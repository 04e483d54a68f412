"""The laws find what is wrong with a recipe, and say where."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.errors import RecipeError, UsageError
from benchmark.proving.examination import Verdict, examine, recipes_of
from benchmark.proving.laws import LAWS
from benchmark.proving.scene import Stagehand

TERMS = "terms are finite float32 scalars"
HEAD = '''"""A method."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmark import Recipe, register


@register("mine", family="features", paper="ours", needs={"maps"})
class Mine(Recipe):
    kind: bool = False

'''
WHOLE = """
    def forward(self, batch, student, teacher):
        return {"ce": F.cross_entropy(student.logits, batch.labels)}
"""
CASES = {
    "terms are finite float32 scalars": """
    def forward(self, batch, student, teacher):
        return {"ce": F.cross_entropy(student.logits, batch.labels, reduction="none")}
""",
    "gradients reach student and own layers": """
    def build(self, context):
        self.layer = nn.Linear(3, 3)
"""
    + WHOLE,
    "teachers stay as they are": """
    def build(self, context):
        self.taught = [p for network in context.roles.values() for p in network.parameters()]

    def after_step(self, network):
        self.taught[0].mul_(2)
"""
    + WHOLE,
    "one image is enough": """
    def forward(self, batch, student, teacher):
        ce = F.cross_entropy(student.logits, batch.labels)
        return {"ce": ce, "spread": student.logits.std(dim=0).mean()}
""",
    "the batch's order does not matter": """
    def forward(self, batch, student, teacher):
        ce = F.cross_entropy(student.logits, batch.labels)
        return {"ce": ce, "first": student.logits[0].square().mean()}
""",
    "labels may be distributions": """
    def forward(self, batch, student, teacher):
        return {"ce": -student.logits.log_softmax(1).gather(1, batch.labels[:, None]).mean()}
""",
    "equal seeds give equal losses": """
    def build(self, context):
        self.rows = torch.Generator()
        self.rows.seed()

    def forward(self, batch, student, teacher):
        ce = F.cross_entropy(student.logits, batch.labels)
        return {"ce": ce * torch.rand((), generator=self.rows)}
""",
    "goes on after save and load": """
    def build(self, context):
        self.steps = 1

    def after_step(self, network):
        self.steps += 1

    def forward(self, batch, student, teacher):
        return {"ce": self.steps * F.cross_entropy(student.logits, batch.labels)}
""",
    "predicts logits with what it deploys": """
    def predict(self, student):
        return student.embedding
"""
    + WHOLE,
}


def verdicts(folder: Path, body: str, *laws: str) -> dict[str, Verdict]:
    (folder / "mine.py").write_text(HEAD + body, encoding="utf-8")
    recipes, [info] = recipes_of(str(folder / "mine.py"), ())
    chosen = [law for law in LAWS if law.says in laws] if laws else LAWS
    return {verdict.law: verdict for verdict in examine(info, Stagehand(recipes), chosen)}


@pytest.mark.parametrize("law", CASES)
def test_a_law_finds_whoever_breaks_it(law: str, tmp_path: Path) -> None:
    verdict = verdicts(tmp_path, CASES[law], law)[law]
    assert verdict.level == "fault"
    assert verdict.held < len(verdict.broken) + verdict.held


def test_a_layer_that_predicts_is_to_be_deployed(tmp_path: Path) -> None:
    """Else it is lost when a training is over."""
    law = "predicts logits with what it deploys"
    body = """
    def build(self, context):
        self.head = nn.Linear(context.student.classes, context.student.classes)

    def predict(self, student):
        return self.head(student.logits)
"""
    [first, *_] = verdicts(tmp_path, body + WHOLE, law)[law].broken
    assert "predict() uses what deployed() does not name" in first.reason
    deploys = """
    def deployed(self):
        return (self.head,)
"""
    (tmp_path / "mended").mkdir()
    assert verdicts(tmp_path / "mended", body + deploys + WHOLE, law)[law].level == "ok"


def test_a_recipe_that_keeps_them_is_found_whole(tmp_path: Path) -> None:
    found = verdicts(tmp_path, WHOLE)
    assert [verdict.law for verdict in found.values() if verdict.level != "ok"] == []
    assert found[TERMS].held == 8  # two forms with four pairs each


def test_what_is_raised_is_told_by_the_authors_line(tmp_path: Path) -> None:
    body = """
    def forward(self, batch, student, teacher):
        return {"mse": student.nothing}
"""
    [broken, *_] = verdicts(tmp_path, body, TERMS)[TERMS].broken
    assert broken.where == "mine.py:16"
    assert "has no attribute 'nothing'" in broken.reason
    assert "student.nothing" in broken.traceback


def test_what_it_refuses_is_no_fault(tmp_path: Path) -> None:
    body = """
    def refuse(self, proposal):
        return "too narrow" if proposal.student.embedding_dim < 100 else None
"""
    found = verdicts(tmp_path, body + WHOLE, TERMS, "equal seeds give equal losses")
    assert found["equal seeds give equal losses"].held == 0
    assert found[TERMS].level == "ok"
    assert (found[TERMS].held, len(found[TERMS].refused)) == (2, 6)
    assert "resnet14:resnet8" in found[TERMS].refused[0]
    assert "too narrow" in found[TERMS].refused[0]


def test_a_long_file_gets_advice(tmp_path: Path) -> None:
    found = verdicts(
        tmp_path, WHOLE + "    _x = [\n" + "        1,\n" * 100 + "    ]\n", "is short"
    )
    assert found["is short"].level == "advice"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("mine.py", "import nothing_of_the_kind", "cannot be used"),
        ("mine.py", "x = 1", "registers no recipe"),
        ("_mine.py", "", "begins with an underscore"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises((RecipeError, UsageError), match=said):
        recipes_of(str(tmp_path / name), ())


def test_a_file_that_is_not_there_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    with pytest.raises(UsageError, match=r"Did you mean 'mine\.py'"):
        recipes_of(str(tmp_path / "mien.py"), ())
