"""Which faults a method is to blame for: memory, surroundings, and what an exception says."""

from __future__ import annotations

import errno
import re
import unicodedata
from collections.abc import Iterator

import torch

from benchmark.errors import DisturbanceError

# Of a full or broken disk, of a file system that is read only or gone, of no file handles.
DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
MACHINE = DISK | {errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE}
_NO_MEMORY = re.compile(
    r"DefaultCPUAllocator: (can't|not enough)|[Nn]ot enough memory|out of memory|"
    r"CUBLAS_STATUS_ALLOC|CUDNN_STATUS_ALLOC|CUDNN_STATUS_\w*ALLOCATION_FAILED|"
    r"CUSOLVER_STATUS_ALLOC|CUSPARSE_STATUS_ALLOC|CUFFT_ALLOC_FAILED"
)
_DATA_WORKER = re.compile(r"DataLoader (worker|timed out)|Pin memory thread exited")
_PEER = re.compile(r"gloo/transport|(closed|reset) by peer|NCCL error|DistBackendError|TCPStore")
_DEVICE = re.compile(r"^(CUDA|HIP|cuDNN) [Ee]rror|unhandled cuda error")
# Refusals of single calls; the device goes on.
_REFUSED = re.compile(r"_STATUS_(NOT_SUPPORTED|INVALID_VALUE|BAD_PARAM)|invalid (config|argument)")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's or the machine's memory was too small."""
    return any(
        isinstance(one, torch.OutOfMemoryError | MemoryError)
        or (isinstance(one, RuntimeError) and bool(_NO_MEMORY.search(words_of(one)[:4000])))
        for one in _with_causes(error)
    )


def disturbance(error: BaseException, *, own: bool = False) -> tuple[str, bool] | None:
    """What happened to the surroundings, for a person, and whether it lasts; None if nothing did.

    Args:
        error: as it was caught.
        own: it comes out of the recipe's own lines, which may have opened or written anything.
    """
    if is_out_of_memory(error):
        return None
    for one in _with_context(error):
        words = words_of(one)
        said = printable(words.partition("\n")[0], 300)
        if isinstance(one, DisturbanceError):
            return said, one.lasting
        if isinstance(one, OSError) and one.errno in (DISK if own else MACHINE):
            return f"the file system or machine failed: {said}", True
        if isinstance(one, RuntimeError) and _DATA_WORKER.search(words):
            return f"a worker that loads data died or hung: {said}", False
        if isinstance(one, RuntimeError) and _PEER.search(words):
            return f"another process of the training is gone: {said}", False
        on_device = _DEVICE.search(words) and not _REFUSED.search(words)
        if isinstance(one, torch.AcceleratorError) or (isinstance(one, RuntimeError) and on_device):
            return f"the device does not answer any more: {said}", True
        if not own and isinstance(one, BrokenPipeError | UnicodeEncodeError):
            return f"what is said could not be written: {said}", True
    return None


def words_of(error: BaseException) -> str:
    """What an exception says; its kind if it says nothing or cannot."""
    try:
        words = str(error).strip()
    except BaseException:  # an exception's own methods are code of whoever wrote it
        words = ""
    return words or type(error).__name__


def printable(text: str, length: int, *, keep_end: int = 0) -> str:
    """A text that may stand in any file and on any terminal, and that is not too long.

    Args:
        text: whatever it holds: control characters, halves of surrogate pairs and other characters
            that cannot be seen are written as escapes; line breaks and tabs stay.
        length: the most characters that are kept of it, as they are written.
        keep_end: how many of these are its last ones.
    """
    head = _fitting(text, length - keep_end)
    rest = text[len(head) :]
    end = _fitting(rest[::-1], keep_end)[::-1] if keep_end else []
    cut = len(rest) - len(end)
    return "".join([*head, f" … ({cut} more characters) " if cut else "", *end]).rstrip(" ")


def _fitting(text: str, length: int) -> list[str]:
    """The first characters of a text, each as it is written, as many as fit."""
    written = []
    for character in text[:length]:
        seen = _visible(character)
        length -= len(seen)
        if length < 0:
            break
        written.append(seen)
    return written


def _visible(character: str) -> str:
    if character.isprintable() or character in "\n\t":
        return character
    if unicodedata.category(character) == "Zs":  # spaces of other widths
        return " "
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised ``from``."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__


def _with_context(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that were being handled; ``from None`` only hides them from people."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
