"""The schema of a record: the result of one run, one JSON file in ``results/``.

Percentages are written as such (0 … 100). Times are seconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    WrapValidator,
    model_serializer,
    model_validator,
)

from benchmark.records.bounds import (
    MOST_VALUES,
    Amount,
    Count,
    Identity,
    Message,
    Name,
    Number,
    Percent,
    Plain,
    Seed,
    Share,
    Shared,
    SourceDigest,
    Words,
)
from benchmark.strict import Strict

SCHEMA_VERSION: Final = 1
ALONE = "vanilla"  # how a network is trained that builds on no other
# Added to the seed by each independent draw of a role; nobody asks for so many seeds. Such a run is
# trained for what builds on it, and no table counts it among the seeds of its network.
DRAW = 1_000_000
IMPORTED = "imported"  # in place of a recipe's name: weights that the user brought
Status = Literal["ok", "failed", "diverged", "oom", "timeout"]
EvaluatedSplit = Literal["test", "validation"]


class RoleRecord(Strict):
    """A run that this one builds on.

    Attributes:
        identity: of that run.
        network, recipe: what was trained, and how.
        top1: its accuracy in percent: of the weights that taught this run.
        weights: digest of those weights; None in records that are older than the digest, which do
            not have this key.
    """

    identity: Identity
    network: Name
    recipe: Name
    top1: Percent | None = None
    weights: Identity | None = None

    @model_serializer(mode="wrap")
    def _as_old_as_it_is(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(write(self), "weights")


class RunSpec(Strict):
    """What was asked for.

    What changes the result is in the identity (see ``identity_of``); ``pair``, ``changed``,
    ``protocol``, ``default_protocol``, ``ranked`` and ``variant`` only name and file the record.

    Attributes:
        dataset: name of the card.
        data_revision: of the data.
        network: that was trained.
        pair: ``teacher:student`` of the cell; None for a run that is the same in every pair of its
            network, because it builds on no other run, or only on runs of its own network.
        recipe, recipe_version: the method, and the version of its mathematics.
        settings: all settings of the recipe, with defaults filled in; one that the recipe was
            given later (``benchmark.strict.Later``) only where it is not at its default.
        changed: those of the settings that are not the defaults.
        protocol: its name.
        protocol_values: what of the protocol applies to this network.
        default_protocol: whether the protocol is the first of the card.
        ranked: whether the protocol is ranked.
        seed: of initial weights, order and augmentation.
        starts_from: full name of the published weights that the network starts from, with their
            tag; empty if all its weights are drawn.
        roles: the runs it builds on.
        variant: what is unusual about the roles, in a few words ("teacher of teacher.pth"); empty
            if they were trained as the recipe asks by default. Keeps the files of such runs apart.
    """

    dataset: Name
    data_revision: Words
    network: Name
    pair: Words | None
    recipe: Name
    recipe_version: Count
    settings: Plain
    changed: Plain
    protocol: Words
    protocol_values: Plain
    default_protocol: bool
    ranked: bool
    seed: Seed
    starts_from: Words = ""
    roles: dict[Name, RoleRecord] = Field(max_length=MOST_VALUES)
    variant: Words = ""


class Metrics(Strict):
    """What an evaluation gives, on the test set or on what the protocol holds out.

    A record has that of the last epoch. A number that is not finite is refused: who measures asks
    before (a network whose predictions are not finite has diverged).

    Attributes:
        top1, top5: accuracy in percent.
        mean_per_class: mean of the accuracies of the classes, percent.
        nll: mean negative log-likelihood, nats.
        ece: expected calibration error over 15 equal bins of confidence (Guo et al.,
            arXiv:1706.04599), percent.
        agreement: share of images on which it predicts as its teacher does, percent; None without
            a teacher.
        evaluated_on: the split.
        images: their number.
    """

    top1: Percent
    top5: Percent
    mean_per_class: Percent
    nll: Amount
    ece: Percent
    agreement: Percent | None = None
    evaluated_on: EvaluatedSplit
    images: Number

    @model_validator(mode="after")
    def _can_be(self) -> Metrics:
        if self.top5 < self.top1:
            raise ValueError(f"top5 {self.top5} is below top1 {self.top1}, which is a part of it")
        return self


class Diagnostics(Strict):
    """What is kept to look at and never ranked.

    Attributes:
        best_top1, best_epoch: the best accuracy on the evaluated split and its epoch (from 1).
        train_loss: mean sum of the loss terms in the last epoch.
        terms: mean of every weighted loss term in the last epoch.
    """

    best_top1: Percent
    best_epoch: Number
    train_loss: float
    terms: dict[Name, float] = Field(max_length=MOST_VALUES)


class Engine(Strict):
    """What computed a part of a training; another one gives the same run with other last digits.

    Attributes:
        torch: its version.
        device: kind and name.
        processes, threads: how many, the threads of each process.
        precision: of the arithmetic.
        compiled: that steps were (``--compile``); where they were not, there is no such key.
    """

    torch: str
    device: str
    processes: int
    threads: int
    precision: Literal["fp32", "bf16"]
    compiled: Literal[True] | None = None

    @model_serializer(mode="wrap")
    def _as_old_as_it_is(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(write(self), "compiled")


# Of the cost of a run; older records have no such keys.
COUNTED_LATER = (
    "forwards_per_image", "backwards_per_image", "photographs", "earlier", "compiled",
    "teacher_outputs_read", "teacher_outputs",
)  # fmt: skip


class Cost(Strict):
    """Sizes and times.

    Attributes:
        parameters: of what is deployed.
        macs: multiply-accumulates of what is deployed, one image.
        training_parameters: those that were trained, the recipe's own layers included.
        recipe_parameters: of the recipe's own layers.
        train_seconds: spent in this learner's share of the steps: whole group's time over
            the number of learners that shared it when several did.
        evaluation_seconds: spent evaluating.
        group_seconds: wall time of the group's training.
        images_per_s: training images a second of the group.
        peak_memory_mb: of the device during the group; on the CPU of the process until then.
        extra_epochs: trained in stages of the recipe before the protocol's epochs.
        forwards_per_image, backwards_per_image: passes through student and teachers that the
            method makes for one image of the training set, over all the sets of images that it
            sees; None in records that are older than the count, which do not have these keys.
        photographs: by whom those of the training were cropped and coloured, in the end: by the
            device; None, and no such key, if by worker processes, or if images were small. Both
            draw the same; one in nine pixels is rounded otherwise.
        group: identities of the other runs that trained side by side.
        teacher_outputs_read: share of what its group's teachers said of the batches that was read
            from kept files (``--keep-teacher-outputs``), so that its times are without them; a run
            whose teachers computed all has no such key.
        teacher_outputs: ``fp16`` if what the teachers said was rounded to it, in a part of the
            training at least; else there is no such key.
        earlier: other engines than that of the environment, which trained a part of it before it
            was stopped and continued, in their order; a run without any has no such key.
        compiled: that its last steps were (``--compile``), so that its last digits are others;
            where they were not, there is no such key.
    """

    parameters: Count
    macs: Count
    training_parameters: Count
    recipe_parameters: Count
    train_seconds: Amount
    evaluation_seconds: Amount
    group_seconds: Amount
    images_per_s: Amount
    peak_memory_mb: Amount
    extra_epochs: Count = 0
    forwards_per_image: Amount | None = None
    backwards_per_image: Amount | None = None
    photographs: Literal["device"] | None = None
    group: tuple[Identity, ...] = Field(default=(), max_length=MOST_VALUES)
    earlier: tuple[Engine, ...] | None = Field(default=None, max_length=MOST_VALUES)
    compiled: Literal[True] | None = None
    teacher_outputs_read: Share | None = None
    teacher_outputs: Literal["fp16"] | None = None

    @model_serializer(mode="wrap")
    def _as_old_as_it_is(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what was not counted, so that an older record is written as it was read."""
        return _without(write(self), *COUNTED_LATER)


