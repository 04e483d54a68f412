"""A teacher that fits its student: it is trained on the student's frozen classifier.

    L = CE(p, y),    p = softmax(W_s · e_t + b_s)

W_s and b_s are the classifier of the student's architecture after training alone, and stay as they
are. Where the widths differ, a linear projector trained with the teacher stands before them; the
paper has no such case. With independent=true that training has a seed of its own, so that a student
taught by this teacher is another draw (sh_kd.py).

Ben-Baruch et al., "It's All in the Head: Representation Knowledge Distillation through Classifier
Sharing", arXiv:2201.06945.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch.nn.functional as F

from benchmark import (
    Batch,
    Later,
    Network,
    Outputs,
    Pair,
    Recipe,
    Role,
    SharedHead,
    Terms,
    register,
)


@register("sh-teacher", family="head", paper="arXiv:2201.06945", trains="teacher")
class SharedHeadTeacher(Recipe):
    independent: Annotated[bool, Later] = False  # true: the classifier's donor has another seed

    def roles(self, pair: Pair) -> dict[str, Role]:
        return {"head": Role(pair.student, draw=int(self.independent))}

    def adapt(self, network: Network, roles: Mapping[str, Network]) -> Network:
        return SharedHead(network, roles["head"].classifier)

    def forward(self, batch: Batch, student: Outputs, teacher: None) -> Terms:
        return {"ce": F.cross_entropy(student.logits, batch.labels)}
