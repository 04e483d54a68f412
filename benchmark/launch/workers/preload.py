"""What the server that workers are forked from runs first: nothing else imports this.

A signal to all processes of a command, as Slurm, ``timeout`` and a closed terminal send it, must
not end the server: it alone knows how its workers ended, and a worker whose end nobody knows would
be taken for one that crashed. Workers begin as deaf, and are told to stop through their pipe.
"""

from __future__ import annotations

import signal

import torch._dynamo  # noqa: F401  # 900 modules, which the first update of every worker asks for

import benchmark.launch.workers.worker  # noqa: F401  # imported once for all workers

for _name in ("SIGTERM", "SIGHUP"):
    if hasattr(signal, _name):
        signal.signal(getattr(signal, _name), signal.SIG_IGN)
