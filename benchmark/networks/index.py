"""The index of networks: what timm's models look like, cost and start from, kept in the cache.

timm takes as long to import as torch, and its larger models a second each to be followed without
numbers. A plan only needs a few words about them, which are the same as long as neither the
packages nor kdbench's networks change. What is trained asks the networks themselves.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

import benchmark
from benchmark.files import write_whole
from benchmark.folders import cache_folder
from benchmark.networks.names import TIMM_PREFIX
from benchmark.networks.outputs import NetworkShape

PACKAGES = ("timm", "torch", "torchvision")
T = TypeVar("T")


def network_shape(
    network: str, *, classes: int, image_size: tuple[int, int], drop_path: float = 0.0
) -> NetworkShape:
    """Widths of a network, found without memory or arithmetic.

    Args:
        network: name.
        classes: number of classes K.
        image_size: (height, width).
        drop_path: largest share of residual branches left out in training.

    Raises:
        UnknownName: there is no such network.
        NetworkError: it cannot be built this way.
    """

    def look() -> NetworkShape:
        from benchmark.networks.creation import create_network
        from benchmark.networks.meta import on_meta

        with on_meta():
            return create_network(
                network, classes=classes, image_size=image_size, drop_path=drop_path
            ).shape

    return _asked(network, f"shape {classes} {image_size} {drop_path}", NetworkShape, look)


def network_macs(network: str, *, classes: int, image_size: tuple[int, int]) -> int:
    """Multiply-accumulates of a network for one image.

    Args:
        network: name.
        classes: number of classes K.
        image_size: (height, width).

    Raises:
        UnknownName: there is no such network.
        NetworkError: it cannot be built this way.
    """

    def count() -> int:
        from benchmark.networks.cost import count_macs
        from benchmark.networks.creation import create_network
        from benchmark.networks.meta import on_meta

        with on_meta():
            made = create_network(network, classes=classes, image_size=image_size)
        return count_macs(made, image_size)

    return _asked(network, f"macs {classes} {image_size}", int, count)


def starts_from(network: str) -> str:
    """The full name of the weights that a network starts from, see ``published_name``.

    Raises:
        UnknownName: timm has no such model, or no weights with this tag.
        NetworkError: there are no published weights for it.
    """

    def resolve() -> str:
        from benchmark.networks.published import published_name

        return published_name(network)

    return _asked(network, "published", str, resolve)


def _asked(network: str, question: str, kind: type[T], answer: Callable[[], T]) -> T:
    """The kept answer, or the answer, which is kept; of timm's models alone, the others are quick.

    One that cannot be kept, or was damaged, costs only time.
    """
    if not network.startswith(TIMM_PREFIX):
        return answer()
    form = TypeAdapter(kind)
    path = cache_folder() / f"networks-{_key()}.json"
    kept, name = _read(path), f"{network} {question}"
    if name in kept:
        with contextlib.suppress(ValidationError):
            return form.validate_json(json.dumps(kept[name]), strict=True)
    found = answer()
    text = json.dumps({**_read(path), name: form.dump_python(found, mode="json")}, indent=1)
    with contextlib.suppress(OSError):
        write_whole(path, f"{_seal(text)}\n{text}", durable=False)
    return found


def _read(path: Path) -> Mapping[str, Any]:
    """What is kept; nothing if it was damaged."""
    try:
        status = path.stat()
        return _read_as_of(path, status.st_mtime_ns, status.st_ino)
    except (OSError, ValueError, RecursionError):
        return {}


@functools.lru_cache(maxsize=2)
def _read_as_of(path: Path, _changed: int, _file: int) -> Mapping[str, Any]:
    """Raises: OSError, ValueError."""
    seal, _, text = path.read_text("utf-8").partition("\n")
    if seal != _seal(text):
        raise ValueError("it was damaged")
    kept = json.loads(text)
    if not isinstance(kept, dict):
        raise ValueError("it is no list of answers")
    return kept


def _seal(text: str) -> str:
    """Tells damage from answers."""
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _key() -> str:
    """Changes with all that an answer could depend on."""
    versions = [f"{name}={importlib.metadata.version(name)}" for name in PACKAGES]
    words = " ".join([benchmark.__version__, platform.python_version(), *versions])
    digest = hashlib.sha256(words.encode())
    for path in sorted(Path(__file__).parent.glob("**/*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]
