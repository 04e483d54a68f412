"""The options of a choice of cells stand once, and come to a command as a request."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmark.cli import options
from benchmark.cli.app import app
from benchmark.cli.cells import MeansOptions, choosing_cells
from benchmark.cli.options import DataOption, JsonOption
from benchmark.matrix import states
from benchmark.matrix.request import Request

Called = list[tuple[Request, Path | None, bool]]


@pytest.fixture
def called() -> Called:
    return []


@pytest.fixture
def sample(called: Called) -> typer.Typer:
    """A command line of one command."""
    sample = typer.Typer()

    @sample.command()
    @choosing_cells
    def show(request: Request, *, data: DataOption = None, as_json: JsonOption = False) -> None:
        """Show nothing."""
        called.append((request, data, as_json))

    return sample


def test_all_words_of_a_choice_arrive_as_a_request(sample: typer.Typer, called: Called) -> None:
    words = (
        "--suite quick --dataset a --dataset b --pair t:s --recipe kd[x=1] --recipe crd --seeds 2 "
        "--protocol short --teacher-checkpoint t.pt --path one --path two --data d --json"
    )
    assert CliRunner().invoke(sample, words.split()).exit_code == 0
    request = Request(
        suite="quick",
        datasets=["a", "b"],
        pairs=["t:s"],
        recipes=["kd[x=1]", "crd"],
        seeds="2",
        protocol="short",
        teachers=["t.pt"],
        paths=[Path("one"), Path("two")],
    )
    assert called == [(request, Path("d"), True)]


def test_what_nobody_wrote_is_what_a_request_has(
    sample: typer.Typer, called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KDBENCH_DATA", raising=False)
    assert CliRunner().invoke(sample, []).exit_code == 0
    assert called == [(Request(), None, False)]


@pytest.mark.parametrize(
    ("flags", "keeps"),
    [((), None), (("",), "fp32"), (("_fp16",), "fp16"), (("", "_fp16"), "fp16")],
)
def test_teacher_outputs_are_kept_as_the_flags_say(flags: tuple[str, ...], keeps: str) -> None:
    chosen = MeansOptions(**{f"keep_teacher_outputs{flag}": True for flag in flags})
    assert chosen.made().keeps == keeps


def test_options_are_read_from_the_environment_too(
    sample: typer.Typer, called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDBENCH_DATA", "of the environment")
    assert CliRunner().invoke(sample, []).exit_code == 0
    assert called[0][1] == Path("of the environment")


def test_a_wrong_word_is_refused(sample: typer.Typer, called: Called) -> None:
    done = CliRunner().invoke(sample, ["--seed", "3"])
    assert done.exit_code == 2
    assert "--seeds" in done.output, "the near option is suggested"
    assert called == []


def test_the_words_of_retry_are_those_of_the_states() -> None:
    words = [word.value for word in states.Retry if word is not states.Retry.elsewhere]
    assert [word.value for word in options.Retry] == words  # elsewhere is written --own


CHOICE = ["suite", "dataset", "pair", "recipe", "seeds", "protocol"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("run", [*CHOICE, "data", "runs", "results", "teacher_checkpoint", "retry", "own",
                 "minutes", "dry_run", "precision", "workers", "threads", "memory_per_worker",
                 "compile_steps", "checkpoint_minutes", "time_limit", "keep_teacher_outputs",
                 "keep_teacher_outputs_fp16", "track", "track_to", "launcher", "gpus_per_worker",
                 "cpus_per_worker", "ray_address", "slurm_partition", "slurm_time", "slurm_account",
                 "slurm_qos", "slurm_constraint", "slurm_setup", "detach", "path", "as_json"]),
        ("plan", [*CHOICE, "data", "runs", "results", "teacher_checkpoint", "retry", "own",
                  "minutes", "measure", "precision", "workers", "threads", "memory_per_worker",
                  "compile_steps", "checkpoint_minutes", "time_limit", "keep_teacher_outputs",
                  "keep_teacher_outputs_fp16", "track", "track_to", "launcher", "gpus_per_worker",
                  "cpus_per_worker", "ray_address", "slurm_partition", "slurm_time",
                  "slurm_account", "slurm_qos", "slurm_constraint", "slurm_setup", "detach", "path",
                  "as_json"]),
        ("status", [*CHOICE, "runs", "results", "teacher_checkpoint", "watch", "path",
                    "as_json"]),
    ],
)  # fmt: skip
def test_help_lists_options_in_one_order(command: str, expected: list[str]) -> None:
    parameters = typer.main.get_group(app).commands[command].params
    assert [parameter.name for parameter in parameters] == expected
