"""Parts of answers come back as they were written, at their own place, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.training.answers.files import AnswerFiles, Part, Place
from benchmark.training.keeping.heading import Damaged


def part_of(rows: list[int], *, dtype: torch.dtype = torch.float32) -> Part:
    generator = torch.Generator().manual_seed(sum(rows))
    return Part.of(
        [
            tuple(torch.randn(count, width, generator=generator).to(dtype) for width in (3, 5))
            for count in rows
        ]
    )


@given(
    rows=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    epoch=st.integers(-20, 100_000),
    first=st.integers(0, 10_000_000),
    dtype=st.sampled_from([torch.float32, torch.float16]),
)
def test_a_part_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[int],
    epoch: int,
    first: int,
    dtype: torch.dtype,
) -> None:
    place, part = Place(epoch, first, len(rows)), part_of(rows, dtype=dtype)
    files = AnswerFiles(tmp_path_factory.mktemp("answers"), "key", (0, 1))
    files.write(place, part)
    read = files.read(place)
    assert read is not None
    assert read.rows == tuple(rows)
    for number, count in enumerate(rows):
        answer = read.at(number, has_stem=False)
        assert len(answer.logits) == len(answer.embedding) == count
        assert answer.logits.dtype == torch.float32
        assert not answer.has_stem
        answer.logits.zero_()  # the asker's own
    both = torch.cat([read.at(number, has_stem=False).embedding for number in range(len(rows))])
    assert torch.equal(both, part.embedding.float())
    assert torch.equal(read.logits, part.logits)


def test_the_parts_of_other_places_and_processes_are_not_taken_for_it(tmp_path: Path) -> None:
    files, place = AnswerFiles(tmp_path, "key", (0, 2)), Place(3, 4, 2)
    files.write(place, part_of([2, 2]))
    assert AnswerFiles(tmp_path, "key", (1, 2)).read(place) is None
    assert files.read(Place(3, 6, 2)) is files.read(Place(4, 4, 2)) is None
    for other in (
        AnswerFiles(tmp_path, "another key", (0, 2)),
        AnswerFiles(tmp_path, "key", (0, 2)),
    ):
        path = other.path(Place(5, 0, 2))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(files.path(place).read_bytes())
        with pytest.raises(Damaged, match="another training or place"):
            other.read(Place(5, 0, 2))
    with pytest.raises(Damaged, match="another training or place"):
        files.read(Place(3, 4, 3))


def test_what_is_there_is_counted_by_epoch(tmp_path: Path) -> None:
    files = AnswerFiles(tmp_path, "key", (0, 1))
    assert files.size(range(5)) == 0
    for epoch in (-1, 0, 7):
        files.write(Place(epoch, 0, 1), part_of([4]))
    [one] = {path.stat().st_size for path in tmp_path.rglob("*.safetensors")}
    assert files.size(range(-1, 5)) == 2 * one
