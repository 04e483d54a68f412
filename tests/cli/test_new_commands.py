"""Files from templates train as they are."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.called import Kdbench


def test_a_new_recipe_trains_as_it_is(kdbench: Kdbench, tiny_words: list[str]) -> None:
    code, out, _ = kdbench("new", "recipe", "my-method", "--path", "mine")
    assert code == 0
    assert "my_method.py" in out
    code, out, _ = kdbench("run", *tiny_words, "--path", "mine", "--recipe", "my-method")
    assert code == 0
    assert "my-method" in out


def test_a_folder_of_images_becomes_a_data_set_that_trains(kdbench: Kdbench) -> None:
    from PIL import Image

    for split, count in (("train", 6), ("test", 2)):
        for name, value in (("dark", 40), ("light", 200)):
            for number in range(count):
                file = Path("images") / split / name / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (40 + number, 36), (value, value, value + number)).save(file)

    code, out, _ = kdbench("new", "dataset", "tones", "--from", "images", "--path", "mine")
    assert code == 0
    assert "2 classes, 12 training and 4 test images, at least 6 a class" in out
    assert "--path mine --dataset tones" in out
    code, out, _ = kdbench("list", "datasets", "--path", "mine", "--json")
    assert "tones" in [entry["name"] for entry in json.loads(out)]

    words = ["--path", "mine", "--dataset", "tones", "--pair", "resnet14:resnet8", "--seeds", "1"]
    words += ["--protocol", "quick[epochs=1,image_size=16]", "--recipe", "kd"]
    assert kdbench("run", *words)[0] == 0
    [record] = Path("results/tones/resnet14__resnet8").rglob("seed0.json")
    values = json.loads(record.read_text())
    assert values["spec"]["protocol_values"]["image_size"] == 16
    assert values["metrics"]["images"] == 4
    assert kdbench("run", *words)[1].count("runs to train: 0") == 1
