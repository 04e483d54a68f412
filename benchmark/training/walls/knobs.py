"""The global state of a process that a recipe can change, knob by knob: how to read and write it.

What numbers are computed with comes first, and of that what intercepts calls of torch: as long as
it is there, nothing else can be put back. The names are those by which a person knows a knob.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.modules import module as module_hooks
from torch.optim import optimizer as optimiser_hooks

_C: Any = torch._C  # many of its functions have no types, and not every version has them all
_AUTOGRAD: Any = _C._autograd
_OVERRIDES: Any = torch.overrides
_DISPATCH: Any = torch.utils._python_dispatch
_CUDA: Any = torch.cuda
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGCHLD", "SIGPIPE")
_LIMITS = ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_NOFILE", "RLIMIT_FSIZE")

# Of torch's switches with a getter and a setter of its C module: name, getter, setter.
_SWITCHES = (
    ("torch.use_deterministic_algorithms", "deterministic_fill_uninitialized_memory"),
    ("torch.backends.cudnn.enabled", "cudnn_enabled"),
    ("torch.backends.cudnn.benchmark", "cudnn_benchmark"),
    ("torch.backends.cudnn.deterministic", "cudnn_deterministic"),
    ("torch.backends.mkldnn.enabled", "mkldnn_enabled"),
    ("torch.backends.mkldnn.deterministic", "mkldnn_deterministic"),
    ("torch.backends.nnpack", "nnpack_enabled"),
    ("torch.set_float32_matmul_precision", "float32_matmul_precision"),
    ("torch.backends.cuda.matmul.allow_fp16_accumulation", "cublas_allow_fp16_accumulation"),
    ("torch.backends.cuda.math_sdp", "math_sdp_allow_fp16_bf16_reduction"),
    ("the overriding of torch functions", "torch_function_state"),
    ("torch.set_warn_always", "warnAlways"),
)
_REDUCTIONS = ("bf16", "fp16")  # read as two values, written as two arguments
_SDP = ("flash", "mem_efficient", "math", "cudnn")
_PRECISIONS = tuple(
    (backend, what)
    for backend, parts in {
        "generic": ("all",),
        "cuda": ("all", "matmul", "conv", "rnn"),
        "mkldnn": ("all", "matmul", "conv", "rnn"),
    }.items()
    for what in parts
)
_GLOBAL_HOOKS: tuple[dict[Any, Any], ...] = tuple(
    value
    for owner in (module_hooks, optimiser_hooks)
    for name, value in sorted(vars(owner).items())
    if name.startswith("_global_") and isinstance(value, dict)
)
_never_freed: list[object] = []  # see _leave_inference_mode


class Knob(NamedTuple):
    """A piece of global state.

    Attributes:
        name: for a person.
        read: its value, which can be compared.
        write: put a value back.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


@dataclass(frozen=True)
class _Is:
    """An object that is compared by what it is, whatever it says of equality."""

    it: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Is) and self.it is other.it

    def __hash__(self) -> int:
        return id(self.it)


def knobs() -> Iterator[Knob]:
    """All that can be read in this process."""
    for knob in (*_modes(), *_torch(), *_python()):
        with suppress(Exception):  # this version or machine has no such thing
            knob.read()
            yield knob


# ---------------------------------------------------------------------- what intercepts calls


def _modes() -> Iterator[Knob]:
    yield Knob("torch.set_default_device", _default_device, _set_default_device)
    yield Knob("a torch function mode", _function_modes, _set_function_modes)
    yield Knob("a torch dispatch mode", _dispatch_modes, _set_dispatch_modes)
    yield Knob(
        "saved tensors' hooks",
        lambda: _AUTOGRAD._top_saved_tensors_default_hooks(True),
        _set_saved_tensor_hooks,
    )
    yield Knob("inference mode", torch.is_inference_mode_enabled, _set_inference_mode)
    yield Knob("grad mode", torch.is_grad_enabled, torch._C._set_grad_enabled)


def _default_device() -> _Is:
    return _Is(getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None))


def _set_default_device(was: _Is) -> None:
    torch.set_default_device(None if was.it is None else was.it.device)


def _function_modes() -> tuple[_Is, ...]:
    if not _C._len_torch_function_stack():
        return ()
    return tuple(map(_Is, _OVERRIDES._get_current_function_mode_stack()))


def _set_function_modes(was: tuple[_Is, ...]) -> None:
    _restack(was, _function_modes(), _OVERRIDES._pop_mode, _OVERRIDES._push_mode)


