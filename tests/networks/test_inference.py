import torch
from torch import nn

from benchmark.networks.creation import create_network
from benchmark.networks.heads import SharedHead
from benchmark.networks.inference import inference_copy
from tests.networks.published_networks import filled_network, reference_images

# BatchNorms that stay: those before the convolutions of a Wide ResNet, and those of timm.
KEPT = {"wrn_16_1": 7, "wrn_16_2": 7, "wrn_40_1": 19, "wrn_40_2": 19}


def batchnorms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def assert_same(ours, slow):
    torch.testing.assert_close(ours.logits, slow.logits, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.embedding, slow.embedding, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.maps, slow.maps, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.preactivations, slow.preactivations, rtol=1e-9, atol=1e-9)


def test_answers_as_its_slow_twin(name):
    network = filled_network(name)
    fast = inference_copy(network)
    assert batchnorms(fast) == KEPT.get(name, 0)
    with torch.no_grad():
        images = reference_images()
        assert_same(fast(images, maps=True), network(images, maps=True))
        assert_same(fast(images), network(images))


def test_leaves_the_network_alone():
    network = create_network("resnet8", classes=4).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fast = inference_copy(network)
    assert network.training
    assert not fast.training
    assert all(p.requires_grad for p in network.parameters())
    assert not any(p.requires_grad for p in fast.parameters())
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_copy_can_be_copied():
    network = filled_network("resnet8")
    fast = inference_copy(inference_copy(network))
    assert_same(fast(reference_images()), network(reference_images()))


def test_folds_below_a_shared_head():
    network = SharedHead(filled_network("resnet8"), filled_network("vgg8").classifier.double())
    network = network.double().eval()
    fast = inference_copy(network)
    assert batchnorms(fast) == 0
    assert_same(fast(reference_images(), maps=True), network(reference_images(), maps=True))


def test_leaves_timm_unfolded():
    network = create_network("timm/resnet18", classes=4).double().eval()
    fast = inference_copy(network)
    assert batchnorms(fast) == batchnorms(network) > 0
    assert_same(fast(reference_images(), maps=True), network(reference_images(), maps=True))
