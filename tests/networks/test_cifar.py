import pytest
import torch
from torch import nn

from benchmark.errors import NetworkError
from benchmark.networks.cost import count_macs, count_parameters, meta_images
from benchmark.networks.creation import create_network
from tests.networks.published_networks import (
    FACTS,
    filled_network,
    reference_images,
    state_dict_digest,
)

FAMILIES = [
    "resnet8",
    "resnet8x4",
    "ResNet50",
    "wrn_16_1",
    "wrn_16_2",
    "vgg8",
    "MobileNetV2",
    "ShuffleV1",
    "ShuffleV2",
]


def meta(name, **kwargs):
    with torch.device("meta"):
        return create_network(name, **({"classes": 100} | kwargs))


def test_state_dict_and_costs_are_the_published_ones(name):
    network, facts = meta(name), FACTS[name]
    assert len(network.state_dict()) == facts["state_dict_entries"]
    assert state_dict_digest(network) == facts["state_dict_sha256"]
    assert count_parameters([network]) == facts["parameters"]
    assert count_macs(network, (32, 32)) == facts["macs"]
    assert f"{facts['classifier']}.weight" in network.state_dict()
    assert network.shape.embedding_dim == facts["embedding_dim"]
    assert [list(shape) for shape in network.shape.stage_shapes] == facts["stage_shapes"]


def test_values_are_the_published_ones(name):
    network, facts = filled_network(name), FACTS[name]
    with torch.no_grad():
        outputs = network(reference_images(), maps=True)
    logits = outputs.logits[:, :8].tolist()
    assert logits == [pytest.approx(row, rel=1e-10) for row in facts["logits"]]
    assert outputs.embedding.norm(dim=1).tolist() == pytest.approx(facts["embedding_norm"])
    assert mean_abs(outputs.maps) == pytest.approx(facts["map_mean_abs"], rel=1e-10)
    assert mean_abs(outputs.preactivations) == pytest.approx(
        facts["preactivation_mean_abs"], rel=1e-10
    )


def mean_abs(tensors):
    return [tensor.abs().mean().item() for tensor in tensors]


@pytest.mark.parametrize("family", FAMILIES)
def test_asking_for_maps_changes_nothing_else(family):
    images = torch.randn(3, 3, 32, 32)
    plain, kept = create_network(family, classes=7), create_network(family, classes=7)
    kept.load_state_dict(plain.state_dict())
    a, b = plain(images), kept(images, maps=True)
    a.logits.square().sum().backward()
    b.logits.square().sum().backward()
    assert a.maps == a.preactivations == ()
    assert torch.equal(a.logits, b.logits)
    assert torch.equal(a.embedding, b.embedding)
    for p, q in zip(plain.parameters(), kept.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)
    # BatchNorm statistics: nothing may run twice because maps were asked for.
    for p, q in zip(plain.buffers(), kept.buffers(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("family", [f for f in FAMILIES if not f.startswith(("wrn", "Mobile"))])
def test_a_map_is_its_activated_preactivation(family):
    outputs = create_network(family, classes=3)(torch.randn(2, 3, 32, 32), maps=True)
    for after, before in zip(outputs.maps[1:], outputs.preactivations[1:], strict=True):
        assert torch.equal(after, before.relu())
        assert before.min() < 0


def test_mobilenet_stages_end_without_activation():
    outputs = create_network("MobileNetV2", classes=3)(torch.randn(2, 3, 32, 32), maps=True)
    assert all(a is b for a, b in zip(outputs.maps, outputs.preactivations, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", [(32, 32), (33, 45), (64, 64), (100, 70)])
def test_stage_shapes_are_told_for_the_image_size(family, size):
    network = meta(family, image_size=size)
    outputs = network(meta_images(network, size), maps=True)
    assert tuple(tuple(m.shape[1:]) for m in outputs.maps) == network.stage_shapes
    assert [m.shape for m in outputs.maps] == [p.shape for p in outputs.preactivations]
    assert outputs.embedding.shape == (2, network.embedding_dim)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embedding_is_the_mean_of_the_features(family):
    network = create_network(family, classes=3).eval()
    images = torch.randn(2, 3, 32, 32)
    outputs = network(images, maps=True)
    torch.testing.assert_close(outputs.features.mean(dim=(2, 3)), outputs.embedding)
    assert tuple(outputs.features.shape[1:]) == network.shape.feature_shape
    with pytest.raises(NetworkError, match=r'needs=\{"maps"\}'):
        network(images).features  # noqa: B018 - the property raises


def test_class_maps_are_the_classifier_at_every_position(name):
    network = create_network(name, classes=5).eval()
    images = torch.randn(2, 3, 32, 32)
    outputs = network(images, class_maps=True)
    assert network.shape.no_class_maps is None
    assert outputs.class_maps.shape == (2, 5, *network.feature_shape[1:])
    mean = outputs.class_maps.mean(dim=(2, 3))
    torch.testing.assert_close(mean, outputs.logits, rtol=1e-5, atol=1e-5)
    assert outputs.maps == (), "maps were not asked for"
    with pytest.raises(NetworkError, match=r'needs=\{"class_maps"\}'):
        network(images, maps=True).class_maps  # noqa: B018 - the property raises


def test_what_is_signed_is_told(name):
    """Of every map and of the features, that they may be negative; after some noise they are."""
    network = create_network(name, classes=3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
        outputs = network(torch.randn(4, 3, 32, 32), maps=True)
    shape = network.shape
    told = [shape.is_signed(number) for number in range(len(outputs.maps))]
    assert told == [bool((image < 0).any()) for image in outputs.maps]
    assert shape.signed_features == bool((outputs.features < 0).any())


def test_the_first_map_is_the_stem(name):
    network = meta(name)
    outputs = network(meta_images(network, (32, 32)), maps=True)
    assert network.shape.has_stem
    assert len(outputs.stages) == len(outputs.stage_preactivations) == len(outputs.maps) - 1
    assert network.shape.stages == network.stage_shapes[1:]


@pytest.mark.parametrize("family", FAMILIES)
def test_classifier_reads_the_embedding(family):
    network = create_network(family, classes=5)
    assert isinstance(network.classifier, nn.Linear)
    outputs = network(torch.randn(2, 3, 32, 32))
    assert torch.equal(outputs.logits, network.classifier(outputs.embedding))
    assert network.shape.classes == 5


@pytest.mark.parametrize("family", ["resnet8x4", "wrn_16_2", "vgg8", "MobileNetV2", "ResNet50"])
def test_convolutions_start_with_he_initialisation(family):
    network = create_network(family, classes=100)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 20_000:
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert module.bias.eq(0).all()


def test_equal_seeds_give_equal_networks():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(create_network("resnet8", classes=10).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
