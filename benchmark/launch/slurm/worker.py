"""What runs in a job: ``kdbench run`` on the shared folder, until nothing is left to do for it.

submitit calls it, and asks it for a checkpoint when Slurm warns of the job's end (SIGUSR2); the
command then stops as at Ctrl-C, and submitit puts the job into the queue again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

LOOK_S = 0.2
# After SIGTERM from elsewhere: a preemption's time of grace, or scancel's. Slurm decides then what
# becomes of the job; a command that ended would look like one that had done its work.
PATIENCE_S = 300.0
STOPPED = (-signal.SIGTERM, 128 + signal.SIGTERM, 128 + signal.SIGINT)


@dataclass
class Worker:
    """A command that is started again for as long as it has only been stopped.

    Attributes:
        words: of the command.
    """

    words: tuple[str, ...]
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __call__(self) -> int:
        """Run the command.

        Returns:
            Its exit code: 0, or 1 if runs failed.

        Raises:
            RuntimeError: it ended in another way, which makes the job a failed one.
        """
        while True:
            code = self._run()
            if code in (0, 1):
                return code
            if code not in STOPPED:
                raise RuntimeError(f"the command ended with exit code {code}: see above")
            print("kdbench: stopped; waiting for what Slurm does with this job", flush=True)  # noqa: T201
            time.sleep(PATIENCE_S)

    def checkpoint(self) -> Any:
        """Stop the command at its next step; what the job shall do when it starts again."""
        from submitit.helpers import DelayedSubmission

        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            # Not Popen.wait: this runs in a signal's handler, perhaps within Popen's own lock.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(Worker(self.words))

    def _run(self) -> int:
        # Else accelerate takes this job step for one of MPI.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PMI_", "PMIX_"))}
        self._process = subprocess.Popen(
            self.words, env=environment, preexec_fn=_ignore_the_warning
        )
        while self._process.poll() is None:
            time.sleep(LOOK_S)
        return self._process.returncode


def _ignore_the_warning() -> None:
    """Slurm sends it to every process of the job, and it would end those that do not expect it."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
