"""``python -m benchmark`` is the command ``kdbench``, e.g. for ``accelerate launch -m``."""

from benchmark.cli.app import main
from benchmark.processes import start_all

if not start_all():
    main()
