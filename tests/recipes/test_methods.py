"""What single methods promise beyond the reference values and what every recipe must fulfil."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from benchmark import Batch, Context, Network, Pair, Proposal, Recipe
from benchmark.errors import RecipeError, UsageError
from benchmark.networks.creation import create_network
from benchmark.networks.names import CIFAR_NETWORKS
from benchmark.networks.outputs import NetworkShape, Shape
from benchmark.recipe.discovery import load_recipes

Module = Callable[[str], ModuleType]


def recipe(name: str, **settings: Any) -> Recipe:
    return load_recipes().get(name).cls(**settings)


def context(student: str, teacher: str) -> Context:
    return Context(shape_of(student), shape_of(teacher), torch.arange(4))


def proposal(student: str, teacher: str) -> Proposal:
    return Proposal(shape_of(student), shape_of(teacher), images=9)


# Values of the published code on inputs in closed form, for maps of unequal height and width.
PUBLISHED_STAGES = {
    "at": ("attention_loss", [0.0026342685884101365, 0.0009698141813933889, 0.011905485171619342]),
    "nst": ("nst_loss", [0.16954580269436137, 0.18846181050451993, 0.3559425379173461]),
}


def closed_form(shape: tuple[int, ...], rate: float, phase: float) -> Tensor:
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return ((rate * i + phase).sin() + 0.5 * (0.31 * rate * i - phase).cos()).view(shape)


@pytest.mark.parametrize("name", PUBLISHED_STAGES)
def test_a_larger_map_is_averaged_as_published(name: str, recipe_module: Module) -> None:
    function, published = PUBLISHED_STAGES[name]
    maps_s = [
        closed_form((6, 4, 8, 8), 0.11, 0.3),
        closed_form((6, 6, 4, 4), 0.17, 0.5),
        closed_form((6, 8, 2, 2), 0.19, 0.6),
    ]
    maps_t = [
        closed_form((6, 5, 8, 8), 0.13, 0.4),
        closed_form((6, 6, 4, 4), 0.07, 0.8),
        closed_form((6, 10, 4, 4), 0.21, 1.1),
    ]
    loss_of = getattr(recipe_module(name), function)
    for map_s, map_t, value in zip(maps_s, maps_t, published, strict=True):
        assert loss_of([map_s], [map_t]).item() == pytest.approx(value, rel=1e-6)
    assert loss_of(maps_s, maps_t).item() == pytest.approx(sum(published), rel=1e-6)


@pytest.mark.parametrize(
    ("alpha", "beta", "published"),
    [(1, 8, 47.31671326597002), (1, 0, 0.10553958199955722), (0, 1, 5.901396710496308)],
)
def test_both_parts_of_dkd(
    alpha: float, beta: float, published: float, recipe_module: Module
) -> None:
    logits_s = 3 * closed_form((6, 10), 0.37, 0.1)
    logits_t = 4 * closed_form((6, 10), 0.53, 0.7)
    labels = torch.tensor([3, 1, 4, 1, 5, 9])
    loss = recipe_module("dkd").dkd_loss(logits_s, logits_t, labels, alpha, beta, 4.0)
    assert loss.item() == pytest.approx(published, rel=1e-6)


def test_dkd_is_finite_where_probabilities_underflow(recipe_module: Module) -> None:
    logits_s = torch.tensor([[500.0, -500.0, 0.0]], requires_grad=True)
    loss = recipe_module("dkd").dkd_loss(
        logits_s, -logits_s.detach(), torch.tensor([0]), 1.0, 8.0, 1.0
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits_s.grad).all()


SHAPES: list[tuple[Shape, Shape]] = [
    ((3, 8, 8), (5, 8, 8)),
    ((3, 16, 16), (5, 8, 8)),
    ((3, 8, 8), (5, 16, 16)),
    ((3, 14, 12), (5, 56, 48)),
    ((3, 56, 48), (5, 14, 12)),
    ((3, 9, 7), (5, 7, 5)),
    ((3, 7, 5), (5, 9, 7)),
]


@pytest.mark.parametrize(("shape_s", "shape_t"), SHAPES, ids=str)
def test_the_regressor_fits_any_sizes(
    shape_s: Shape, shape_t: Shape, recipe_module: Module
) -> None:
    for signed in (False, True):
        regressor = recipe_module("fitnet").regressor(shape_s, shape_t, signed=signed)
        hint = regressor(torch.randn(2, *shape_s))
        assert hint.shape == (2, *shape_t)
        assert (hint.min() < 0) == signed


def test_fitnet_refuses_a_stage_that_is_not_there() -> None:
    reason = recipe("fitnet", hint_stage=4).refuse(proposal("resnet8", "vgg8"))
    assert reason == "hint_stage is 4, and the last common stage is 3"


@pytest.mark.parametrize("name", ["rkd", "cc"])
def test_one_image_has_no_relations(name: str, recipe_module: Module) -> None:
    loss_of = {"rkd": "relational_loss", "cc": "correlation_loss"}[name]
    embed_s = torch.randn(1, 5, requires_grad=True)
    loss = getattr(recipe_module(name), loss_of)(embed_s, torch.randn(1, 5))
    loss.backward()
    assert loss.item() == 0
    assert not embed_s.grad.any()


def test_rkd_with_equal_images_has_a_gradient(recipe_module: Module) -> None:
    embed_s = torch.ones(3, 5, requires_grad=True)
    recipe_module("rkd").relational_loss(embed_s, torch.randn(3, 4)).backward()
    assert torch.isfinite(embed_s.grad).all()


def test_kdsvd_refuses_unequal_channels() -> None:
    reason = recipe("kdsvd").refuse(proposal("resnet8", "wrn_16_2"))
    assert "[16, 32, 64] channels, the teacher's [32, 64, 128]" in reason
    assert recipe("kdsvd").refuse(proposal("resnet8", "resnet14")) is None


@pytest.mark.parametrize("scale", [0.0, 1e-4, 1e4])
def test_kdsvd_with_dead_channels_has_a_gradient(scale: float, recipe_module: Module) -> None:
    torch.manual_seed(0)
    maps = [(scale * torch.randn(2, 6, size, size)).relu() for size in (4, 2)]
    for image in maps:
        image[:, :3] = 0
        image.requires_grad_()
    teacher = [torch.rand(2, 6, size, size) for size in (4, 2)]
    recipe_module("kdsvd").svd_loss(maps, teacher).backward()
    assert all(torch.isfinite(image.grad).all() for image in maps)


def test_singular_vectors_have_autograds_gradient(recipe_module: Module) -> None:
    torch.manual_seed(0)
    image = torch.randn(3, 5, 4, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 5, 2, dtype=torch.float64)

    def loss(vectors: Tensor) -> Tensor:
        return (vectors.square() * weight).sum()

    slow = torch.linalg.svd(image.flatten(2).mT, full_matrices=False)[2].mT[:, :, :2]
    fast = recipe_module("kdsvd").right_vectors(image, 2)
    torch.testing.assert_close(fast, slow)
    expected, got = (torch.autograd.grad(loss(v), image)[0] for v in (slow, fast))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-8)


def test_nst_equals_the_mean_over_all_channels(recipe_module: Module) -> None:
    one, other = torch.randn(2, 3, 7), torch.randn(2, 4, 7)
    slow = (one[:, :, None] * other[:, None]).sum(dim=3).square().mean()
    torch.testing.assert_close(recipe_module("nst").kernel_mean(one, other), slow)


def test_margins_are_the_mean_negative_response_of_all_batches(recipe_module: Module) -> None:
    margin = recipe_module("ofd").Margin(3)
    batches = [torch.randn(2, 3, 4, 4) for _ in range(3)]
    for batch in batches:
        batch[:, 2] = batch[:, 2].abs()
        margins = margin(batch)
    channels = torch.cat(batches).transpose(0, 1).flatten(1)
    for channel in (0, 1):
        values = channels[channel]
        torch.testing.assert_close(margins[channel].squeeze(), values[values < 0].mean())
    assert margins[2] == 0


def test_a_single_value_per_channel_is_normalised_as_in_evaluation(recipe_module: Module) -> None:
    layer = recipe_module("_layers").BatchNorm(3)
    layer(torch.randn(8, 3, 2, 2))
    image, before = torch.randn(1, 3, 1, 1), layer.running_mean.clone()
    trained = layer.train()(image)
    assert torch.equal(layer.running_mean, before)
    assert torch.equal(trained, layer.eval()(image))


@pytest.mark.parametrize("name", ["dkd", "reviewkd"])
def test_the_warm_up_is_over_after_its_share(name: str, recipe_module: Module) -> None:
    warmed_up = recipe_module("_warmup").warmed_up
    share = recipe(name).warmup
    assert share * 240 == 20
    assert [warmed_up(at, share) for at in (0.0, share / 2, share, 1.0)] == [0, 0.5, 1, 1]
    assert warmed_up(0.0, 0.0) == 1


FEATURE_METHODS = ("fitnet", "at", "sp", "cc", "vid", "rkd", "pkt", "nst", "kdsvd", "kde", "ofd")


@pytest.mark.parametrize("name", FEATURE_METHODS)
def test_kd_joins_by_its_weight(name: str) -> None:
    student, teacher = create_network("resnet8", classes=4), create_network("resnet14", classes=4)
    batch = Batch(torch.randn(3, 3, 32, 32), torch.tensor([0, 1, 2]), torch.arange(3), 0.0)
    terms = []
    for weight in (0.0, 1.0):
        method = recipe(name, kd_weight=weight)
        torch.manual_seed(0)
        method.build(Context(student.shape, teacher.shape, torch.arange(4), {"teacher": teacher}))
        outputs = student.eval()(batch.images, maps=True)
        terms.append(method(batch, outputs, teacher.eval()(batch.images, maps=True)))
    alone, joined = terms
    assert set(joined) - set(alone) == {"kd"}
    assert all(torch.equal(joined[term], alone[term]) for term in alone)


def heads(student: str, teacher: str, name: str, **settings: Any) -> tuple[Network, Network]:
    """A student as a recipe adapts it, and its teacher."""
    taught_by = create_network(teacher, classes=4).requires_grad_(False)
    method = recipe(name, **settings)
    return method.adapt(create_network(student, classes=4), {"teacher": taught_by}), taught_by


@pytest.mark.parametrize(("form", "trained"), [("frozen", False), ("start", True)])
def test_a_copied_classifier_is_frozen_or_only_the_start(form: str, trained: bool) -> None:
    student, teacher = heads("resnet8", "resnet14", "copy-head", classifier=form)
    assert torch.equal(student.classifier.weight, teacher.classifier.weight)
    assert all(p.requires_grad is trained for p in student.classifier.parameters())
    assert not any(p.requires_grad for p in teacher.classifier.parameters())


@pytest.mark.parametrize("student_name", ["resnet8", "MobileNetV2"])
def test_simkd_predicts_with_the_teachers_classifier(student_name: str) -> None:
    student, teacher = heads(student_name, "wrn_16_2", "simkd")
    outputs = student.eval()(torch.randn(2, 3, 32, 32), maps=True)
    assert tuple(outputs.features.shape[1:]) == student.feature_shape
    expected = teacher.classifier(outputs.features.mean(dim=(2, 3)))
    torch.testing.assert_close(outputs.logits, expected)
    names = [name for name, _ in student.named_parameters()]
    assert any(name.startswith("projector.") for name in names), "it is deployed and counted"
    assert not any(name.startswith("network.fc.") for name in names), "the student's own is gone"


@pytest.mark.parametrize("teacher_name", ["wrn_16_2", "MobileNetV2", "resnet14"])
def test_simkd_is_taught_what_the_teacher_classifies(teacher_name: str) -> None:
    """Of a wide ResNet that is not the last stage's sum, of a MobileNetV2 not its last map."""
    student, teacher = heads("resnet8", teacher_name, "simkd")
    images = torch.randn(2, 3, 32, 32)
    taught, own = (network.eval()(images, maps=True) for network in (teacher, student))
    torch.testing.assert_close(teacher.classifier(taught.features.mean((2, 3))), taught.logits)
    batch = Batch(images, torch.tensor([0, 1]), torch.arange(2), 0.0)
    own = dataclasses.replace(own, maybe_features=taught.features)
    assert recipe("simkd").method_terms(batch, own, taught)["simkd"] == 0


