"""Made records: a small world of one data set, two pairs and a few methods; no training."""

from __future__ import annotations

from typing import Any

from benchmark.records.canonical import identity_of
from benchmark.records.schema import (
    Cost,
    Diagnostics,
    Environment,
    Failure,
    Metrics,
    Record,
    RoleRecord,
    RunSpec,
)

ENVIRONMENT = Environment(
    packages={"kdbench": "0.1.0", "torch": "2.11.0"},
    python="3.11",
    platform="Linux",
    device="cpu",
    processes=1,
    threads=2,
    precision="fp32",
    git_commit="0" * 40,
    git_dirty=False,
)
SIZES = {"resnet20": 0.28, "resnet8": 0.08, "vgg13": 9.46, "vgg8": 3.97}


def spec(**changes: Any) -> RunSpec:
    values: dict[str, Any] = {
        "dataset": "cifar100",
        "data_revision": "r1",
        "network": "resnet8",
        "pair": None,
        "recipe": "vanilla",
        "recipe_version": 1,
        "settings": {},
        "changed": {},
        "protocol": "paper",
        "protocol_values": {"epochs": 240, "lr": 0.05},
        "default_protocol": True,
        "ranked": True,
        "seed": 0,
        "roles": {},
    }
    return RunSpec(**(values | changes))


def record(top1: float | None, *, status: str = "failed", **changes: Any) -> Record:
    """A record with this accuracy; None is a run that failed with ``status``."""
    asked = spec(**changes)
    parameters = round(SIZES.get(asked.network, 1.0) * 1e6)
    rest: dict[str, Any] = {
        "error": Failure(kind="RuntimeError", message="loss is nan", where="loop.py:10", epoch=3)
    }
    if top1 is not None:
        rest = {
            "metrics": Metrics(
                top1=top1,
                top5=max(95.0, top1),
                mean_per_class=top1,
                nll=1.25,
                ece=4.5,
                agreement=70.0 if asked.roles else None,
                evaluated_on="test",
                images=10_000,
            ),
            "diagnostics": Diagnostics(
                best_top1=min(100.0, top1 + 5),
                best_epoch=min(200, asked.protocol_values.get("epochs", 200)),
                train_loss=0.5,
                terms={"ce": 0.3, "kd": 0.2},
            ),
            "cost": Cost(
                parameters=parameters,
                macs=40 * parameters,
                training_parameters=parameters,
                recipe_parameters=0,
                train_seconds=100.0,
                evaluation_seconds=5.0,
                group_seconds=120.0,
                images_per_s=20_000.0,
                peak_memory_mb=512.0,
            ),
        }
    return Record(
        identity=identity_of(asked),
        status=status if top1 is None else "ok",
        spec=asked,
        recipe_source="f" * 64,
        finished=f"2026-01-01T00:00:0{asked.seed}Z",
        environment=ENVIRONMENT,
        **rest,
    )


def taught(top1: float | None, teacher: Record, student: str = "resnet8", **changes: Any) -> Record:
    role = RoleRecord(
        identity=teacher.identity,
        network=teacher.spec.network,
        recipe=teacher.spec.recipe,
        top1=teacher.metrics.top1 if teacher.metrics else None,
    )
    pair = f"{teacher.spec.network}:{student}"
    return record(top1, network=student, pair=pair, roles={"teacher": role}, **changes)


def world() -> list[Record]:
    """Ranked records of two pairs with gaps and failures, and a few of a short protocol."""
    big = record(69.5, network="resnet20")
    vgg = record(74.6, network="vgg13", protocol_values={"epochs": 240, "lr": 0.01})
    small = record(60.1)
    made = [big, vgg, small, record(60.4, seed=1), record(60.2, seed=2)]
    for seed, top1 in enumerate((62.0, 62.3, 62.1)):
        made.append(taught(top1, big, recipe="kd", seed=seed))
    for seed, top1 in enumerate((62.2, 62.4, 62.4)):
        made.append(taught(top1, big, recipe="th-kd", seed=seed, settings={"alpha": 1.5}))
    for seed, top1 in enumerate((61.0, 61.1, None)):
        changed = {"alpha": 2.0}
        made.append(
            taught(
                top1,
                big,
                recipe="th-kd",
                seed=seed,
                settings=changed,
                changed=changed,
                status="diverged",
            )
        )
    made.append(taught(None, big, recipe="crd", status="oom"))
    made.append(taught(63.0, big, recipe="fitnet", recipe_version=2))
    made.append(record(70.3, network="vgg8"))
    for recipe, top1 in (("kd", 72.9), ("crd", 73.8)):
        made.append(taught(top1, vgg, "vgg8", recipe=recipe))
    head = RoleRecord(identity=small.identity, network="resnet8", recipe="vanilla", top1=60.1)
    made.append(
        record(69.1, network="resnet20", pair="resnet20:resnet8", recipe="sh-teacher",
               roles={"head": head})
    )  # fmt: skip
    short = {
        "protocol": "short",
        "protocol_values": {"epochs": 30},
        "default_protocol": False,
        "ranked": False,
    }
    quick = record(60.0, network="resnet20", **short)
    made += [quick, record(52.0, **short)]
    made += [taught(top1, quick, recipe=name, **short) for name, top1 in (("kd", 53), ("at", 54))]
    return made
