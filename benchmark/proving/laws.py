"""The laws that every recipe keeps, each as a function that raises where one does not.

They are held on real networks of equal and of unequal widths, map sizes and numbers of stages, with
a handful of images; nothing is trained.
"""

from __future__ import annotations

import ast
import copy
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import backward

from benchmark.errors import UsageError
from benchmark.networks.outputs import Outputs
from benchmark.proving.scene import CLASSES, PAIRS, Form, Scene, Stagehand, require
from benchmark.recipe.batch import Batch, Heard, Terms
from benchmark.recipe.contract import Recipe
from benchmark.recipe.pair import Pair
from benchmark.training.deployed import as_deployed, deployed_layers

LINES = {"alone": 40, "control": 40, "logits": 40}  # of code, by family
MOST_LINES = 90


@dataclass(frozen=True)
class Case:
    """What a law is held on.

    Attributes:
        form: the recipe.
        pair: the networks; None is the first that it does not refuse.
        hand: makes scenes.
    """

    form: Form
    pair: Pair | None
    hand: Stagehand

    def stage(self, **changes: int) -> Scene:
        """The recipe ready to train, see ``Stagehand.stage``."""
        return self.hand.stage(self.form, self.pair, **changes)


@dataclass(frozen=True)
class Law:
    """What every recipe keeps.

    Attributes:
        says: it in a few words.
        per: what it is held on: the file alone, every choice of settings, each with every pair.
        hold: raises ``Unmet`` or ``AssertionError``.
        is_custom: of the recipes in the repository; elsewhere it is advice.
    """

    says: str
    per: Literal["recipe", "form", "pair"]
    hold: Callable[[Case], None]
    is_custom: bool = False

    def pairs(self) -> list[Pair | None]:
        """The pairs that it is held on."""
        return list(PAIRS.values()) if self.per == "pair" else [None]


def it_says_what_it_is(case: Case) -> None:
    """A summary and a source."""
    info = case.form.info
    require(info.summary, "the file's docstring begins with the idea in one sentence")
    require(
        info.paper or info.family == "alone",
        "name the paper, or where the idea is from, in @register",
    )
    require(
        info.name == info.name.lower() and "_" not in info.name,
        f"'{info.name}': a name is in lower case, its words joined by hyphens",
    )


