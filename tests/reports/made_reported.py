"""Made reported numbers of the two pairs of the made records, one source per epoch rule."""

from __future__ import annotations

from typing import Any

from benchmark.records.reported import Reported

PROTOCOL = {"epochs": 240, "batch_size": 64, "lr": 0.05, "schedule": "step"}
NUMBERS: dict[str, dict[str, Any]] = {
    "last": {
        "resnet20:resnet8": {
            "teacher": 69.06,
            "student": {"top1": 60.0, "std": 0.2},
            "kd": 62.0,
            "crd": 62.5,
            "pkt": 61.9,
        },
        "vgg13:vgg8": {"teacher": 74.64, "student": 70.36, "kd": 72.98, "crd": 73.94},
        "resnet110:resnet20": {"teacher": 74.31, "student": 69.06, "kd": 70.67},
        "resnet110:resnet32": {"teacher": 74.31, "student": 71.14, "kd": 73.08, "at": 72.31},
    },
    "best": {
        "resnet20:resnet8": {"kd": {"top1": 62.9, "note": "another teacher"}, "th-kd": 63.1},
        "resnet110:resnet20": {"dkd": 71.5},
    },
    "unknown": {"resnet20:resnet8": {"th-kd[alpha=2]": 62.2}},
}


def source(rule: str, **changes: Any) -> Reported:
    """The source of one epoch rule."""
    values = {
        "dataset": "cifar100",
        "name": f"Source {rule}",
        "title": f"README of someone/{rule}",
        "url": f"https://example.org/{rule}",
        "epoch_rule": rule,
        "rule_from": "" if rule == "unknown" else f"https://example.org/{rule}/issues/1",
        "runs": 5 if rule == "best" else None,
        "protocol": {} if rule == "unknown" else PROTOCOL,
        "top1": NUMBERS[rule],
    }
    return Reported.model_validate(values | changes)


def sources() -> list[Reported]:
    """All three."""
    return [source(rule) for rule in ("unknown", "best", "last")]
