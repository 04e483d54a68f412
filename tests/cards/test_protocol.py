"""A protocol's fields say their own roles: identity, brackets and labels follow from them."""

from __future__ import annotations

import math
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from benchmark.cards.brackets import split_brackets, swept
from benchmark.cards.protocol import CardOnly, Joined, Only, Protocol, Unidentified, Unless
from benchmark.cards.transforms import RandAugment, RandomErasing
from benchmark.errors import UsageError
from benchmark.strict import Later, has_mark

LONG: dict[str, Any] = {
    "name": "long",
    "epochs": 30,
    "batch_size": 4,
    "lr": 0.1,
    "lr_by_network": {"resnet8": 0.2},
    "milestones": (10, 20),
    "ranked": True,
}
FIRST = {  # what the first records know of a protocol
    "epochs", "batch_size", "lr", "momentum", "nesterov", "weight_decay", "schedule", "milestones",
    "gamma", "warmup_epochs", "validation",
}  # fmt: skip


@pytest.fixture
def long() -> Protocol:
    return Protocol.model_validate(LONG)


def change(protocol: Protocol, **values: str) -> Protocol:
    inside = ",".join(f"{key}={value}" for key, value in values.items())
    return protocol.override(f"{protocol.name}[{inside}]", values)


def read(name: str) -> tuple[str, dict[str, str]]:
    """A protocol's name as it would be asked for again."""
    return name, split_brackets(name)[1]


class Stranger(Protocol):
    """Whoever adds a field writes its marks and nothing else."""

    nickname: Annotated[str, Unidentified, CardOnly] = ""
    chatty: Annotated[bool, Unidentified] = False
    warmth: Annotated[float, Field(ge=0), Later, Only("schedule", "cosine")] = 0.0
    powers: Annotated[tuple[int, ...], Later, Joined("+", "1+2"), Unless("optimiser", "sgd")] = ()


def test_a_new_field_needs_its_marks_and_no_other_edit() -> None:
    plain = Stranger.model_validate(LONG | {"nickname": "l", "chatty": True})
    assert plain.for_network("x") == Protocol.model_validate(LONG).for_network("x")
    assert plain.unused == ("betas", "eps", "min_lr", "warmth", "powers")
    changed = change(plain, schedule="cosine", warmth="2.0", optimiser="adamw", powers="3+4")
    assert changed.name == "long[optimiser=adamw,powers=3+4,schedule=cosine,warmth=2.0]"
    assert (changed.warmth, changed.powers) == (2.0, (3, 4))
    values = changed.for_network("x")
    assert (values["warmth"], values["powers"]) == (2.0, (3, 4))
    assert not {"nickname", "chatty", "milestones", "gamma", "momentum"} & set(values)
    assert change(plain, chatty="no").name == "long"
    assert not change(plain, chatty="no").chatty
    with pytest.raises(UsageError, match="has no 'nickname'"):
        change(plain, nickname="m")
    with pytest.raises(UsageError, match="a step schedule has no warmth"):
        change(plain, warmth="1")
    with pytest.raises(UsageError, match=r"write powers=1\+2"):
        change(plain, optimiser="adamw", powers="3-4")


def test_a_plain_protocol_is_identified_by_what_the_first_records_know(long: Protocol) -> None:
    values = long.for_network("resnet8")
    assert set(values) == FIRST
    assert (values["lr"], long.for_network("resnet20")["lr"]) == (0.2, 0.1)


