"""What every recipe must fulfil. It runs on all recipes that are found, also on yours:

KDBENCH_PATH=my_recipes pytest tests/recipes/test_every_recipe.py -k my-method
"""

from __future__ import annotations

import ast
import copy
import functools
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import jinja2
import pytest
import torch
from torch import Tensor

import benchmark
from benchmark import Batch, Context, Network, Outputs, Pair, Proposal, Recipe, Stage, Terms
from benchmark.errors import UsageError
from benchmark.networks.creation import create_network
from benchmark.recipe.batch import Heard, Shelf
from benchmark.recipe.contract import RecipeInfo
from benchmark.recipe.discovery import load_recipes
from benchmark.training.learner import Lesson

CATALOGUE = load_recipes()
PAIRS = {
    "equal-widths": Pair("resnet14", "resnet8"),
    "unequal-widths": Pair("wrn_16_2", "resnet8"),
    "more-and-smaller-maps": Pair("resnet8", "MobileNetV2"),
    "fewer-and-larger-maps": Pair("vgg8", "resnet8"),
}
CLASSES = 4
LABELS = torch.tensor([0, 1, 2, 3, 0, 1, 2, 0, 1, 0, 3, 2, 1, 0, 0, 1, 3, 2, 1, 0, 2, 3, 0, 1])
INDEX = torch.tensor([3, 17, 8, 0, 21, 12])


@dataclass(frozen=True)
class Form:
    """A recipe with one choice of the settings that are a choice, e.g. ``form=paper``."""

    info: RecipeInfo
    settings: Mapping[str, str]

    def __str__(self) -> str:
        chosen = ",".join(f"{name}={choice}" for name, choice in self.settings.items())
        return f"{self.info.name}[{chosen}]" if chosen else self.info.name


def forms() -> Iterator[Form]:
    """Every recipe as it is, and with every other choice of its settings that are a choice."""
    for info in CATALOGUE.values():
        yield Form(info, {})
        for name, setting in info.cls.settings_model.model_fields.items():
            choices: tuple[object, ...] = ()
            if get_origin(setting.annotation) is Literal:
                choices = get_args(setting.annotation)
            elif setting.annotation is bool:
                choices = (True, False)
            for choice in choices:
                if choice != setting.default:
                    yield Form(info, {name: str(choice).lower()})


every_recipe = pytest.mark.parametrize("info", CATALOGUE.values(), ids=lambda info: info.name)
every_form = pytest.mark.parametrize("form", list(forms()), ids=str)
every_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=list(PAIRS))


@dataclass
class Scene:
    """A recipe that is ready to train: what the engine would have made of it."""

    recipe: Recipe
    student: Network
    roles: Mapping[str, Network]
    batch: Batch

    def passing(self) -> Iterator[tuple[Batch, Heard]]:
        """The training set once, in its order, with what is heard of it."""
        for index in torch.arange(len(LABELS)).split(10):
            batch = replace(batch_of(self.recipe, index), views=())
            yield batch, self.taught(batch)

    def seen(self, **changes: Any) -> Batch:
        """The batch with some changes, as the recipe looks at it."""
        return self.recipe.view(replace(self.batch, shared=Shelf(), **changes))

    def outputs(self, batch: Batch | None = None) -> Outputs:
        """The student's outputs with gradient."""
        return self._run(self.student, batch or self.seen())

    def taught(self, batch: Batch | None = None) -> Heard:
        """The outputs without gradient of the networks that the recipe hears."""
        batch = batch or self.seen()
        with torch.no_grad():
            said = {
                role: self._run(self.roles[role], batch)
                for role in self.recipe.hears
                if role in self.roles
            }
        return said if len(self.recipe.hears) > 1 else next(iter(said.values()), None)

    def stages(self) -> Iterator[Stage]:
        """The stages of the recipe, each begun as the engine begins it."""
        for stage in self.recipe.stages():
            lesson = self._lesson(stage)
            assert lesson.enter(stage), f"stage {stage.name} trains nothing"
            lesson.wake()
            yield stage

    def terms(
        self, stage: Stage | None = None, *, progress: float = 0.0, labels: Tensor | None = None
    ) -> Terms:
        """One step's loss terms, of the last stage or another; random draws are the same always."""
        torch.manual_seed(7)
        stage = stage or self.recipe.stages()[-1]
        labels = self.batch.labels if labels is None else labels
        batch = self.seen(progress=progress, labels=labels)
        return stage.terms(batch, self.outputs(batch), self.taught(batch))

    def after_step(self) -> None:
        """What the engine lets the recipe do behind an update."""
        with torch.no_grad():
            self.recipe.after_step(self.student)

    def _lesson(self, stage: Stage) -> Lesson:
        if not hasattr(self, "_kept"):
            self._kept = Lesson(self.student, self.recipe, None, stage)  # type: ignore[arg-type]
        return self._kept

    def _run(self, network: Network, batch: Batch) -> Outputs:
        needs = self.recipe.info.needs
        shown = {name: name in needs for name in ("maps", "class_maps")}
        outputs = network(batch.images, **shown)
        if "embedding" not in needs:
            outputs = replace(outputs, embedding=torch.full_like(outputs.embedding, torch.nan))
        return outputs


