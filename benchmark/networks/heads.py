"""Frozen classifiers of one network on the embedding of another.

The teacher's classifier on the student (TH-KD) and the student's on the teacher (SH-KD) come from
"Knowledge distillation with head sharing", arXiv:2201.06945. The paper combines networks of equal
width; the trained projector for unequal widths is an extension.
"""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import Tensor, nn

from benchmark.errors import NetworkError
from benchmark.networks.outputs import Network, Outputs, Shape, at_every_position


class FrozenHead(nn.Module):
    """A frozen copy of a classifier, after a trained linear projector where widths differ.

    Args:
        classifier: the layer to copy; it is left as it is.
        in_features: width of the embedding that the head reads.
    """

    def __init__(self, classifier: nn.Linear, in_features: int) -> None:
        super().__init__()
        self.projector: nn.Linear | nn.Identity = nn.Identity()
        if in_features != classifier.in_features:
            self.projector = nn.Linear(in_features, classifier.in_features)
        self.classifier = copy.deepcopy(classifier).requires_grad_(False)

    def forward(self, embedding: Tensor) -> Tensor:
        """Logits (B, K) of an embedding (B, in_features)."""
        logits: Tensor = self.classifier(self.projector(embedding))
        return logits


class SharedHead(Network):
    """A network whose own classifier is replaced by another network's, frozen.

    It takes the network over: the network's own classifier is removed from it, so that it is
    neither computed nor counted. ``embedding`` is what the frozen classifier sees.

    Args:
        network: the network to take over.
        classifier: the layer of the other network; a frozen copy of it is made.
        projector: allow a trained projector before the frozen classifier if the widths differ.

    Raises:
        NetworkError: the widths differ and no projector is allowed.
    """

    def __init__(self, network: Network, classifier: nn.Linear, *, projector: bool = True) -> None:
        super().__init__()
        if not projector and network.embedding_dim != classifier.in_features:
            raise NetworkError(
                f"the shared classifier reads {classifier.in_features} features, the network has "
                f"{network.embedding_dim}: allow a projector or choose networks of equal width."
            )
        self.head = FrozenHead(classifier, network.embedding_dim)
        remove_classifier(network)
        self.network = network
        self.embedding_dim = classifier.in_features
        self.stage_shapes, self.has_stem = network.stage_shapes, network.has_stem
        self.signed_maps, self.no_class_maps = network.signed_maps, network.no_class_maps
        self.signed_features = self.has_projector or network.signed_features

    @property
    def has_projector(self) -> bool:
        """Whether a projector stands between the network's embedding and the classifier."""
        return not isinstance(self.head.projector, nn.Identity)

    @property
    def feature_shape(self) -> Shape:
        """Of the network; one position where a projector stands between them and the classifier."""
        return (self.embedding_dim, 1, 1) if self.has_projector else self.network.feature_shape

    @property
    def classifier(self) -> nn.Linear:
        """The frozen layer."""
        return self.head.classifier

    def forward(self, images: Tensor, *, maps: bool = False, class_maps: bool = False) -> Outputs:
        """Classify images (B, 3, H, W), and show on the way what is asked for."""
        outputs: Outputs = self.network(images, maps=maps, class_maps=class_maps)
        embedding = self.head.projector(outputs.embedding)
        features, own_maps = outputs.maybe_features, outputs.maybe_class_maps
        if features is not None and self.has_projector:
            features = embedding[:, :, None, None]
        return replace(
            outputs,
            logits=self.head.classifier(embedding),
            embedding=embedding,
            maybe_features=features,
            # A network without a classifier gives its features in the place of class maps.
            maybe_class_maps=None if own_maps is None else at_every_position(self.head, own_maps),
        )


def classifier_key(network: Network) -> str:
    """Where the classifier stands in the state dict, e.g. ``fc``."""
    classifier = network.classifier
    key: str = next(name for name, module in network.named_modules() if module is classifier)
    return key


def remove_classifier(network: Network) -> None:
    """Put an identity in the place of the classifier; its logits are then the embedding."""
    *parents, name = classifier_key(network).split(".")
    parent: nn.Module = network
    for key in parents:
        # Not by attribute: "classifier" may be both a published key and the property.
        parent = dict(parent.named_children())[key]
    parent._modules[name] = nn.Identity()