def _dispatch_modes() -> tuple[_Is, ...]:
    if not _C._len_torch_dispatch_stack():
        return ()
    return tuple(map(_Is, _DISPATCH._get_current_dispatch_mode_stack()))


def _set_dispatch_modes(was: tuple[_Is, ...]) -> None:
    _restack(was, _dispatch_modes(), _DISPATCH._pop_mode, _DISPATCH._push_mode)


def _restack(
    was: tuple[_Is, ...],
    now: tuple[_Is, ...],
    pop: Callable[[], object],
    push: Callable[[Any], object],
) -> None:
    """Bring a stack of modes to what it was."""
    same = 0
    while same < min(len(was), len(now)) and was[same] == now[same]:
        same += 1
    for _ in now[same:]:
        pop()
    for mode in was[same:]:
        push(mode.it)


def _set_saved_tensor_hooks(was: tuple[Any, Any] | None) -> None:
    while (top := _AUTOGRAD._top_saved_tensors_default_hooks(True)) != was:
        if top is None:
            _AUTOGRAD._push_saved_tensors_default_hooks(*(was or ()))
            return
        _AUTOGRAD._pop_saved_tensors_default_hooks()


def _set_inference_mode(was: bool) -> None:
    # The mode ends with the object that began it, which is the recipe's. A second object covers
    # it, and lives as long as the process: its end would bring the recipe's mode back.
    _never_freed.append(_C._InferenceMode(was))


# ------------------------------------------------------------------- what numbers come out of


def _torch() -> Iterator[Knob]:
    yield Knob("torch.set_default_dtype", torch.get_default_dtype, torch.set_default_dtype)
    yield Knob("torch.set_num_threads", torch.get_num_threads, torch.set_num_threads)
    yield Knob(
        "torch.use_deterministic_algorithms",
        lambda: (
            _C._get_deterministic_algorithms(),
            _C._get_deterministic_algorithms_warn_only(),
        ),
        lambda was: _C._set_deterministic_algorithms(was[0], warn_only=was[1]),
    )
    for name, switch in _SWITCHES:
        read = getattr(_C, f"_get_{switch}", None)
        write = getattr(_C, f"_set_{switch}", None)
        if read and write:
            yield Knob(name, read, write)
    for kind in _REDUCTIONS:
        name = f"cublas_allow_{kind}_reduced_precision_reduction"
        yield Knob(
            f"torch.backends.cuda.matmul.allow_{kind}_reduced_precision_reduction",
            getattr(_C, f"_get_{name}", int),
            partial(_write_reduction, f"_set_{name}"),
        )
    for kind in _SDP:
        yield Knob(
            f"torch.backends.cuda.{kind}_sdp",
            getattr(_C, f"_get_{kind}_sdp_enabled", int),
            getattr(_C, f"_set_sdp_use_{kind}", _ignore),
        )
    if hasattr(_C, "_get_fp32_precision_getter"):
        for backend, what in _PRECISIONS:
            yield Knob(
                f"fp32_precision of {backend} {what}",
                partial(_C._get_fp32_precision_getter, backend, what),
                partial(_C._set_fp32_precision_setter, backend, what),
            )
    yield from _autograd()
    yield Knob(
        "torch.set_flush_denormal",
        lambda: sys.float_info.min / 2 == 0.0,
        torch.set_flush_denormal,
    )
    yield Knob("hooks on all modules", _global_hooks, _set_global_hooks)
    if torch.cuda.is_available():
        yield Knob("torch.cuda.set_device", _cuda_device, _set_cuda_device)
        yield Knob("torch.cuda.set_stream", _cuda_stream, _set_cuda_stream)


def _autograd() -> Iterator[Knob]:
    yield Knob(
        "torch.autograd.set_detect_anomaly",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda was: torch.set_anomaly_enabled(*was),
    )
    yield Knob(
        "torch.autograd.set_multithreading_enabled",
        _C._is_multithreading_enabled,
        _C._set_multithreading_enabled,
    )
    for device in ("cpu", "cuda"):
        yield Knob("autocast", partial(_autocast, device), partial(_set_autocast, device))
    yield Knob("autocast", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled)
    yield Knob("autocast", _autocast_depth, _set_autocast_depth)


def _autocast(device: str) -> tuple[bool, torch.dtype]:
    return torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)


def _set_autocast(device: str, was: tuple[bool, torch.dtype]) -> None:
    torch.set_autocast_enabled(device, was[0])
    torch.set_autocast_dtype(device, was[1])