class Environment(Strict):
    """Where it ran.

    Attributes:
        packages: their versions.
        python, platform: version; system and architecture.
        device: ``cpu`` with its architecture, or the name of the GPU.
        processor: its name; None, and no such key, in records that are older than it.
        processes, threads: how many, the threads of each process.
        precision: of the arithmetic.
        git_commit, git_dirty: of the engine's checkout, and whether its code was changed; None
            where it does not run from one.
    """

    packages: dict[Name, Words] = Field(max_length=MOST_VALUES)
    python: Words
    platform: Words
    device: Words
    processor: Words | None = None
    processes: Number
    threads: Number
    precision: Literal["fp32", "bf16"]
    git_commit: Words | None
    git_dirty: bool | None

    @property
    def is_cpu(self) -> bool:
        """Whether the processor computed it."""
        return self.device.partition(" ")[0] == "cpu"

    @property
    def machine(self) -> str:
        """What computed: the GPU's name, or the processor's as far as it is told."""
        return self.processor if self.is_cpu and self.processor else self.device

    @model_serializer(mode="wrap")
    def _as_old_as_it_is(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(write(self), "processor")


class Failure(Strict):
    """Why a run has no result."""

    kind: Name
    message: Message
    where: Words
    epoch: Count | None = None


class Record(Strict):
    """The result of one run.

    Attributes:
        schema_version: of this file.
        identity: sha256 of the canonical specification.
        status: ``ok`` or what went wrong.
        spec: what was asked for.
        recipe_source: of the recipe's file and of the recipe files that it imports from, see
            ``benchmark.recipe.source.Source``: of the meaning, ``tree1:…``, or in older records of
            the text; of weights that were brought, sha256 of their file.
        published_weights: sha256 of the file with the weights that ``spec.starts_from`` names;
            None if there is none, or if timm fetched them from elsewhere than the hub.
        weights: digest of the weights that the run left, by which they are known in the working
            folder; None if it left none, or if the record is older than the digest and does not
            have this key.
        history: sha256 of the file with the history; None if there is none, or if the record is
            older than the digest and does not have this key. Set by the store when it writes.
        finished: UTC time, ISO 8601.
        metrics, diagnostics, cost: None unless ``ok``.
        error: None if ``ok``.
        checksum: sha256 of everything else; set by the store when it writes.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    identity: Identity
    status: Status
    spec: RunSpec
    recipe_source: SourceDigest
    published_weights: Identity | None = None
    weights: Identity | None = None
    history: Identity | None = None
    finished: Words
    metrics: Metrics | None = None
    diagnostics: Diagnostics | None = None
    cost: Cost | None = None
    environment: Annotated[Environment, WrapValidator(Shared())]
    error: Failure | None = None
    checksum: Identity | None = None

    @model_validator(mode="after")
    def _complete(self) -> Record:
        if self.status == "ok" and (self.metrics is None or self.cost is None):
            raise ValueError("a record with status ok must have metrics and cost")
        if self.status == "ok" and self.error is not None:
            raise ValueError("a record with status ok must have no error")
        if self.status != "ok" and (self.error is None or self.metrics is not None):
            raise ValueError("a record that is not ok must have an error and no metrics")
        return self

    @model_validator(mode="after")
    def _can_be(self) -> Record:
        if not (self.metrics and self.cost and self.diagnostics):
            return self
        best, last = self.diagnostics.best_top1, self.metrics.top1
        if best < last:
            raise ValueError(f"best_top1 {best} is below the last epoch's top1 {last}")
        epochs = self.spec.protocol_values.get("epochs")
        if (
            isinstance(epochs, int | float)
            and self.diagnostics.best_epoch > epochs + self.cost.extra_epochs
        ):
            raise ValueError(f"best_epoch {self.diagnostics.best_epoch} is beyond {epochs} epochs")
        return self

    @model_serializer(mode="wrap")
    def _as_old_as_it_is(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _without(write(self), "weights", "history")


def _without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """Leave out what was not noted, so that an older record is written as it was read."""
    return {key: value for key, value in values.items() if value is not None or key not in names}