def test_every_later_field_is_identified_where_it_is_set() -> None:
    later = {name for name, field in Protocol.model_fields.items() if has_mark(field, Later)}
    assert later == set(Protocol.model_fields) - FIRST - {
        "name", "lr_by_network", "ranked", "pairs", "evaluate_every"
    }  # fmt: skip
    values = {
        "optimiser": "adamw", "betas": (0.8, 0.9), "eps": 1e-6, "decay_norms": False,
        "clip_norm": 1.0, "schedule": "cosine", "min_lr": 0.01, "label_smoothing": 0.1,
        "drop_path": 0.1, "average": 0.99, "augmentation": ("trivial_augment",), "mixup": 0.2,
        "cutmix": 1.0, "image_size": 64, "pretrained": True,
    }  # fmt: skip
    given = LONG | {"milestones": ()} | values
    identified = Protocol.model_validate(given).for_network("x")
    assert later <= set(identified)
    assert not {"momentum", "nesterov", "milestones", "gamma"} & set(identified)


CHANGES = {
    "optimiser": "lion", "decay_norms": "false", "clip_norm": "1.5", "label_smoothing": "0.1",
    "drop_path": "0.2", "average": "0.999", "mixup": "0.2", "cutmix": "1.0", "epochs": "3",
    "augmentation": "rand_augment+random_erasing", "milestones": "5-15", "image_size": "64",
    "momentum": "0.8", "nesterov": "true", "weight_decay": "1e-05", "pretrained": "true",
}  # fmt: skip


@pytest.mark.parametrize("field", CHANGES)
def test_brackets_change_a_field_and_the_name_says_so_again(long: Protocol, field: str) -> None:
    changed = change(long, **{field: CHANGES[field]})
    assert changed.name == f"long[{field}={CHANGES[field]}]"
    assert long.override(*read(changed.name)) == changed
    assert not changed.ranked
    assert changed.for_network("x") != long.for_network("x")
    assert getattr(changed, field) != getattr(long, field)


def test_transforms_are_named_and_have_their_defaults(long: Protocol) -> None:
    changed = change(long, augmentation="rand_augment+random_erasing")
    assert changed.augmentation == (
        RandAugment(name="rand_augment"),
        RandomErasing(name="random_erasing"),
    )
    back = change(changed, augmentation="none")
    assert back.augmentation == ()
    assert back.for_network("x") == long.for_network("x")


@pytest.mark.parametrize(
    ("field", "value", "nothing"),
    [("image_size", 64, None), ("eps", 1e-6, None), ("betas", (0.8, 0.9), None),
     ("milestones", (10, 20), ())],
)  # fmt: skip
def test_none_takes_a_value_away(field: str, value: Any, nothing: Any) -> None:
    optimiser = "adamw" if field in ("eps", "betas") else "sgd"
    set_ = Protocol.model_validate(LONG | {"optimiser": optimiser, field: value})
    changed = change(set_, **{field: "none"})
    assert getattr(changed, field) == nothing
    assert changed.name == f"long[{field}=none]"
    assert set_.override(*read(changed.name)) == changed


def test_numbers_with_an_exponent_are_not_cut_at_their_minus(long: Protocol) -> None:
    changed = change(long, optimiser="adamw", betas="1e-05-0.99")
    assert changed.betas == (1e-05, 0.99)
    assert "betas=1e-05-0.99" in changed.name


def test_what_has_no_meaning_any_more_goes_back_to_its_default(long: Protocol) -> None:
    cosine = change(long, schedule="cosine")
    assert (cosine.milestones, cosine.name) == ((), "long[schedule=cosine]")
    nesterov = Protocol.model_validate(LONG | {"nesterov": True, "momentum": 0.8})
    adamw = change(nesterov, optimiser="adamw")
    assert (adamw.nesterov, adamw.momentum) == (False, 0.9)