def it_is_short(case: Case) -> None:
    """Where this fails, the contract lacks something that several recipes need."""
    tree = ast.parse(text := Path(case.form.info.path).read_text(encoding="utf-8"))
    told: set[int] = set()
    for node in ast.walk(tree):
        kinds = ast.Module, ast.ClassDef, ast.FunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node):
            docstring = node.body[0]
            told |= set(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    lines = enumerate(text.splitlines(), start=1)
    code = sum(bool(line.strip()) and number not in told for number, line in lines)
    most = LINES.get(case.form.info.family, MOST_LINES)
    require(code <= most, f"it has {code} lines of code; {most} do for its family")


def an_unknown_setting_is_refused(case: Case) -> None:
    """With the nearest one."""
    cls = case.form.info.cls
    names = list(cls.settings_model.model_fields)
    wrong = f"{names[0]}s" if names else "anything"
    said = f"Did you mean '{names[0]}'" if names else "Its settings: none"
    try:
        cls(**{wrong: 1})
    except UsageError as error:
        require(said in str(error), f"'{wrong}' is refused without a suggestion: {error}")
    else:
        require(False, f"'{wrong}', which is no setting, was taken")


def settings_can_be_text(case: Case) -> None:
    """As a person writes them."""
    cls = case.form.info.cls
    defaults = cls.check_settings({})
    read = cls.check_settings({name: str(value) for name, value in defaults.items()})
    require(read == defaults, f"the defaults as text are {read}, and were {defaults}")


def terms_are_scalars(case: Case) -> None:
    """Finite, in float32, under names that stay."""
    scene = case.stage()
    for part in scene.stages():
        terms = scene.terms(part)
        _require_finite(terms)
        for name, term in terms.items():
            require(term.dtype == torch.float32, f"term '{name}' is {term.dtype}, not float32")
        late = scene.terms(part, progress=1.0)
        require(
            late.keys() == terms.keys(),
            f"terms keep their names: {sorted(terms)} at first, {sorted(late)} at last",
        )


def gradients_reach_all_layers(case: Case) -> None:
    """At some time of the training: a stage may train a part alone."""
    scene = case.stage()
    trained = scene.trainable()
    for part in scene.stages():
        for progress in (0.0, 0.5, 1.0):
            backward(total(scene.terms(part, progress=progress)))
    unmoved = [name for name, p in trained.items() if p.grad is None or not p.grad.any()]
    require(not unmoved, f"no gradient reaches {_some(unmoved)}: freeze them or use them")
    odd = [
        name
        for name, p in trained.items()
        if p.grad is not None and not torch.isfinite(p.grad).all()
    ]
    require(not odd, f"the gradient of {_some(odd)} is not finite")


def teachers_stay_as_they_are(case: Case) -> None:
    """Nothing changes the networks that it learns from."""
    scene = case.stage()
    before = {name: copy.deepcopy(network.state_dict()) for name, network in scene.roles.items()}
    optimiser = torch.optim.SGD(scene.trainable().values(), lr=0.1)
    for part in scene.stages():
        for progress in (0.0, 1.0):
            backward(total(scene.terms(part, progress=progress)))
            optimiser.step()
            scene.after_step()
    for name, network in scene.roles.items():
        awake = [key for key, p in network.named_parameters() if p.requires_grad]
        require(not awake, f"{_some(awake)} of role '{name}' is trained")
        for key, value in network.state_dict().items():
            require(torch.equal(value, before[name][key]), f"'{key}' of role '{name}' changed")


def one_image_is_enough(case: Case) -> None:
    """The last batch of an epoch may have one."""
    scene = case.stage(images=1)
    for part in scene.stages():
        loss = total(scene.terms(part))
        backward(loss)
        require(torch.isfinite(loss), "the loss of a batch of one image is not finite")
    for name, parameter in scene.trainable().items():
        gradient = parameter.grad
        require(
            gradient is None or torch.isfinite(gradient).all(),
            f"in a batch of one image the gradient of '{name}' is not finite",
        )


def order_does_not_matter(case: Case) -> None:
    """Unless the loss draws at random, in the order of the batch."""
    scene = case.stage()
    batch = scene.seen()
    outputs, taught = scene.outputs(batch), scene.taught(batch)

    def loss(order: Tensor, seed: int) -> Tensor:
        torch.manual_seed(seed)
        turned = Batch(
            batch.images[order],
            batch.labels[order],
            batch.index[order],
            progress=0.0,
            views=tuple(view[order] for view in batch.views),
        )
        teacher: Heard
        if isinstance(taught, Outputs):
            teacher = _rearranged(taught, order)
        else:
            teacher = taught and {role: _rearranged(said, order) for role, said in taught.items()}
        parts = copy.deepcopy(scene.recipe).stages()
        terms = [part.terms(turned, _rearranged(outputs, order), teacher) for part in parts]
        return torch.stack([total(of_part) for of_part in terms]).sum()

    as_is = torch.arange(len(batch.index))
    if torch.equal(loss(as_is, seed=0), loss(as_is, seed=1)):
        torch.testing.assert_close(loss(as_is.flip(0), seed=0), loss(as_is, seed=0))


def labels_may_be_distributions(case: Case) -> None:
    """As after mixing images. A distribution on one class is the class."""
    scene, twin, mixing = (case.stage() for _ in range(3))  # a step may change a state
    sure = nn.functional.one_hot(scene.batch.labels, CLASSES).float()
    mixed = 0.7 * sure + 0.3 * sure.flip(0)
    parts = zip(scene.stages(), twin.stages(), mixing.stages(), strict=True)
    for part, part_of_twin, last in parts:
        as_classes = scene.terms(part, progress=1.0)
        as_sure = twin.terms(part_of_twin, progress=1.0, labels=sure)
        for name, term in as_classes.items():
            torch.testing.assert_close(as_sure[name], term, rtol=1e-4, atol=1e-6)
        terms = mixing.terms(last, progress=1.0, labels=mixed)
        require(terms.keys() == as_classes.keys(), "mixed labels give other terms")
        _require_finite(terms)
        backward(total(terms))
    moved = any(p.grad is not None and p.grad.any() for p in mixing.student.parameters())
    require(moved, "with mixed labels no gradient reaches the student")
    # Of the last stage's terms:
    weight: object = getattr(scene.recipe, "ce_weight", True)
    if "ce" in terms and weight:
        require(terms["ce"] != as_classes["ce"], "the cross entropy does not read mixed labels")


def equal_seeds_are_equal(case: Case) -> None:
    """Two trainings of one seed have the same losses."""
    one, two = (case.stage() for _ in range(2))
    for part, twin in zip(one.stages(), two.stages(), strict=True):
        for progress in (0.0, 0.5):
            first, second = one.terms(part, progress=progress), two.terms(twin, progress=progress)
            for name, term in first.items():
                require(
                    term.item() == second[name].item(),
                    f"term '{name}' is {term.item()} and then {second[name].item()}",
                )


def it_goes_on_from_its_state(case: Case) -> None:
    """The state dict holds all that a step changes, and the rest follows from the context."""
    scene = case.stage()
    scene.terms()
    scene.after_step()
    other = case.stage(seed=99)
    other.recipe.load_state_dict(_saved(scene.recipe))
    other.student.load_state_dict(_saved(scene.student))
    again, loss = total(other.terms()).item(), total(scene.terms()).item()
    require(
        again == loss,
        f"the loss after saving and loading is {again}, and was {loss}: keep what a step changes, "
        "and what is drawn, in buffers or parameters",
    )


def it_predicts_logits(case: Case) -> None:
    """With what it deploys."""
    scene = case.stage()
    with torch.no_grad():
        logits = scene.recipe.predict(scene.outputs())
    right = len(scene.seen().images), CLASSES
    require(logits.shape == right, f"predict() gives {tuple(logits.shape)}, not {right}")
    require(logits.dtype == torch.float32, f"predict() gives {logits.dtype}, not float32")
    require(torch.isfinite(logits).all(), "predict() gives what is not finite")
    strangers = set(scene.recipe.deployed()) - set(scene.recipe.modules())
    require(not strangers, f"deployed() names {len(strangers)} modules that are not the recipe's")
    if type(scene.recipe).predict is Recipe.predict:
        return
    bare = as_deployed(case.stage(seed=99).recipe, deployed_layers(scene.recipe))
    try:
        with torch.no_grad():
            again = bare.predict(scene.outputs())
    except AttributeError:  # a layer that is not kept
        again = logits + 1
    require(
        torch.equal(again, logits),
        "predict() uses what deployed() does not name, which is not kept with the weights",
    )


LAWS = (
    Law("says what it is, and where from", "recipe", it_says_what_it_is, is_custom=True),
    Law("is short", "recipe", it_is_short, is_custom=True),
    Law("refuses an unknown setting", "recipe", an_unknown_setting_is_refused),
    Law("takes settings as text", "recipe", settings_can_be_text),
    Law("terms are finite float32 scalars", "pair", terms_are_scalars),
    Law("gradients reach student and own layers", "pair", gradients_reach_all_layers),
    Law("teachers stay as they are", "pair", teachers_stay_as_they_are),
    Law("one image is enough", "pair", one_image_is_enough),
    Law("the batch's order does not matter", "form", order_does_not_matter),
    Law("labels may be distributions", "form", labels_may_be_distributions),
    Law("equal seeds give equal losses", "form", equal_seeds_are_equal),
    Law("goes on after save and load", "form", it_goes_on_from_its_state),
    Law("predicts logits with what it deploys", "pair", it_predicts_logits),
)


def total(terms: Terms) -> Tensor:
    """What is minimised.

    Raises:
        Unmet: a term is no scalar.
    """
    _require_scalars(terms)
    return torch.stack(list(terms.values())).sum()


def _require_scalars(terms: Terms) -> None:
    require(terms, "it returns no loss term")
    for name, term in terms.items():
        require(
            term.shape == (), f"term '{name}' has the shape {tuple(term.shape)}: sum or mean it"
        )


def _require_finite(terms: Terms) -> None:
    _require_scalars(terms)
    for name, term in terms.items():
        require(torch.isfinite(term), f"term '{name}' is {term.item()}")


def _rearranged(outputs: Outputs, order: Tensor) -> Outputs:
    def turned(part: Any) -> Any:
        if isinstance(part, tuple):
            return tuple(map(turned, part))
        return part.detach()[order] if isinstance(part, Tensor) else part

    return replace(outputs, **{name: turned(part) for name, part in vars(outputs).items()})


def _saved(module: nn.Module) -> dict[str, Tensor]:
    """The state after it went through a file."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    state: dict[str, Tensor] = torch.load(file, weights_only=True)
    return state


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