@functools.cache
def shape_of(name: str, size: int = 32) -> NetworkShape:
    with torch.device("meta"):
        return create_network(name, classes=4, image_size=(size, size)).shape


@pytest.mark.parametrize("size", [32, 64, 128])
def test_cifar_networks_are_paired_as_published(recipe_module: Module, size: int) -> None:
    """All pairs of them: counted from the input, save ResNet50 with a ShuffleNet."""
    stage_numbers = recipe_module("_maps").stage_numbers
    others = set()
    for student, teacher in itertools.product([info.name for info in CIFAR_NETWORKS], repeat=2):
        s, t = shape_of(student, size), shape_of(teacher, size)
        count = min(len(s.stage_shapes), len(t.stage_shapes))
        if stage_numbers(s, t) != [(number, number) for number in range(1, count)]:
            others.add((student, teacher))
    shuffles = ("ShuffleV1", "ShuffleV2")
    expected = {("ResNet50", other) for other in shuffles}
    assert others == expected | {(other, "ResNet50") for other in shuffles}
    pairs = stage_numbers(shape_of("ShuffleV1", size), shape_of("ResNet50", size))
    assert pairs == [(1, 2), (2, 3), (3, 4)], "where the sizes are equal"


@pytest.mark.parametrize("student", ["timm/resnet18", "timm/mobilenetv3_small_100", "timm/vgg11"])
@pytest.mark.parametrize("teacher", ["timm/convnext_tiny", "timm/swin_tiny_patch4_window7_224"])
def test_stages_of_one_size_are_paired_whether_a_stem_is_shown_or_not(
    recipe_module: Module, student: str, teacher: str
) -> None:
    s, t = shape_of(student, 224), shape_of(teacher, 224)
    for one, other in ((s, t), (t, s)):
        pairs = recipe_module("_maps").stage_pairs(one.stages, other.stages)
        assert [a[1] for a, _ in pairs] == [b[1] for _, b in pairs] == [56, 28, 14, 7]


