"""Weights that others published for timm's models: which a name stands for, and their file."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import timm

from benchmark import hub
from benchmark.errors import NetworkError, UnknownName, first_line
from benchmark.networks.names import TIMM_PREFIX, has_no_weights
from benchmark.networks.weights import check_size

_FILES = ("model.safetensors", "pytorch_model.bin")


def published_name(network: str) -> str:
    """The full name of the weights that a network starts from.

    A model of timm has several, told apart by a tag, and which one its bare name stands for is
    timm's choice: ``timm/resnet50`` is ``timm/resnet50.a1_in1k`` today.

    Raises:
        UnknownName: timm has no such model, or no weights with this tag.
        NetworkError: there are no published weights for it.
    """
    if not network.startswith(TIMM_PREFIX):
        raise has_no_weights(network)
    config = timm_config(network)
    if config is None or not config.has_weights:
        raise NetworkError(
            f"there are no published weights for '{network}'. Take another model or another tag, "
            "or train from scratch (pretrained = false)."
        )
    return f"{TIMM_PREFIX}{config.architecture}.{config.tag}"


@functools.cache
def timm_config(network: str) -> Any:
    """What timm knows of a model's weights; None if nothing.

    Raises:
        UnknownName: timm has no such model, or no weights with this tag.
    """
    model = network.removeprefix(TIMM_PREFIX)
    name = model.partition(".")[0]
    if not timm.is_model(name):
        known = [TIMM_PREFIX + known for known in timm.list_models()]
        raise UnknownName(
            "network", network, known,
            'Models of timm: python -c "import timm; timm.list_models()".',
        )  # fmt: skip
    try:
        return timm.get_pretrained_cfg(model)
    except RuntimeError:  # what timm raises for an unknown tag
        known = [TIMM_PREFIX + known for known in timm.list_pretrained(f"{name}.*")]
        raise UnknownName(
            "network", network, known, f"Tags of {name}: {', '.join(known) or 'none'}."
        ) from None


def published_file(network: str) -> Path | None:
    """The file with the published weights of ``timm/NAME``, fetched if need be.

    Returns:
        The file in the cache of the Hugging Face hub, or None if the weights are not on the hub and
        timm fetches them from elsewhere.

    Raises:
        NetworkError: they cannot be had.
    """
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    config = timm_config(network)
    if not config.hf_hub_id:
        return None
    repository, _, revision = config.hf_hub_id.partition("@")
    here_only = not hub.reachable()
    for name in (config.hf_hub_filename,) if config.hf_hub_filename else _FILES:
        try:
            file = Path(
                huggingface_hub.hf_hub_download(
                    repository, name, revision=revision or None, local_files_only=here_only
                )
            )
            check_size(file)  # timm reads it
            return file
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError) and not here_only:
                raise no_weights(network, first_line(error)) from error
        except Exception as error:  # the HTTP library's own kinds are not OSErrors
            raise no_weights(network, first_line(error)) from error
    if here_only:
        raise no_weights(network, hub.no_answer())
    raise no_weights(network, f"'{repository}' has none of {', '.join(_FILES)}.")


def no_weights(network: str, reason: str) -> NetworkError:
    """That published weights cannot be had, and what to do."""
    return NetworkError(
        f"the published weights of '{network}' cannot be had: {reason}\n"
        f"Where there is a connection, run\n  hf download {timm_config(network).hf_hub_id}\n"
        "and copy its cache (HF_HOME, else ~/.cache/huggingface) here; or train from scratch "
        "(pretrained = false)."
    )
