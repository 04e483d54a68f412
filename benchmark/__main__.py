"""``python -m benchmark`` is ``python -m kdbench``, as long as no other file is called so."""

from benchmark.cli.app import main
from benchmark.processes import start_all

if not start_all():
    main()