def test_stages_of_a_plain_transformer_are_paired_in_order(recipe_module: Module) -> None:
    vit, resnet = shape_of("timm/vit_tiny_patch16_224", 224), shape_of("timm/resnet18", 224)
    numbers = recipe_module("_maps").stage_numbers(vit, resnet)
    assert numbers == [(0, 1), (1, 2), (2, 3), (3, 4)]


sizes = st.lists(st.sampled_from([1, 2, 4, 7, 8, 14, 16, 28, 56]), min_size=1, max_size=5)


@given(student=sizes, teacher=sizes)
def test_every_stage_of_the_shorter_network_has_a_partner_in_order(
    recipe_module: Module, student: list[int], teacher: list[int]
) -> None:
    student, teacher = sorted(student, reverse=True), sorted(teacher, reverse=True)
    shapes = [[(n, size, size) for n, size in enumerate(net)] for net in (student, teacher)]
    stage_pairs = recipe_module("_maps").stage_pairs
    pairs = stage_pairs(*shapes)
    assert len(pairs) == min(len(student), len(teacher))
    for side in zip(*pairs, strict=True):
        assert list(side) == sorted(side), "in order"
    turned = stage_pairs(*reversed(shapes))
    assert [(t, s) for s, t in turned] == pairs
    cost = sum(abs(math.log2(s[1] / t[1])) for s, t in pairs)
    counted = sum(abs(math.log2(s / t)) for s, t in zip(student, teacher, strict=False))
    assert cost <= counted + 1e-9, "never worse than counting"


