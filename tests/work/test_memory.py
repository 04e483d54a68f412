"""What a process that trains keeps of its memory, and the most it may have."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from benchmark.work.memory import TUNABLES, in_huge_pages

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

STEPS = """
import resource, sys
import torch
from benchmark.work import memory
def fault(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
if "kept" in sys.argv: memory.keep_freed()
def step():
    before = [torch.ones(size << 18) for size in (8, 2, 4, 6)]
    after = [torch.ones(size << 18) for size in (1, 7, 3, 5)]
    del before
    torch.ones(48 << 18)
for _ in range(20): step()
before = fault()
for _ in range(40): step()
print(fault() - before)
memory.give_back()
before = fault(); step(); print(fault() - before)
"""


def faults(*words: str) -> list[int]:
    """Pages that forty steps took from the system, and one after all was given back."""
    usual = {name: value for name, value in os.environ.items() if name != TUNABLES}
    ran = subprocess.run(
        [sys.executable, "-c", STEPS, *words],
        capture_output=True,
        text=True,
        check=True,
        env=usual,
    )
    return [int(line) for line in ran.stdout.split()]


def test_a_step_finds_the_memory_of_the_one_before() -> None:
    kept, after = faults("kept")
    usual, _ = faults()
    assert kept < usual / 5  # by itself glibc gives back any piece of more than 32 MB
    assert after > kept / 40, "what is given back is gone"


def test_what_someone_asks_of_glibc_is_kept() -> None:
    assert in_huge_pages({}) == {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    told = in_huge_pages({"GLIBC_TUNABLES": "glibc.malloc.check=3"})
    assert told == {"GLIBC_TUNABLES": "glibc.malloc.check=3:glibc.malloc.hugetlb=1"}
