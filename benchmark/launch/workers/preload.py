"""What the server that workers are forked from runs first: nothing else imports this.

A signal to all processes of a command, as Slurm, ``timeout`` and a closed terminal send it, must
not end the server: it alone knows how its workers ended, and a worker whose end nobody knows would
be taken for one that crashed. Workers begin as deaf, and are told to stop through their pipe.
"""

from __future__ import annotations

import os
import signal

import torch._dynamo  # noqa: F401  # 900 modules, which the first update of every worker asks for

import benchmark.launch.workers.worker  # noqa: F401  # imported once for all workers

for _name in ("SIGTERM", "SIGHUP"):
    if hasattr(signal, _name):
        signal.signal(getattr(signal, _name), signal.SIG_IGN)

# Where to import from was said in the environment, in which programs that workers start shall not
# find it.
for _name in ("PYTHONPATH", "PYTHONSAFEPATH"):
    os.environ.pop(_name, None)
    if (_before := os.environ.pop(f"KDBENCH_{_name}", None)) is not None:
        os.environ[_name] = _before
