"""What is to be trained is known without torch."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "numpy", "timm", "accelerate", "datasets", "rich", "pandas")


def test_the_matrix_and_the_order_of_work_import_nothing_that_trains() -> None:
    code = (
        "import sys\n"
        "import benchmark.matrix.plan, benchmark.matrix.request, benchmark.matrix.resolver\n"
        "import benchmark.launch.order\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
