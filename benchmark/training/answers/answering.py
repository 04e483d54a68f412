"""The answers of a group's teachers, kept by teacher, and read where they are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from benchmark.networks.outputs import Network, Outputs
from benchmark.training.answers.book import PART_BYTES, Binding, Book
from benchmark.training.answers.files import SUFFIX, AnswerFiles
from benchmark.training.answers.keep import Keep, Size, check_room, in_words
from benchmark.training.answers.source import key_of
from benchmark.training.group import Group
from benchmark.training.teaching import Answering, Said

MORE = frozenset({"maps", "class_maps"})  # what recipes read of a teacher and is not kept


class KeptAnswering(Answering):
    """Answers are read where they are kept, else computed and kept.

    Those alone to the batches of the training as they are: a recipe's own view is other images.

    Args:
        books: the answers of every teacher, by the ``id`` of its network.
        rounded: whether they are rounded to fp16.
    """

    def __init__(self, books: Mapping[int, Book], *, rounded: bool) -> None:
        self._books, self._is_rounded = books, rounded
        self._images: Tensor | None = None

    def begin(self, images: Tensor, *, epoch: int, step: int) -> None:
        """Open the books at a step."""
        self._images = images
        for book in self._books.values():
            book.turn_to(epoch, step)

    def of(self, network: Network, images: Tensor, compute: Callable[[Tensor], Outputs]) -> Outputs:
        """What a network says of images, out of its book if they are the step's."""
        book = self._books.get(id(network))
        if book is None or images is not self._images:
            return compute(images)
        return book.answer(images, compute)

    def settle(self) -> Said:
        """Write what is whole."""
        asked = read = 0
        for book in self._books.values():
            book.settle()
            asked, read = asked + book.asked, read + book.read
            book.asked = book.read = 0
        return Said(asked, read, self._is_rounded)


def keep_answers(group: Group, keep: Keep | None) -> None:
    """Let the teachers of a group read what is kept of their answers, and keep what is not.

    Args:
        group: before its first step; its listener hears how much that is.
        keep: where and how; None keeps nothing.

    Raises:
        UsageError: the disk does not hold it.
    """
    if keep is None:
        return
    epochs = range(group.stand.epoch - group.lead, group.protocol.epochs)
    jobs = [member.job for member in group.members]
    networks = {
        id(job.roles[role]): (job.roles[role], job.role_identities.get(role, ""))
        for job in jobs
        if job.hears_of_batches
        for role in job.heard
    }
    reads = not any(MORE & job.recipe.info.needs for job in jobs)
    books, missing = dict[int, Book](), 0
    for number, (network, identity) in networks.items():
        files = _files(keep, network, identity, group)
        numbers = network.shape.classes + network.shape.embedding_dim
        size = Size(len(epochs), group.loader.images_per_epoch, numbers, keep.dtype)
        there = files.size(epochs)
        missing += max(0, size.of_all - there)
        group.listener.note(f"keeping what the teacher says: {size}, {in_words(there)} of it there")
        step_bytes = group.protocol.batch_size * numbers * keep.dtype.itemsize
        per_part, device = max(1, PART_BYTES // step_bytes), group.accelerator.device
        binding = Binding(len(group.loader), per_part, keep.dtype, reads, device)
        books[number] = Book(files, binding, group.listener)
    check_room(keep.folder, missing)
    group.teachers.answering = KeptAnswering(books, rounded=keep.exactness == "fp16")


def _files(keep: Keep, network: Network, identity: str, group: Group) -> AnswerFiles:
    engine, supply, accelerator = group.checkpoints.engine, group.supply, group.accelerator
    key = key_of(network, identity, supply, engine, keep.exactness)
    folder = keep.folder / supply.data.card.name / f"{key[:16]}{SUFFIX}"
    return AnswerFiles(folder, key, (accelerator.process_index, accelerator.num_processes))
