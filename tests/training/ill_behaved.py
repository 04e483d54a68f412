"""Recipes that do what they should not, one thing each; all of them are KD otherwise."""

from __future__ import annotations

import gc
import io
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from benchmark import stacked
from benchmark.errors import BenchmarkError, UsageError
from benchmark.recipe.contract import Recipe, RecipeInfo
from benchmark.registry import Catalogue


@dataclass(frozen=True)
class Offender:
    """What a recipe does, and what comes of it.

    Attributes:
        hooks: makes its hooks of the recipe that it derives from.
        status: of its ending; ``ok`` where nobody is harmed.
        said: a part of the failure's message, or of the note.
        kind: of the failure.
        needs: what it reads of networks.
    """

    hooks: Callable[[Any], dict[str, Any]]
    status: str = "failed"
    said: str = ""
    kind: str = ""
    needs: frozenset[str] = field(default_factory=frozenset)


def recipe_of(name: str, recipes: Catalogue[RecipeInfo]) -> Recipe:
    """An instance of a KD that has the hooks of an offender."""
    offender, kd = OFFENDERS[name], recipes.get("kd").cls
    cls = type(name, (kd,), offender.hooks(kd))
    cls.info = RecipeInfo(**{**vars(kd.info), "needs": offender.needs, "cls": cls})
    return cls()  # type: ignore[no-any-return]


# ------------------------------------------------------------------- where something is done


def in_forward(act: Callable[..., object]) -> Callable[[Any], dict[str, Any]]:
    """Do something to batch and teacher before the loss is made."""

    def hooks(kd: Any) -> dict[str, Any]:
        def forward(self, batch, student, teacher):
            terms = kd.forward(self, batch, student, teacher)
            act(batch, teacher)
            return terms

        return {"forward": forward}

    return hooks


def in_view(act: Callable[..., object]) -> Callable[[Any], dict[str, Any]]:
    def hooks(kd: Any) -> dict[str, Any]:
        def view(self, batch):
            act(batch)
            return batch

        return {"view": view}

    return hooks


def in_build(act: Callable[..., object]) -> Callable[[Any], dict[str, Any]]:
    return lambda kd: {"build": lambda self, context: act(context)}


def after_step(act: Callable[..., object]) -> Callable[[Any], dict[str, Any]]:
    return lambda kd: {"after_step": lambda self, network: act(network)}


def raising(hook: str, error: Callable[[], BaseException]) -> Callable[[Any], dict[str, Any]]:
    """Raise in a hook, whatever its arguments are."""

    def act(self, *given):
        raise error()

    return lambda kd: {hook: act}


# ------------------------------------------------------------------------------------- writing


def _set_data(tensor: torch.Tensor) -> None:
    tensor.data = torch.zeros_like(tensor)


def _write_through_numpy(batch: Any, teacher: Any) -> None:
    batch.images.numpy()[:] = 0


def _write_into_a_shared_view(kd: Any) -> dict[str, Any]:
    def view(self, batch):
        view = stacked(batch)
        view.images.zero_()
        return view

    return {"views": 2, "view": view}


def _forget_what_is_shared(batch: Any) -> None:
    batch.shared._batches.clear()


def _write_into_the_teacher(context: Any) -> None:
    for parameter in context.roles["teacher"].parameters():
        parameter.data.zero_()


def _move_the_teacher(context: Any) -> None:
    context.roles["teacher"].double().train().register_forward_hook(lambda *given: None)


# -------------------------------------------------------------------------------- global state