def test_fitnet_finds_its_stage_in_networks_without_a_stem() -> None:
    student, teacher = shape_of("timm/resnet18", 224), shape_of("timm/convnext_tiny", 224)
    with torch.device("meta"):
        method = recipe("fitnet")
        method.build(Context(student, teacher, torch.arange(4)))
    assert student.stage_shapes[method.map_s][1] == teacher.stage_shapes[method.map_t][1] == 28
    assert recipe("fitnet", hint_stage=4).refuse(Proposal(student, teacher, 9)) is None
    reason = recipe("fitnet", hint_stage=0).refuse(Proposal(student, teacher, 9))
    assert "does not show its stem" in reason


def test_fsp_refuses_a_network_without_a_stem() -> None:
    shape = NetworkShape(
        classes=4, embedding_dim=8, stage_shapes=((4, 8, 8), (8, 4, 4)), feature_shape=(8, 4, 4)
    )
    bare = dataclasses.replace(shape, has_stem=False)
    assert "stem" in recipe("fsp").refuse(Proposal(shape, bare, 9))


SIGNED = [("resnet14", False), ("MobileNetV2", True), ("wrn_16_1", True), ("vgg8", False)]


@pytest.mark.parametrize(("teacher", "signed"), SIGNED)
def test_fitnet_ends_in_a_relu_where_the_teachers_map_has_one_sign(
    teacher: str, signed: bool
) -> None:
    method = recipe("fitnet")
    method.build(context("resnet8", teacher))
    assert isinstance(method.regressor[-1], torch.nn.ReLU) is not signed


