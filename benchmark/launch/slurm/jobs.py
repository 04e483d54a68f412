"""Submitting jobs, and asking Slurm what became of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.errors import UsageError
from benchmark.launch.means import Means
from benchmark.launch.slurm.command import cpus_of, gpus_of

MINUTES = 60  # of a job, unless the user says otherwise; the work goes on in the next one
WARNING_S = 60  # before a job's end; a stop takes ten seconds at most
REQUEUES = 100_000  # submitit counts them; a matrix may take any number
OVER = frozenset(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "TIMEOUT",
    ]
)
TAIL_LINES = 15


@dataclass
class Jobs:
    """The tasks of an array, or a single job.

    Attributes:
        number: of the array, for ``squeue`` and ``scancel``.
        logs: of what each job says, by its id.
        states: what Slurm calls the state of each, by its id, with the reason where it waits.
    """

    number: str
    logs: dict[str, Path]
    states: dict[str, str] = field(default_factory=dict)

    def look(self) -> dict[str, str]:
        """Ask for the states; those that are new."""
        words = ["squeue", "-h", "-r", "-t", "all", "-j", self.number, "-o", "%i|%T|%r|%N"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return {}  # Slurm is busy: what it said last holds
        if done.returncode != 0 and "Invalid job id" not in done.stderr:
            return {}
        now = dict.fromkeys(self.logs, "COMPLETED")  # of those that Slurm has forgotten
        for line in done.stdout.splitlines():
            job, state, reason, node = line.split("|", 3)
            if state == "PENDING" and reason not in ("None", ""):
                state = f"PENDING ({reason})"
            now[job] = f"{state} on {node}" if state == "RUNNING" else state
        new = {job: state for job, state in now.items() if self.states.get(job) != state}
        self.states = now
        return new

    @property
    def alive(self) -> bool:
        """Whether any has not come to its end."""
        return not self.states or any(s.split()[0] not in OVER for s in self.states.values())

    def tail(self, job: str) -> str:
        """The last lines that a job said."""
        try:
            text = self.logs[job].read_text("utf-8", errors="replace")
        except (OSError, KeyError):
            return ""
        return "\n".join(text.splitlines()[-TAIL_LINES:])

    def drop_waiting(self) -> None:
        """Take those out of the queue that have not begun: there is nothing left to do."""
        words = ["scancel", "--quiet", "--state=PENDING", self.number]
        subprocess.run(words, capture_output=True, timeout=60, check=False)


def submit(work: Callable[[], int], means: Means, folder: Path) -> Jobs:
    """Submit as many jobs as workers were asked for, as one array.

    Args:
        work: what each does.
        means: what was chosen.
        folder: of scripts and logs; on the file system that the nodes share.

    Raises:
        UsageError: submitit or Slurm is not here, or Slurm refuses.
    """
    try:
        import submitit
    except ImportError:
        raise UsageError("--launcher slurm needs submitit: pip install 'kdbench[slurm]'") from None
    try:
        executor = submitit.AutoExecutor(folder, cluster="slurm", slurm_max_num_timeout=REQUEUES)
        executor.update_parameters(**parameters(means))
        with executor.batch():
            made = [executor.submit(work) for _ in range(means.workers or 1)]
    except RuntimeError as error:  # no srun; or what sbatch said
        raise UsageError(f"Slurm takes no job:\n{_words_of_slurm(error)}") from None
    number = made[0].job_id.split("_")[0]
    return Jobs(number, {job.job_id: job.paths.stderr for job in made})


def parameters(means: Means) -> dict[str, Any]:
    """What submitit is told of a job."""
    options, minutes = means.options, means.options.get("slurm-time", MINUTES)
    cpus, gpus = cpus_of(means), gpus_of(means)
    named = {
        f"slurm_{name}": options.get(f"slurm-{name}")
        for name in ("partition", "account", "qos", "constraint", "setup")
    }
    memory = means.memory_gb and means.memory_gb + 1  # the process that keeps order needs some too
    return {
        "name": "kdbench",
        "nodes": 1,
        "tasks_per_node": 1,
        "timeout_min": minutes,
        "cpus_per_task": cpus,
        "gpus_per_node": gpus or None,
        "mem_gb": memory,
        "stderr_to_stdout": False,
        "slurm_signal_delay_s": min(WARNING_S, 15 * minutes),
        # Slurm does not pass the number of cores on to the steps of a job.
        "slurm_srun_args": [f"--cpus-per-task={cpus}"],
        "slurm_wckey": None,
        "slurm_additional_parameters": {"requeue": True},
    } | named


def _words_of_slurm(error: RuntimeError) -> str:
    """What Slurm said, without the trace that submitit puts around it."""
    lines = [line.strip() for line in str(error).splitlines()]
    own = [line for line in lines if line.startswith(("sbatch:", "srun:"))]
    return "\n".join(own or lines[-1:])
