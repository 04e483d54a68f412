"""Recipe files to be found."""

from __future__ import annotations

from pathlib import Path

RECIPE = '''"""Does nothing new."""
from benchmark import Recipe, register

@register("{name}", family="logits", needs={{"embedding"}})
class Mine(Recipe):
    weight: float = 0.5
    def forward(self, batch, student, teacher):
        return {{"zero": self.weight * student.logits.sum() * 0}}
'''


def write_recipe(folder: Path, file: str, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    path.write_text(RECIPE.format(name=name), encoding="utf-8")
    return path
