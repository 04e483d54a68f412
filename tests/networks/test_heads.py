import pytest
import torch
from torch import nn

from benchmark.errors import NetworkError
from benchmark.networks.cost import count_macs, count_parameters
from benchmark.networks.creation import create_network
from benchmark.networks.heads import FrozenHead, SharedHead

IMAGES = (2, 3, 32, 32)


@pytest.fixture
def teacher():
    return create_network("resnet8x4", classes=10)


def test_frozen_head_of_equal_width_is_the_classifier_alone(teacher):
    head = FrozenHead(teacher.classifier, 256)
    embedding = torch.randn(4, 256, requires_grad=True)
    assert torch.equal(head(embedding), teacher.classifier(embedding))
    assert set(head.state_dict()) == {"classifier.weight", "classifier.bias"}
    head(embedding).sum().backward()
    assert embedding.grad is not None
    assert not any(p.requires_grad for p in head.parameters())


def test_frozen_head_projects_where_widths_differ(teacher):
    head = FrozenHead(teacher.classifier, 64)
    head(torch.randn(4, 64)).sum().backward()
    assert head.projector.weight.shape == (256, 64)
    assert head.projector.weight.grad is not None
    assert head.classifier.weight.grad is None


def test_frozen_head_is_a_copy(teacher):
    head = FrozenHead(teacher.classifier, 256)
    before = head.classifier.weight.clone()
    with torch.no_grad():
        teacher.classifier.weight.add_(1)
    assert torch.equal(head.classifier.weight, before)
    assert teacher.classifier.weight.requires_grad


@pytest.mark.parametrize(
    "name", ["resnet8", "resnet8x4", "vgg8", "MobileNetV2", "ShuffleV2", "timm/resnet18"]
)
def test_shared_head_replaces_the_classifier(name, teacher):
    own = create_network(name, classes=10)
    parameters, macs = count_parameters([own]), count_macs(own, (32, 32))
    width, own_layer = own.embedding_dim, own.classifier
    projection = 0 if width == 256 else width * 256
    network = SharedHead(own, teacher.classifier)
    network.eval()
    outputs = network(torch.randn(IMAGES), maps=True)
    assert outputs.embedding.shape == (2, 256)
    assert torch.equal(outputs.logits, teacher.classifier(outputs.embedding))
    assert network.shape.embedding_dim == 256
    assert network.shape.classes == 10
    assert len(outputs.maps) == len(network.stage_shapes)
    assert not any(module is own_layer for module in network.modules())
    bias = 256 if projection else 0
    head = 256 * 10 + 10
    assert count_parameters([network]) == parameters - width * 10 - 10 + projection + bias + head
    assert count_macs(network, (32, 32)) == macs - width * 10 + projection + 2560


@pytest.mark.parametrize("name", ["resnet8", "resnet8x4", "MobileNetV2", "timm/resnet18"])
def test_shared_head_has_class_maps_where_the_network_has(name, teacher):
    """Also behind a projector: the mean of an affine map is the affine map of the mean."""
    network = SharedHead(create_network(name, classes=10), teacher.classifier).eval()
    outputs = network(torch.randn(IMAGES), class_maps=True)
    assert outputs.class_maps.shape[:2] == (2, 10)
    mean = outputs.class_maps.mean(dim=(2, 3))
    torch.testing.assert_close(mean, outputs.logits, rtol=1e-5, atol=1e-5)


def test_shared_head_tells_of_its_network(teacher):
    with torch.device("meta"):
        own = create_network("timm/convnext_atto", classes=10, image_size=(64, 64))
    plain = own.shape
    shape = SharedHead(own, teacher.classifier).shape
    assert (shape.has_stem, shape.signed_maps) == (False, (True,) * 4)
    assert shape.no_class_maps == plain.no_class_maps
    assert SharedHead(create_network("resnet8x4", classes=10), teacher.classifier).shape == (
        teacher.shape
    )
    projected = SharedHead(create_network("resnet8", classes=10), teacher.classifier).shape
    assert projected.signed_features, "a projector's output has both signs"


def test_shared_head_stays_frozen_in_the_state_dict(teacher):
    network = SharedHead(create_network("resnet8", classes=10), teacher.classifier)
    network(torch.randn(IMAGES)).logits.sum().backward()
    assert torch.equal(network.state_dict()["head.classifier.weight"], teacher.classifier.weight)
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert frozen == ["head.classifier.weight", "head.classifier.bias"]
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)


def test_shared_head_can_be_shared_on(teacher):
    once = SharedHead(create_network("resnet8", classes=10), teacher.classifier)
    twice = SharedHead(once, nn.Linear(64, 10))
    outputs = twice(torch.randn(IMAGES))
    assert outputs.logits.shape == (2, 10)
    assert outputs.embedding.shape == (2, 64)


def test_without_projector_widths_must_agree(teacher):
    with pytest.raises(NetworkError, match="reads 256 features, the network has 64"):
        SharedHead(create_network("resnet8", classes=10), teacher.classifier, projector=False)
