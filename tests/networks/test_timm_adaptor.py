import pytest
import timm
import torch
from torch import nn

from benchmark.errors import NetworkError, UnknownName
from benchmark.networks.creation import create_network

SIZE = (64, 64)
# Expected stage shapes at 64x64.
MODELS = {
    "timm/resnet18": [(64, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)],
    "timm/mobilenetv3_large_100": [
        (16, 32, 32),
        (24, 16, 16),
        (40, 8, 8),
        (112, 4, 4),
        (960, 2, 2),
    ],
    "timm/convnext_atto": [(40, 16, 16), (80, 8, 8), (160, 4, 4), (320, 2, 2)],
    "timm/vit_tiny_patch16_224": [(192, 4, 4)] * 4,
}


@pytest.fixture(params=MODELS, scope="module")
def network(request):
    torch.manual_seed(0)
    network = create_network(request.param, classes=7, image_size=SIZE).eval()
    with torch.no_grad():
        for parameter in network.parameters():  # so that no layer is an identity by its start
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return network


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, *SIZE)


@torch.no_grad()
def test_answers_as_the_model_itself(network, images):
    outputs = network(images, maps=True)
    torch.testing.assert_close(outputs.logits, network.model(images))
    torch.testing.assert_close(network(images).logits, outputs.logits)
    torch.testing.assert_close(network.classifier(outputs.embedding), outputs.logits)


def test_shows_its_stages(network, images):
    outputs = network(images, maps=True)
    assert list(network.stage_shapes) == MODELS[network.name]
    assert [tuple(m.shape[1:]) for m in outputs.maps] == MODELS[network.name]
    assert outputs.preactivations == outputs.maps
    assert network(images).maps == ()
    assert network.shape.classes == 7
    assert outputs.embedding.shape == (2, network.embedding_dim)


def test_the_embedding_is_the_mean_of_the_features(network, images):
    """Features have one position where the embedding is made otherwise: by a norm, by a token."""
    features = network(images, maps=True).features
    assert tuple(features.shape[1:]) == network.shape.feature_shape
    torch.testing.assert_close(features.mean(dim=(2, 3)), network(images).embedding)
    size = (2, 2) if network.name == "timm/resnet18" else (1, 1)
    assert network.feature_shape[1:] == size
    with pytest.raises(NetworkError, match="were not asked for"):
        network(images).features  # noqa: B018 - the property raises


def test_it_tells_whether_it_shows_its_stem(network, images):
    """Of 64 pixels a stem has 32; what begins at 16 or 4 is a stage."""
    has_stem = MODELS[network.name][0][1] == 32
    assert network.shape.has_stem is has_stem
    outputs = network(images, maps=True)
    assert [tuple(m.shape[1:]) for m in outputs.stages] == MODELS[network.name][has_stem:]
    assert network.shape.stages == network.stage_shapes[has_stem:]


@torch.no_grad()
def test_what_is_signed_is_told(network, images):
    outputs, shape = network(images, maps=True), network.shape
    told = [shape.is_signed(number) for number in range(len(outputs.maps))]
    assert told == [bool((image < 0).any()) for image in outputs.maps]
    assert shape.signed_features == bool((outputs.features < 0).any())


@torch.no_grad()
def test_class_maps_or_why_there_are_none(network, images):
    outputs = network(images, class_maps=True)
    if network.name == "timm/resnet18":
        mean = outputs.class_maps.mean(dim=(2, 3))
        torch.testing.assert_close(mean, outputs.logits, rtol=1e-5, atol=1e-5)
        assert network.shape.no_class_maps is None
    else:
        assert outputs.maybe_class_maps is None
        assert "more than a mean over positions" in network.shape.no_class_maps
        assert network.name in network.shape.no_class_maps


@pytest.mark.parametrize(
    ("name", "signed_maps", "signed_features"),
    [
        # Pooled or rewritten activations are not recognised, and then count as signed.
        ("timm/regnety_002", (False,) * 5, False),
        ("timm/mobilenetv2_100", (True,) * 5, False),
        ("timm/efficientnet_b0", (True,) * 5, True),
        ("timm/densenet121", (False, True, True, True, False), False),
        ("timm/resnetv2_18", (True,) * 5, False),
    ],
)
def test_signs_are_found_without_computing(name, signed_maps, signed_features):
    with torch.device("meta"):
        shape = create_network(name, classes=7, image_size=SIZE).shape
    assert (shape.signed_maps, shape.signed_features) == (signed_maps, signed_features)


def test_gradients_reach_every_parameter(network, images):
    outputs = network(images, maps=True)
    (outputs.logits.sum() + sum(m.square().mean() for m in outputs.maps)).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_convolutional_classifier_becomes_linear(images):
    torch.manual_seed(0)
    model = timm.create_model("resnetv2_18", num_classes=7).eval()
    network = create_network("timm/resnetv2_18", classes=7, image_size=SIZE).eval()
    assert isinstance(network.classifier, nn.Linear)
    state = {f"model.{key}": value for key, value in model.state_dict().items()}
    state["model.head.fc.weight"] = state["model.head.fc.weight"].flatten(1)
    network.load_state_dict(state)
    torch.testing.assert_close(network(images).logits, model(images))


def test_builds_on_the_meta_device():
    with torch.device("meta"):
        network = create_network("timm/resnet18", classes=7)
    assert all(p.is_meta for p in network.parameters())


def test_a_tag_chooses_weights_and_not_the_architecture():
    with torch.device("meta"):
        network = create_network("timm/resnet18.a1_in1k", classes=7)
    assert network.embedding_dim == 512


def test_unknown_model_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="Did you mean 'timm/convnext_tiny'"):
        create_network("timm/convnext_tinny", classes=7)


@pytest.mark.parametrize("name", ["timm/efficientvit_m0", "timm/levit_128"])
def test_refuses_models_without_one_linear_classifier(name):
    with torch.device("meta"), pytest.raises(NetworkError, match="one linear classifier"):
        create_network(name, classes=7, image_size=(224, 224))


def test_refuses_image_sizes_that_the_model_cannot_take():
    with torch.device("meta"), pytest.raises(NetworkError, match="for images of 8x8"):
        create_network("timm/vit_tiny_patch16_224", classes=7, image_size=(8, 8))


def test_images_are_corrected_to_what_the_weights_expect(images):
    """As if they had been normalised so from the beginning."""
    network = create_network("timm/vit_tiny_patch16_224", classes=7, image_size=SIZE).eval()
    own_mean, own_std = (torch.tensor(network.model.pretrained_cfg[k]) for k in ("mean", "std"))
    pixels = torch.rand(2, 3, *SIZE)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    assert tuple(own_mean.tolist()) != mean

    def normalised(mean, std):
        return (pixels - mean[:, None, None]) / std[:, None, None]

    expected = network.model(normalised(own_mean, own_std))
    keys = network.state_dict().keys()
    network.expect(mean, std)
    given = normalised(torch.tensor(mean), torch.tensor(std))
    torch.testing.assert_close(network(given).logits, expected, rtol=1e-4, atol=1e-5)
    assert network.state_dict().keys() == keys
    other = create_network("timm/resnet18", classes=7, image_size=SIZE).eval()
    before = other(given).logits
    other.expect(mean, std)
    assert torch.equal(other(given).logits, before)
