"""``python -m benchmark`` is the command ``kdbench``, e.g. for ``accelerate launch -m``."""

from benchmark.cli import main

main()