def stage(form: Form, pair: Pair, *, seed: int = 0, images: int = len(INDEX)) -> Scene:
    """Build a recipe with all networks that it needs, or skip with the reason of its refusal."""
    recipe = form.info.cls(**form.settings)
    torch.manual_seed(0)
    roles = trained_roles(recipe, pair)
    taught_by = recipe.roles(pair).get("teacher")
    plain = fresh_network(taught_by.network).shape if taught_by else None
    if reason := recipe.refusal(Proposal(fresh_network(pair.student).shape, plain, len(LABELS))):
        pytest.skip(reason)
    student = recipe.adapt(fresh_network(pair.student), roles)
    teacher = roles.get("teacher")
    context = Context(student.shape, teacher.shape if teacher else None, LABELS, roles)
    scene = Scene(recipe, student, roles, batch_of(recipe, INDEX[:images]))
    context = replace(context, known=recipe.before(context, scene.passing()), maybe_network=student)
    torch.manual_seed(seed)
    recipe.build(context)
    recipe.train()
    student.train()
    return scene


def batch_of(recipe: Recipe, index: Tensor) -> Batch:
    """Some images of a training set, in as many views as the recipe asks for."""
    draw = torch.Generator().manual_seed(1)
    first, *views = (
        torch.randn(len(LABELS), 3, 32, 32, generator=draw)[index] for _ in range(recipe.views)
    )
    return Batch(first, LABELS[index], index, 0.0, tuple(views), class_count=CLASSES, draw=5)


def stage_anywhere(form: Form, *, seed: int = 0) -> Scene:
    """Build a recipe for a pair of unequal widths, or of equal ones if it refuses the other."""
    try:
        return stage(form, PAIRS["unequal-widths"], seed=seed)
    except pytest.skip.Exception:
        return stage(form, PAIRS["equal-widths"], seed=seed)


def trained_roles(recipe: Recipe, pair: Pair) -> dict[str, Network]:
    """The networks of a recipe's roles, frozen; their own roles are made first."""
    networks = {}
    for name, role in recipe.roles(pair).items():
        helper = CATALOGUE.get(role.recipe).cls(**role.settings)
        fresh = fresh_network(role.network, role.draw)
        network = helper.adapt(fresh, trained_roles(helper, pair))
        networks[name] = network.eval().requires_grad_(False)
    return networks


@functools.cache
def _network(name: str, draw: int) -> Network:
    torch.manual_seed(draw)
    return create_network(name, classes=CLASSES)


def fresh_network(name: str, draw: int = 0) -> Network:
    return copy.deepcopy(_network(name, draw))