def test_a_new_rate_is_that_of_every_network(long: Protocol) -> None:
    assert change(long, lr="0.3").base_rate("resnet8") == 0.3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"epoch": "3"}, "a protocol has no 'epoch'. Did you mean 'epochs'?"),
        ({"ranked": "true"}, "a protocol has no 'ranked'."),
        ({"milestones": "a-b"}, "write milestones=150-180-210"),
        ({"milestones": "20-10"}, "milestones must rise"),
        ({"schedule": "cosine", "gamma": "0.1"}, "a cosine schedule has no gamma."),
        (
            {"schedule": "cosine", "gamma": "0.2", "milestones": "3"},
            "a cosine schedule has no milestones",
        ),
        ({"min_lr": "0.01"}, "a step schedule has no min_lr"),
        ({"schedule": "cosine", "min_lr": "0.3"}, "min_lr is above the learning rate"),
        ({"schedule": "cosin"}, "schedule: Input should be 'step' or 'cosine'"),
        ({"optimiser": "adamw", "momentum": "0.9"}, "an adamw optimiser has no momentum"),
        ({"eps": "1e-6"}, "a sgd optimiser has no eps"),
        ({"betas": "0.9"}, "a sgd optimiser has no betas"),
        ({"optimiser": "adamw", "betas": "0.9-"}, "write betas=0.9-0.999"),
        ({"label_smoothing": "1"}, "label_smoothing: Input should be less than 1"),
        ({"augmentation": "rand_augmnt"}, "Did you mean 'rand_augment'?"),
        ({"augmentation": "random_crop"}, "padding: Field required"),
        ({"epochs": "none"}, "epochs: Input should be a valid integer"),
        ({"mixup": "nan"}, "mixup: Input should be a finite number"),
        ({"clip_norm": "-1"}, "clip_norm: Input should be greater than or equal to 0"),
    ],
)
def test_what_does_not_fit_is_refused(long: Protocol, values: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        change(long, **values)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schedule": "cosine"}, "a cosine schedule has no milestones"),
        ({"optimiser": "adamw", "momentum": 0.8}, "an adamw optimiser has no momentum"),
        ({"min_lr": 0.01}, "a step schedule has no min_lr"),
        ({"augmentation": ["trivial"]}, "unknown transform 'trivial'"),
    ],
)
def test_a_card_is_held_to_the_same(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Protocol.model_validate(LONG | changes)


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        ({"name": "random_erasing", "scale": (0.3, 0.1)}, "must not be above the second"),
        ({"name": "random_erasing", "scale": (0.3, 1.1)}, "less than or equal to 1"),
        ({"name": "random_erasing", "ratio": (0.0, 1.0)}, "greater than 0"),
        ({"name": "rand_augment", "magnitude": 31}, "less than or equal to 30"),
        ({"name": "rand_augment", "layers": 0}, "greater than 0"),
        ({"name": "trivial_augment", "p": 0.5}, "unknown key 'p'"),
        ("rand_augmnt", "Did you mean 'rand_augment'?"),
    ],
)
def test_a_transform_that_cannot_be_is_refused(transform: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Protocol.model_validate(LONG | {"augmentation": [transform]})
    assert said in str(caught.value)


WORDS = st.text("abcdefgh0123456789.-", min_size=1, max_size=4)


@given(WORDS, st.dictionaries(WORDS, st.sets(WORDS, min_size=1, max_size=4), max_size=4))
def test_a_sweep_is_every_choice_of_its_values_once(name: str, values: dict[str, set[str]]) -> None:
    inside = ",".join(f"{key}={'|'.join(sorted(each))}" for key, each in values.items())
    found = [split_brackets(one) for one in swept(f"{name}[{inside}]")]
    assert len(found) == math.prod(map(len, values.values()))
    assert {read for read, _ in found} == {name}
    chosen = [tuple(settings.items()) for _, settings in found]
    assert len(set(chosen)) == len(chosen)
    assert all(settings.keys() == values.keys() for _, settings in found)
    assert all(value in values[key] for settings in chosen for key, value in settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kd[temperature=2||4]", "lacks a value"),
        ("kd[temperature=2|4|2]", "twice"),
        (f"kd[{','.join(f'k{n}=1|2' for n in range(40))}]", "choices of settings"),
        ("kd[temperature=|]", "lacks a value"),
    ],
)
def test_a_sweep_that_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        swept(text)