def _autocast_depth() -> int:
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _set_autocast_depth(was: int) -> None:
    while _autocast_depth() > was:
        torch.autocast_decrement_nesting()
    while _autocast_depth() < was:
        torch.autocast_increment_nesting()
    if not was:  # weights that were cast would outlive their update
        torch.clear_autocast_cache()


def _write_reduction(setter: str, was: Any) -> None:
    getattr(_C, setter)(*(was if isinstance(was, tuple) else (was,)))


def _global_hooks() -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(hooks) for hooks in _GLOBAL_HOOKS)


def _set_global_hooks(was: tuple[tuple[Any, ...], ...]) -> None:
    for hooks, keys in zip(_GLOBAL_HOOKS, was, strict=True):
        for key in [key for key in hooks if key not in keys]:
            del hooks[key]


def _cuda_device() -> int:
    return torch.cuda.current_device() if _CUDA.is_initialized() else -1


def _set_cuda_device(was: int) -> None:
    torch.cuda.set_device(max(was, 0))


def _cuda_stream() -> Any:
    return torch.cuda.current_stream() if _CUDA.is_initialized() else None


def _set_cuda_stream(was: Any) -> None:
    torch.cuda.set_stream(torch.cuda.default_stream() if was is None else was)


# ----------------------------------------------------------------------------- the process


def _python() -> Iterator[Knob]:
    yield Knob("numpy.seterr", np.geterr, lambda was: np.seterr(**was))
    yield Knob("warnings' filters", _filters, _set_filters)
    yield _attribute("warnings", warnings, "showwarning")
    yield Knob("os.environ", _environment, _set_environment)
    yield Knob("the working directory", _folder, _set_folder)
    for name in ("stdout", "stderr", "excepthook"):
        yield _attribute("sys", sys, name)
    yield Knob("sys.settrace", sys.gettrace, sys.settrace)
    yield Knob("sys.setprofile", sys.getprofile, sys.setprofile)
    yield Knob("sys.setrecursionlimit", sys.getrecursionlimit, sys.setrecursionlimit)
    yield Knob("gc.disable", gc.isenabled, lambda was: gc.enable() if was else gc.disable())
    yield Knob("gc.set_threshold", gc.get_threshold, lambda was: gc.set_threshold(*was))
    yield Knob("logging.disable", lambda: logging.root.manager.disable, logging.disable)
    yield Knob("the root logger's level", lambda: logging.root.level, logging.root.setLevel)
    for name in _SIGNALS:
        if number := getattr(signal, name, None):
            yield Knob(
                f"the handler of {name}",
                partial(signal.getsignal, number),
                partial(signal.signal, number),
            )
    yield Knob(
        "signal.setitimer",
        lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        lambda was: signal.setitimer(signal.ITIMER_REAL, 0),
    )
    for name in _LIMITS:
        limit = getattr(resource, name)
        yield Knob(
            f"the process's {name}",
            partial(resource.getrlimit, limit),
            partial(resource.setrlimit, limit),
        )


def _attribute(module: str, owner: Any, name: str) -> Knob:
    return Knob(
        f"{module}.{name}",
        lambda: _Is(getattr(owner, name)),
        lambda was: setattr(owner, name, was.it),
    )


def _filters(*, of_libraries: bool = False) -> tuple[Any, ...]:
    """The filters, without those of warnings that a library defines.

    Such a one comes with the library's import: torch's first update imports 900 modules.
    """
    own = ("builtins", "benchmark_recipes")
    return tuple(
        one for one in warnings.filters if one[2].__module__.startswith(own) is not of_libraries
    )


def _set_filters(was: tuple[Any, ...]) -> None:
    libraries = _filters(of_libraries=True)
    warnings.resetwarnings()  # which also lets Python forget what it looked up
    vars(warnings)["filters"][:] = (*libraries, *was)


def _environment() -> dict[Any, Any]:
    # Not dict(os.environ), which decodes every word: 30 µs instead of one.
    inside: dict[Any, Any] = vars(os.environ)["_data"]
    return inside.copy()


def _set_environment(was: dict[Any, Any]) -> None:
    now = _environment()
    for name in now.keys() - was.keys():
        os.unsetenv(name)
    for name, value in was.items():
        if now.get(name) != value:
            os.putenv(name, value)
    inside = vars(os.environ)["_data"]
    inside.clear()
    inside.update(was)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return None


def _set_folder(was: str | None) -> None:
    if was is not None:
        os.chdir(was)


def _ignore(was: object) -> None:
    """For what can be read only."""