@pytest.mark.parametrize(
    ("teacher", "signed"),
    [
        ("resnet14", False),
        ("wrn_16_1", False),
        ("MobileNetV2", False),
        ("timm/convnext_atto", True),
    ],
)
def test_connectors_reach_signed_features(teacher: str, signed: bool) -> None:
    """They end in a ReLU unless the features that they are compared with may be negative."""
    taught_by = create_network(teacher, classes=4, image_size=(32, 32)).requires_grad_(False)
    own = create_network("resnet8", classes=4)
    srrl = recipe("srrl")
    srrl.build(Context(own.shape, taught_by.shape, torch.arange(4), {"teacher": taught_by}))
    assert isinstance(srrl.connector[-1], torch.nn.ReLU) is not signed
    projected = recipe("simkd").adapt(own, {"teacher": taught_by})
    assert isinstance(projected.projector[-1], torch.nn.ReLU) is not signed
    assert projected.shape.signed_features is signed
    outputs = projected(torch.randn(4, 3, 32, 32), maps=True, class_maps=True)
    assert (outputs.features.min() < 0) == signed
    mean = outputs.class_maps.mean(dim=(2, 3))
    torch.testing.assert_close(mean, outputs.logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("networks", [("resnet8", "wrn_16_2"), ("resnet8", "vgg8")], ids=str)
def test_fsp_refuses_unequal_widths_and_numbers_of_stages(networks: tuple[str, str]) -> None:
    assert "channel with channel" in recipe("fsp").refuse(proposal(*networks))
    assert recipe("fsp").refuse(proposal("resnet8", "resnet14")) is None


def test_flows_equal_the_mean_of_products(recipe_module: Module) -> None:
    below, above = torch.randn(2, 3, 8, 8), torch.randn(2, 5, 4, 4)
    averaged = torch.nn.functional.avg_pool2d(below, 2)
    slow = (averaged[:, :, None] * above[:, None]).mean(dim=(3, 4))
    torch.testing.assert_close(recipe_module("fsp").flow(below, above), slow)


def test_boundaries_only_count_on_the_wrong_side(recipe_module: Module) -> None:
    loss_of = recipe_module("ab").boundary_loss
    teacher = torch.tensor([2.0, -2.0]).view(1, 2, 1, 1)
    right = torch.tensor([1.5, -1.5]).view(1, 2, 1, 1)
    assert loss_of([right], [teacher]) == 0
    wrong = torch.tensor([0.5, -0.5]).view(1, 2, 1, 1)
    assert loss_of([wrong], [teacher]).item() == pytest.approx(0.003 * 2 * 0.5**2)
    # The last of two stages counts in full, the one before it half.
    both = loss_of([wrong, right], [teacher, teacher]) * 2
    torch.testing.assert_close(both, loss_of([right, wrong], [teacher, teacher]))


def test_the_temperature_climbs_as_its_strength_grows() -> None:
    """Its gradient is the reversed one: a step down is a step towards a larger loss."""
    method = recipe("ctkd")
    method.build(context("resnet8", "resnet14"))
    torch.manual_seed(0)
    logits_s, logits_t = torch.randn(2, 4, 6)
    batch = Batch(torch.empty(0), torch.tensor([0, 1, 2, 3]), torch.arange(4), 0.0)

    def gradient(progress: float) -> float:
        outputs = [type("Outputs", (), {"logits": z}) for z in (logits_s, logits_t)]
        at = dataclasses.replace(batch, progress=progress)
        loss = method(at, *outputs)["kd"]
        return torch.autograd.grad(loss, method.theta)[0].item()

    def true_gradient() -> float:
        step, losses = 1e-3, []
        for shift in (step, -step):
            temperature = 1.0 + 20.0 * torch.sigmoid(method.theta.detach().double() + shift)
            log_s, log_t = ((z.double() / temperature).log_softmax(1) for z in (logits_s, logits_t))
            kl = (log_t.exp() * (log_t - log_s)).sum(1).mean()
            losses.append(0.9 * kl * temperature**2)
        return ((losses[0] - losses[1]) / (2 * step)).item()

    assert gradient(0.0) == 0
    assert gradient(1 / 48) == pytest.approx(-0.5 * true_gradient(), rel=1e-3)
    assert gradient(1 / 24) == pytest.approx(-true_gradient(), rel=1e-3)
    assert gradient(1.0) == gradient(1 / 24)


def test_self_kd_learns_from_its_own_architecture() -> None:
    roles = recipe("self-kd").roles(Pair("resnet14", "resnet8"))
    assert {name: (role.network, role.recipe) for name, role in roles.items()} == {
        "teacher": ("resnet8", "vanilla")
    }


@pytest.mark.parametrize("name", ["kd", "kdmse", "dkd", "dist", "ctkd", "self-kd"])
def test_standardised_logits_have_no_scale(name: str) -> None:
    """The distilled terms are the same for logits times a number plus a number."""
    batch = Batch(torch.empty(0), torch.tensor([0, 1, 2, 3]), torch.arange(4), 1.0)
    torch.manual_seed(0)
    logits_s, logits_t = torch.randn(2, 4, 6)

    def terms(scale: float, shift: float) -> list[Tensor]:
        method = recipe(name, standardise=True)
        method.build(context("resnet8", "resnet14"))
        outputs = [type("Outputs", (), {"logits": scale * z + shift}) for z in (logits_s, logits_t)]
        return [term for key, term in method(batch, *outputs).items() if key != "ce"]

    torch.testing.assert_close(terms(1.0, 0.0), terms(7.0, -3.0), rtol=1e-4, atol=1e-6)


def test_the_standardised_kd_is_ls_kd() -> None:
    batch = Batch(torch.empty(0), torch.tensor([0, 1, 2, 3]), torch.arange(4), 1.0)
    outputs = [type("Outputs", (), {"logits": torch.randn(4, 6)}) for _ in range(2)]
    own = recipe("ls-kd")
    values = {name: getattr(own, name) for name in ("temperature", "ce_weight", "kd_weight")}
    assert recipe("kd", standardise=True, **values)(batch, *outputs) == own(batch, *outputs)


def test_class_attention_compares_the_averages_of_quarters(recipe_module: Module) -> None:
    maps_s, maps_t = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 8, 8)
    errors = []
    for row, column in itertools.product(range(2), repeat=2):
        quarters = []
        for maps in (maps_s, maps_t):
            half = maps.shape[2] // 2
            rows, columns = (slice(at * half, (at + 1) * half) for at in (row, column))
            quarters.append(maps[:, :, rows, columns].mean(dim=(2, 3)))
        errors.append((quarters[0] - quarters[1]).square())
    loss = recipe_module("cat_kd").class_map_loss(maps_s, maps_t, 2)
    torch.testing.assert_close(loss, torch.stack(errors).mean())


