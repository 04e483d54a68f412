"""The table of ``kdbench speed``."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.records.speed import Host, LoaderSpeed
from benchmark.reports.terminal.speed import speed_table
from benchmark.reports.wording.speed import saving
from tests.records.made_speeds import speed

TABLE = """\
cifar100, resnet20:resnet8, protocol paper, batch 64, fp32, 2 threads
Made Processor 3000, 2 cores; torch 2.11.0, commit 000000000000, 2026-03-01

 images/s        median    lowest   highest   of peak
 ────────────────────────────────────────────────────
 loader         120,000   110,000   130,000
 teacher          3,000     2,900     3,100
 vanilla          1,000       950     1,020      46 %
 kd               1,000       950     1,020      46 %
 as one group     1,000       950     1,020      46 %

vanilla, kd as one group are 1.35 times as fast as one after the other (1.30 …
1.40 in 5 rounds, in which everything has its turn).

 ms of a step   load   teacher   student   backward   update
 ───────────────────────────────────────────────────────────
 vanilla         0.5        20        15       27.5        1
 kd              0.5        20        15       27.5        1
 as one group    0.5        20        15       27.5        1


 ms of a step   whole   arithmetic   memory   host     host starts
 ─────────────────────────────────────────────────────────────────
 vanilla           64         29.2        7    2.5   212 operators
 kd                64         29.2        7    2.5   212 operators
 as one group      64         29.2        7    2.5   212 operators

Peak: 110 GFLOP/s in fp32, 480 in bf16; memory 20.6 GB/s.
"""


def test_it_has_rates_parts_and_bounds(printed: Callable[..., str]) -> None:
    assert printed(speed_table(speed())) == TABLE


def test_it_shows_what_is_unusual(printed: Callable[..., str]) -> None:
    loader = LoaderSpeed(
        images_per_s=963.0, lowest=900.0, highest=970.0,
        uncached_images_per_s=321.0, cache_speedup=3.0,
    )  # fmt: skip
    host = Host(us=900.0, operators=210.0, launches=2.0, graph_launches=1.0)
    kd = speed().recipes["kd"].model_copy(update={"host": host})
    made = speed(
        loader=loader, recipes={"kd": kd}, device="cuda:0", compiled=True, unsettled=("teacher",)
    )
    text = printed(speed_table(made), width=100)
    assert "loader without the cache, 3.0 times slower" in text
    assert "321" in text
    assert "2 launches, 1 of graphs" in text
    assert "compiled, fp32 on cuda:0" in text
    assert "Made Processor 3000, 2 cores" in text
    assert "Still changing when the warm-up ended: teacher." in text


def test_a_group_that_is_no_gain_is_said_to_be_slower() -> None:
    made = speed()
    slow = made.group.model_copy(
        update={"speedup_over_apart": 0.8333, "lowest_speedup": 0.8, "highest_speedup": 0.85}
    )
    assert "as one group are 20 % slower than one after" in (saving(speed(group=slow)) or "")
    assert "times as fast as one after the other (" in (saving(made) or "")


def test_one_recipe_alone_is_no_group(printed: Callable[..., str]) -> None:
    made = speed()
    alone = made.group.model_copy(update={"recipes": ("kd",)})
    text = printed(speed_table(speed(recipes={"kd": made.recipes["kd"]}, group=alone)))
    assert "group" not in text
