"""An exported folder to the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark import hub
from benchmark.errors import OfflineError, UsageError, first_line

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def check_name(name: str) -> None:
    """Refuse before anything is made what the hub would refuse.

    Raises:
        UsageError: it is no name of a repository.
        OfflineError: no connection may be made.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"--push '{name[:120]}': write USER/NAME, of letters, digits, - _ and .")
    if hub.offline():
        raise OfflineError(
            "--push needs a connection to the hub, but none may be made (--offline). Leave one out."
        )


def push(folder: Path, name: str, *, public: bool) -> str:
    """Put an exported folder into a repository of the hub, made if need be.

    Who is asked for is whom ``hf auth login`` or ``HF_TOKEN`` names.

    Args:
        folder: that was exported.
        name: ``USER/NAME``.
        public: whether everybody may see a repository that is made; one that is there stays as it
            is.

    Returns:
        The address of what was put there.

    Raises:
        UsageError: the hub does not take it; the folder stays.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=hub.endpoint(), library_name="kdbench")
    try:
        made = api.create_repo(name, private=not public, exist_ok=True, repo_type="model")
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            commit_message="A network exported by kdbench",
        )
    except Exception as error:  # its client raises whatever the libraries below it do
        raise UsageError(
            f"{hub.endpoint()} does not take {name}: {first_line(error)}\n"
            f"The network is in {folder}. Log in (hf auth login), and repeat with\n"
            f"  hf upload {name} {folder}"
        ) from error
    return str(made)
