"""A real Slurm of one node: munged, slurmctld and slurmd of a temporary folder.

``MISSING`` says what is not installed; ``.ci/run`` installs it. Nothing of the machine's own
configuration is read or changed, and after ``stop`` no process and no file is left.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
MISSING = next((name for name in PROGRAMS if shutil.which(name, path=PATH) is None), None)
CPUS = 4  # of the node, whatever the machine has: jobs must not wait for each other
START_S = 30

CONFIGURATION = """\
ClusterName=kdbench
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1
JobRequeue=1
KillWait=5
OverTimeLimit=0
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
PartitionName=closed Nodes=localhost MaxTime=1 State=DOWN
"""


@dataclass
class SlurmCluster:
    """A running cluster.

    Attributes:
        folder: of its configuration, state and logs.
        environment: what a client needs, beside its own environment, to find it.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Start the daemons and wait until the node is idle.

        Raises:
            RuntimeError: it does not come up; the message holds the ends of the logs.
        """
        self._make_folders()
        configuration = self.folder / "slurm.conf"
        ports = _free_ports(2)
        configuration.write_text(
            CONFIGURATION.format(
                folder=self.folder,
                user=getpass.getuser(),
                cpus=CPUS,
                controller_port=ports[0],
                node_port=ports[1],
            )
        )
        # Slurm counts them and gives them out; that there are none is no matter for it.
        (self.folder / "gres.conf").write_text(
            "NodeName=localhost Name=gpu File=/dev/null,/dev/zero\n"
        )
        self.environment = {"SLURM_CONF": str(configuration)}
        munge = self.folder / "munge"
        environment = {**os.environ, **self.environment}  # by which slurmd finds gres.conf
        _start(
            environment,
            "munged",
            f"--socket={munge}/socket",
            f"--key-file={munge}/key",
            f"--pid-file={munge}/munged.pid",
            f"--log-file={munge}/munged.log",
            f"--seed-file={munge}/seed",
        )
        _start(environment, "slurmctld", "-f", str(configuration))
        _start(environment, "slurmd", "-f", str(configuration), "-N", "localhost")
        deadline = time.monotonic() + START_S
        while self.ask("sinfo", "-h", "-p", "main", "-o", "%t") != "idle":
            if time.monotonic() > deadline:
                raise RuntimeError(f"the node is not idle after {START_S} s\n{self.logs()}")
            time.sleep(0.1)

    def ask(self, *words: str) -> str:
        """What a client program prints; empty while the controller does not answer."""
        done = subprocess.run(
            words,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    def states(self, job: str) -> dict[str, str]:
        """The states of the tasks of a job array, by task."""
        lines = self.ask("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)

    def jobs(self, states: str = "PENDING,RUNNING") -> list[str]:
        """The ids of all jobs in some states, each task of an array once."""
        return self.ask("squeue", "-h", "-r", "-t", states, "-o", "%i").split()

    def logs(self) -> str:
        """The ends of the daemons' logs."""
        texts = [path.read_text(errors="replace")[-2000:] for path in self.folder.rglob("*.log")]
        return "\n---\n".join(texts)

    def stop(self) -> None:
        """Cancel all jobs, end the daemons and what they started, remove the folder."""
        self.ask("scancel", "--signal=KILL", "--user", getpass.getuser())
        self.ask("scancel", "--user", getpass.getuser())
        _wait_until(lambda: not self.jobs("PENDING,RUNNING,COMPLETING"), 10)
        for name in ("slurmd", "slurmctld", "munge/munged"):
            _end(self.folder / f"{name}.pid")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_folders(self) -> None:
        for name in ("state", "spool", "munge"):
            (self.folder / name).mkdir()
        # munged refuses a socket that not all can reach, and a key that others can read.
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o711)
        key = self.folder / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(64))


@contextlib.contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A cluster for as long as the block lasts."""
    # Not a folder of pytest's: its length and its mode are fit for no socket.
    cluster = SlurmCluster(Path(tempfile.mkdtemp(prefix="kdbench-slurm-")))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _start(environment: dict[str, str], *command: str) -> None:
    """Start a daemon, which goes to the background by itself."""
    path = shutil.which(command[0], path=PATH) or command[0]
    done = subprocess.run(
        [path, *command[1:]], env=environment, capture_output=True, text=True, timeout=START_S
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} does not start: {done.stderr.strip() or done.stdout}")


def _end(pid_file: Path) -> None:
    """End the process that a file names, by force if it does not go."""
    if not pid_file.is_file():
        return
    pid = int(pid_file.read_text())
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            if _wait_until(lambda: not Path(f"/proc/{pid}").exists(), 5):
                return


def _wait_until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return False


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