def test_class_attention_at_one_position_compares_logits() -> None:
    """The mean of the class maps is what the network predicts."""
    student, teacher = create_network("resnet8", classes=4), create_network("vgg8", classes=4)
    images = torch.randn(3, 3, 32, 32)
    own, taught = (net.eval()(images, class_maps=True) for net in (student, teacher))
    batch = Batch(images, torch.tensor([0, 1, 2]), torch.arange(3), 0.0)
    term = recipe("cat-kd", resolution=1).method_terms(batch, own, taught)["cat"]
    expected = 15 * (own.logits - taught.logits).square().mean()
    torch.testing.assert_close(term, expected, rtol=1e-4, atol=1e-6)


def test_class_attention_refuses_networks_without_class_maps() -> None:
    shapes = shape_of("timm/convnext_atto", 64), shape_of("timm/resnet18", 64)
    for student, teacher in (shapes, shapes[::-1]):
        reason = recipe("cat-kd").refusal(Proposal(student, teacher, 9))
        assert "'timm/convnext_atto' makes its embedding by more than a mean" in reason
    assert recipe("cat-kd").refusal(Proposal(shapes[1], shapes[1], 9)) is None


def test_shapes_without_a_teacher_say_so() -> None:
    for shapes in (
        Context(shape_of("resnet8"), None, torch.arange(4)),
        Proposal(shape_of("resnet8"), None, images=9),
    ):
        with pytest.raises(RecipeError, match="has no teacher, and asks for the teacher's shape"):
            shapes.teacher  # noqa: B018 - the property raises


def test_label_smoothing_needs_no_teacher() -> None:
    method = recipe("label-smoothing", smoothing=0.25)
    assert method.roles(Pair("resnet14", "resnet8")) == {}
    logits = torch.randn(2, 4)
    outputs = type("Outputs", (), {"logits": logits})
    batch = Batch(torch.empty(0), torch.tensor([1, 3]), torch.arange(2), 0.0)
    wanted = torch.full((2, 4), 0.25 / 4)
    wanted[[0, 1], [1, 3]] += 0.75
    expected = -(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close(method(batch, outputs, None)["ce"], expected)
    with pytest.raises(UsageError, match="smoothing"):
        recipe("label-smoothing", smoothing=1)


def test_shapes_without_a_second_stage_have_nothing_for_kdsvd() -> None:
    shape = NetworkShape(
        classes=4, embedding_dim=8, stage_shapes=((4, 8, 8), (8, 4, 4)), feature_shape=(8, 4, 4)
    )
    assert "there is one" in recipe("kdsvd").refuse(Proposal(shape, shape, 9))