class _Failing(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        raise NotImplementedError("this mode takes every call")


class _Doubling(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            return result * 2
        return result


def _enter(mode: Any) -> Callable[..., object]:
    def enter(*given: Any) -> None:
        _entered.append(mode())  # some end when nobody holds them any more
        _entered[-1].__enter__()

    return enter


_entered: list[Any] = []


def _hooks_on_saved_tensors() -> Any:
    return torch.autograd.graph.saved_tensors_hooks(lambda x: x * 0, lambda x: x)


def _hook_on_all_modules(*given: Any) -> None:
    nn.modules.module.register_module_forward_pre_hook(
        lambda module, inputs: tuple(one * 0 for one in inputs)
    )


def _autocast() -> Any:
    return torch.autocast("cpu", torch.bfloat16)


def _seed_everything(*given: Any) -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)


def _elsewhere(*given: Any) -> None:
    os.environ["OMP_NUM_THREADS"] = "7"
    os.chdir("/")


def _deaf(*given: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _silent(*given: Any) -> None:
    sys.stdout = io.StringIO()


def _state(act: Callable[..., object], said: str) -> Offender:
    return Offender(in_forward(act), "ok", said)


# ----------------------------------------------------------------------------- running away


def _nan_in_the_second_step(kd: Any) -> dict[str, Any]:
    def forward(self, batch, student, teacher):
        self.steps = getattr(self, "steps", 0) + 1
        terms = kd.forward(self, batch, student, teacher)
        return terms | {"kd": terms["kd"] * float("nan")} if self.steps > 1 else terms

    return {"forward": forward}


def _nan_in_what_stays(kd: Any) -> dict[str, Any]:
    def build(self, context):
        self.beside = nn.Linear(2, 2).requires_grad_(False)
        self.beside.weight.fill_(float("nan"))

    return {"build": build, "deployed": lambda self: (self.beside,)}


class _Speechless(Exception):
    def __str__(self) -> str:
        raise SystemExit


OFFENDERS: dict[str, Offender] = {
    # What all members of a group read is written into.
    "images in forward": Offender(
        in_forward(lambda batch, teacher: batch.images.mul_(0)), said="batch.images"
    ),
    "images in view": Offender(in_view(lambda batch: batch.images.mul_(0)), said="batch.images"),
    "labels": Offender(
        in_forward(lambda batch, teacher: batch.labels.zero_()), said="batch.labels"
    ),
    "index": Offender(in_forward(lambda batch, teacher: batch.index.zero_()), said="batch.index"),
    "shape of labels": Offender(
        in_forward(lambda batch, teacher: batch.labels.unsqueeze_(0)), said="batch.labels"
    ),
    "images uncounted": Offender(
        in_forward(lambda batch, teacher: batch.images.data.zero_()), said="batch.images"
    ),
    "images by numpy": Offender(in_forward(_write_through_numpy), said="batch.images"),
    "images set": Offender(
        in_forward(lambda batch, teacher: batch.images.set_(torch.zeros_like(batch.images))),
        said="batch.images",
    ),
    "images replaced": Offender(
        in_forward(lambda batch, teacher: _set_data(batch.images)), said="batch.images"
    ),
    "images as output": Offender(
        in_forward(lambda batch, teacher: torch.zeros(3, 32, 32, out=batch.images[0])),
        said="batch.images",
    ),
    "images with gradient": Offender(
        in_view(lambda batch: batch.images.requires_grad_(True)), said="batch.images"
    ),
    "teacher's logits": Offender(
        in_forward(lambda batch, teacher: teacher.logits.zero_()), said="teacher.logits"
    ),
    "teacher's embedding uncounted": Offender(
        in_forward(lambda batch, teacher: teacher.embedding.data.zero_()),
        said="teacher.embedding",
    ),
    "teacher's maps": Offender(
        in_forward(lambda batch, teacher: teacher.maps[1].zero_()),
        said="teacher.maps[1]",
        needs=frozenset({"maps"}),
    ),
    "a shared view": Offender(_write_into_a_shared_view, said="shared view's batch.images"),
    # What is its own, although it looks as if it were everyone's.
    "teacher's fields": Offender(
        in_forward(lambda batch, teacher: teacher.__dict__.update(logits=torch.zeros(1))), "ok"
    ),
    "batch's fields": Offender(
        in_forward(lambda batch, teacher: object.__setattr__(batch, "labels", None)), "ok"
    ),
    "what is shared is forgotten": Offender(in_view(_forget_what_is_shared), "ok"),
    "teacher's weights": Offender(in_build(_write_into_the_teacher), "ok"),
    "teacher moved": Offender(in_build(_move_the_teacher), "ok"),
    "labels of all": Offender(in_build(lambda context: context.labels.zero_()), "ok"),
    "all random states": Offender(in_forward(_seed_everything), "ok"),
    # Global state is left changed.
    "no gradients": _state(lambda *given: torch.set_grad_enabled(False), "grad mode"),
    "inference mode": Offender(after_step(_enter(torch.inference_mode)), "ok", "inference mode"),
    "default dtype": _state(
        lambda *given: torch.set_default_dtype(torch.float64), "torch.set_default_dtype"
    ),
    "default dtype in build": Offender(
        in_build(lambda context: torch.set_default_dtype(torch.float64)),
        "ok",
        "torch.set_default_dtype changed (after build)",
    ),
    "default device": Offender(
        in_view(lambda batch: torch.set_default_device("meta")), "ok", "torch.set_default_device"
    ),
    "deterministic algorithms": _state(
        lambda *given: torch.use_deterministic_algorithms(True), "use_deterministic_algorithms"
    ),
    "threads": _state(lambda *given: torch.set_num_threads(2), "torch.set_num_threads"),
    "precision of products": _state(
        lambda *given: torch.set_float32_matmul_precision("medium"),
        "torch.set_float32_matmul_precision",
    ),
    "warnings": _state(lambda *given: warnings.simplefilter("ignore"), "warnings' filters"),
    "anomalies": _state(
        lambda *given: torch.autograd.set_detect_anomaly(True, check_nan=False),
        "torch.autograd.set_detect_anomaly",
    ),
    "function mode": _state(_enter(_Failing), "a torch function mode"),
    "dispatch mode": _state(_enter(_Doubling), "a torch dispatch mode"),
    "saved tensors": _state(_enter(_hooks_on_saved_tensors), "saved tensors' hooks"),
    "hooks on modules": _state(_hook_on_all_modules, "hooks on all modules"),
    "environment": _state(_elsewhere, "the working directory"),
    "signals": _state(_deaf, "the handler of SIGTERM"),
    "stdout": _state(_silent, "sys.stdout"),
    "garbage": _state(lambda *given: gc.disable(), "gc.disable"),
    "denormals": _state(lambda *given: torch.set_flush_denormal(True), "torch.set_flush_denormal"),
    "autocast": _state(_enter(_autocast), "autocast"),
    # It ends in its own way.
    "exit": Offender(raising("forward", lambda: SystemExit(3)), kind="SystemExit"),
    "generator's exit": Offender(
        raising("after_step", lambda: GeneratorExit()), kind="GeneratorExit"
    ),
    "interrupt": Offender(raising("view", lambda: KeyboardInterrupt()), kind="KeyboardInterrupt"),
    "usage error": Offender(
        raising("forward", lambda: UsageError("no such thing")), kind="UsageError"
    ),
    "error of the suite": Offender(
        raising("build", lambda: BenchmarkError("broken")), kind="BenchmarkError"
    ),
    "stages": Offender(raising("stages", lambda: RuntimeError("none")), said="none"),
    "parameter groups": Offender(
        raising("parameter_groups", lambda: ValueError("none")), said="none"
    ),
    "adapt": Offender(raising("adapt", lambda: SystemExit("bye")), said="bye"),
    "before": Offender(raising("before", lambda: StopIteration("no more")), said="no more"),
    "prediction": Offender(raising("predict", lambda: StopIteration()), kind="StopIteration"),
    "deployed": Offender(raising("deployed", lambda: SystemExit()), kind="SystemExit"),
    "long words": Offender(
        raising("forward", lambda: ValueError("[/b]\x1b[2J\ud800" * 500_000)),
        said="more characters)",
    ),
    "no words": Offender(raising("forward", lambda: _Speechless()), said="_Speechless"),
    "memory": Offender(
        raising(
            "forward",
            lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        ),
        "oom",
    ),
    "nan": Offender(
        _nan_in_the_second_step,
        "diverged",
        "loss term ce, kd is not finite since epoch 1, step 2 of 3: ce",
    ),
    "nan in the end": Offender(
        _nan_in_what_stays, "diverged", "'weight' of its weights is not finite"
    ),
}
