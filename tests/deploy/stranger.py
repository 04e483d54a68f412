"""A stranger who has an exported folder and CUB's own files, and no kdbench.

It is run in the folder, as a program of its own, which cannot import kdbench; it prints what each
form gives on the official test images. In the order of ``images.txt`` the first 50 classes are
CUB-50's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch

AT_ONCE = 64
Ask = Callable[[np.ndarray], np.ndarray]


def forms() -> dict[str, Ask]:
    """What each form says of pixels."""
    asks: dict[str, Ask] = {}
    if Path("config.json").exists():
        model = timm.create_model("local-dir:.", pretrained=True).eval()
        mean, std = (torch.tensor(model.pretrained_cfg[k])[:, None, None] for k in ("mean", "std"))
        asks["timm"] = lambda x: model((torch.from_numpy(x) - mean) / std).numpy()
    program = torch.export.load("model.pt2").module()
    asks["torch-export"] = lambda x: program(torch.from_numpy(x)).numpy()
    session = onnxruntime.InferenceSession("model.onnx")
    asks["onnx"] = lambda x: session.run(["logits"], {"pixels": x})[0]
    return asks


def official_images(cub: Path, classes: int) -> list[tuple[Path, int]]:
    """The official test images of the first classes, with their labels."""

    def column(name: str) -> list[str]:
        return [line.split()[1] for line in (cub / name).read_text().splitlines()]

    rows = zip(column("images.txt"), column("image_class_labels.txt"),
               column("train_test_split.txt"), strict=True)  # fmt: skip
    return [
        (cub / "images" / name, int(label) - 1)
        for name, label, trains in rows
        if trains == "0" and int(label) <= classes
    ]


@torch.no_grad()
def main(cub: Path) -> None:
    """Print accuracy in percent and mean negative log-likelihood of each form."""
    sys.modules["benchmark"] = None  # type: ignore[assignment]
    sys.path.insert(0, "")
    from pixels import pixels  # of the exported folder

    classes = len(json.loads(Path("labels.json").read_text())["class_names"])
    images, asks = official_images(cub, classes), forms()
    found = {name: {"images": len(images), "top1": 0.0, "nll": 0.0} for name in asks}
    for start in range(0, len(images), AT_ONCE):
        some = images[start : start + AT_ONCE]
        seen = np.stack([pixels(path) for path, _ in some])
        labels = np.array([label for _, label in some])
        for name, ask in asks.items():
            logits = ask(seen).astype(np.float64)
            logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
            found[name]["top1"] += 100 * float((logits.argmax(1) == labels).sum()) / len(images)
            found[name]["nll"] -= float(logits[np.arange(len(some)), labels].sum()) / len(images)
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
