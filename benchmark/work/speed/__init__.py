"""How fast this machine trains: images/s of every part, and how near that is to the machine's best.

The clock includes loading, augmentation, the teacher, the loss, the update; it excludes evaluation,
checkpoints and the first steps. Weights are random: they do not change the speed.
"""

from benchmark.work.speed.bench import Bench
from benchmark.work.speed.measuring import measure

__all__ = ["Bench", "measure"]
