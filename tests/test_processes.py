"""When this process has to start the others that a launcher did not."""

from __future__ import annotations

import pytest

from benchmark.processes import processes_to_start

LAUNCHED = {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("environment", "words", "count"),
    [
        ({}, "python -m pytest", 1),
        (LAUNCHED, "python accelerate launch --num_processes 2 -m benchmark run", 2),
        (LAUNCHED, "python -m accelerate.commands.launch --num-processes=3 -m benchmark run", 3),
        (LAUNCHED | {"LOCAL_RANK": "0"}, "python accelerate launch --num_processes 2", 1),
        (LAUNCHED | {"OMPI_COMM_WORLD_SIZE": "2"}, "mpirun accelerate --num_processes 2", 1),
        (LAUNCHED, "python accelerate launch --config_file cluster.yaml -m benchmark", 1),
    ],
)
def test_processes_to_start(environment: dict[str, str], words: str, count: int) -> None:
    assert processes_to_start(environment, words.split()) == count