def total(terms: Terms) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def saved(module: torch.nn.Module) -> dict[str, Tensor]:
    """The state after it went through a file."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_no_recipe_file_is_broken() -> None:
    assert not CATALOGUE.broken, "\n".join(f"{p}: {e}" for p, e in CATALOGUE.broken.items())


@every_recipe
def test_it_says_what_it_is(info: RecipeInfo) -> None:
    assert info.summary, "the file's docstring begins with the idea in one sentence"
    assert info.paper or info.family == "alone", "name the paper, or where the idea is from"
    assert info.name == info.name.lower()
    assert "_" not in info.name, "words of a name are joined by hyphens"


LIMITS = {"alone": 40, "control": 40, "logits": 40}  # lines of code; 90 for the others


@every_recipe
def test_it_is_short(info: RecipeInfo) -> None:
    """Where this fails, the contract lacks something that several recipes need."""
    text = Path(info.path).read_text(encoding="utf-8")
    tree = ast.parse(text)
    told: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            told |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(text.splitlines(), start=1)
    code = [line for number, line in lines if line.strip() and number not in told]
    assert len(code) <= LIMITS.get(info.family, 90)


@every_recipe
def test_an_unknown_setting_is_refused_with_the_nearest_one(info: RecipeInfo) -> None:
    names = list(info.cls.settings_model.model_fields)
    wrong = f"{names[0]}s" if names else "anything"
    match = f"Did you mean '{names[0]}'" if names else "Its settings: none"
    with pytest.raises(UsageError, match=match):
        info.cls(**{wrong: 1})


@every_recipe
def test_settings_can_be_given_as_text(info: RecipeInfo) -> None:
    defaults = info.cls.check_settings({})
    assert info.cls.check_settings({k: str(v) for k, v in defaults.items()}) == defaults


@every_form
@every_pair
def test_its_terms_are_finite_float32_scalars(form: Form, pair: Pair) -> None:
    scene = stage(form, pair)
    for part in scene.stages():
        terms = scene.terms(part)
        assert terms
        for name, term in terms.items():
            assert term.shape == (), name
            assert term.dtype == torch.float32, name
            assert torch.isfinite(term), name
        assert scene.terms(part, progress=1.0).keys() == terms.keys(), "terms keep their names"


@every_form
@every_pair
def test_its_gradient_reaches_the_student_and_its_own_layers(form: Form, pair: Pair) -> None:
    """At some time of the training: a stage may train a part alone."""
    scene = stage(form, pair)
    trained = {
        **{f"student.{k}": p for k, p in scene.student.named_parameters() if p.requires_grad},
        **{f"recipe.{k}": p for k, p in scene.recipe.named_parameters() if p.requires_grad},
    }
    for part in scene.stages():
        for progress in (0.0, 0.5, 1.0):
            total(scene.terms(part, progress=progress)).backward()
    unmoved = [name for name, p in trained.items() if p.grad is None or not p.grad.any()]
    assert not unmoved, "no gradient: freeze them or use them"
    assert all(torch.isfinite(p.grad).all() for p in trained.values())


@every_form
@every_pair
def test_it_never_changes_the_networks_it_learns_from(form: Form, pair: Pair) -> None:
    scene = stage(form, pair)
    before = {name: copy.deepcopy(network.state_dict()) for name, network in scene.roles.items()}
    parameters = [
        p
        for module in (scene.student, scene.recipe)
        for p in module.parameters()
        if p.requires_grad
    ]
    optimiser = torch.optim.SGD(parameters, lr=0.1)
    for part in scene.stages():
        for progress in (0.0, 1.0):
            total(scene.terms(part, progress=progress)).backward()
            optimiser.step()
            scene.after_step()
    for name, network in scene.roles.items():
        assert not any(p.requires_grad for p in network.parameters()), name
        for key, value in network.state_dict().items():
            assert torch.equal(value, before[name][key]), f"{name}: {key}"


@every_form
@every_pair
def test_one_sample_is_enough(form: Form, pair: Pair) -> None:
    """The last batch of an epoch may have one."""
    scene = stage(form, pair, images=1)
    for part in scene.stages():
        loss = total(scene.terms(part))
        loss.backward()
        assert torch.isfinite(loss)
    for parameter in scene.student.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


@every_form
def test_the_order_of_the_batch_does_not_matter(form: Form) -> None:
    scene = stage_anywhere(form)
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
            teacher = rearranged(taught, order)
        else:
            teacher = taught and {role: rearranged(said, order) for role, said in taught.items()}
        parts = copy.deepcopy(scene.recipe).stages()
        terms = [part.terms(turned, rearranged(outputs, order), teacher) for part in parts]
        return torch.stack([total(of_part) for of_part in terms]).sum()

    as_is = torch.arange(len(batch.index))
    if not torch.equal(loss(as_is, seed=0), loss(as_is, seed=1)):
        pytest.skip("its loss draws at random, in the order of the batch")
    torch.testing.assert_close(loss(as_is.flip(0), seed=0), loss(as_is, seed=0))


def rearranged(outputs: Outputs, order: Tensor) -> Outputs:
    def turned(part: Any) -> Any:
        if isinstance(part, tuple):
            return tuple(map(turned, part))
        return part.detach()[order] if isinstance(part, Tensor) else part

    return replace(outputs, **{name: turned(part) for name, part in vars(outputs).items()})


@every_form
def test_it_takes_labels_that_are_distributions(form: Form) -> None:
    """As after mixing images. A distribution on one class is the class."""
    scene, twin, mixing = (stage_anywhere(form) for _ in range(3))  # a step may change a state
    sure = torch.nn.functional.one_hot(scene.batch.labels, CLASSES).float()
    mixed = 0.7 * sure + 0.3 * sure.flip(0)
    for part, part_of_twin, last in zip(
        scene.stages(), twin.stages(), mixing.stages(), strict=True
    ):
        as_classes = scene.terms(part, progress=1.0)
        as_sure = twin.terms(part_of_twin, progress=1.0, labels=sure)
        for name, term in as_classes.items():
            torch.testing.assert_close(as_sure[name], term, rtol=1e-4, atol=1e-6, msg=name)
        terms = mixing.terms(last, progress=1.0, labels=mixed)
        assert terms.keys() == as_classes.keys()
        for name, term in terms.items():
            assert term.shape == (), name
            assert torch.isfinite(term), name
        total(terms).backward()
    assert any(p.grad is not None and p.grad.any() for p in mixing.student.parameters())
    if "ce" in terms and getattr(scene.recipe, "ce_weight", 1.0):  # the last stage's terms
        assert terms["ce"] != as_classes["ce"], "the cross entropy reads the mixed labels"


@every_form
def test_it_is_the_same_for_equal_seeds(form: Form) -> None:
    one, two = (stage_anywhere(form) for _ in range(2))
    for part, twin in zip(one.stages(), two.stages(), strict=True):
        for progress in (0.0, 0.5):
            first, second = one.terms(part, progress=progress), two.terms(twin, progress=progress)
            assert {k: v.item() for k, v in first.items()} == {
                k: v.item() for k, v in second.items()
            }


@every_form
def test_it_goes_on_after_save_and_load(form: Form) -> None:
    """The state dict holds all that a step changes, and the rest follows from the context."""
    scene = stage_anywhere(form)
    scene.terms()
    scene.after_step()
    other = stage_anywhere(form, seed=99)
    other.recipe.load_state_dict(saved(scene.recipe))
    other.student.load_state_dict(saved(scene.student))
    assert total(other.terms()).item() == total(scene.terms()).item()


@every_form
@every_pair
def test_it_predicts_logits_with_what_it_deploys(form: Form, pair: Pair) -> None:
    scene = stage(form, pair)
    with torch.no_grad():
        logits = scene.recipe.predict(scene.outputs())
    assert logits.shape == (len(scene.seen().images), CLASSES)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()
    assert set(scene.recipe.deployed()) <= set(scene.recipe.modules())


def test_the_template_is_a_recipe(tmp_path: Path) -> None:
    """``kdbench new recipe`` renders it with the name in three spellings."""
    template = Path(benchmark.__file__).parent / "templates" / "recipe.py.jinja"
    text = jinja2.Template(
        template.read_text(encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    ).render(name="my-method", class_name="MyMethod")
    assert len(text.splitlines()) <= 40
    (tmp_path / "my_method.py").write_text(text, encoding="utf-8")
    catalogue = load_recipes([tmp_path])
    assert catalogue.broken == {}
    terms = stage(Form(catalogue.get("my-method"), {}), PAIRS["unequal-widths"]).terms()
    assert set(terms) == {"ce", "method"}
