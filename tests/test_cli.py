"""The command line as a user meets it: words in, text and exit codes out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.cli.app import main

Kdbench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def kdbench(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Kdbench:
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> tuple[int, str, str]:
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)
        with pytest.raises(SystemExit) as caught:
            main(list(words))
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def tiny_words(card_folder: Path) -> list[str]:
    return ["--path", str(card_folder), "--dataset", "tiny", "--seeds", "1"]


def test_run_trains_records_and_shows_the_table(kdbench: Kdbench, tiny_words: list[str]) -> None:
    code, out, _ = kdbench("run", *tiny_words, "--recipe", "vanilla", "--recipe", "kd")
    assert code == 0
    assert "student alone" in out
    assert Path("results/tiny/resnet14__resnet8/kd/seed0.json").exists()
    assert Path("results/tiny/resnet8/vanilla/seed0.csv").exists()

    code, out, _ = kdbench("run", *tiny_words, "--recipe", "vanilla", "--recipe", "kd")
    assert code == 0
    assert "runs to train: 0" in out

    code, out, _ = kdbench("show", "tiny/resnet14__resnet8/kd/seed0")
    assert code == 0
    assert "top-1" in out

    code, out, _ = kdbench("status", *tiny_words, "--recipe", "kd", "--recipe", "crd", "--json")
    assert [(row["recipe"], row["done"], row["missing"]) for row in json.loads(out)] == [
        ("kd", 1, 0),
        ("crd", 0, 1),
    ]

    path = tiny_words[:2]
    assert kdbench("leaderboard", *path)[0] == 0
    assert "resnet14 → resnet8" in Path("leaderboard.md").read_text()
    assert kdbench("leaderboard", *path, "--check")[0] == 0
    Path("leaderboard.md").write_text("something else\n")
    code, _, err = kdbench("leaderboard", *path, "--check")
    assert code == 1
    assert "-something else" in err
    for form in ("csv", "latex", "json"):
        code, out, _ = kdbench("leaderboard", *path, "--format", form)
        assert code == 0
        assert "kd" in out


def test_a_failing_cell_gives_exit_code_1(kdbench: Kdbench, tiny_words: list[str]) -> None:
    Path("mine").mkdir()
    Path("mine/bad.py").write_text(
        '"""Always fails."""\n'
        "from benchmark import Recipe, register\n"
        "@register('bad', family='logits')\n"
        "class Bad(Recipe):\n"
        "    def forward(self, batch, student, teacher):\n"
        "        raise ValueError('never mind')\n"
    )
    words = ["run", *tiny_words, "--path", "mine", "--recipe", "bad", "--json"]
    code, out, err = kdbench(*words)
    assert code == 1
    assert json.loads(out)["outcomes"] == {"recorded": 1, "failed": 1}
    assert "never mind" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--recipe", "kdd"], "Did you mean 'kd'?"),
        (["run", "--dataset", "cifar10", "--recipe", "kd"], "Did you mean 'cifar100'?"),
        (["run", "--dataset", "cifar100"], "needs at least one --recipe"),
        (["run", "--retry", "all"], "--retry"),
        (["run", "--no-such-option"], "--no-such-option"),
        (["list", "recipe"], "recipes"),
        (["show", "nothing/here"], "there is no record"),
        (["new", "recipe", "My Method"], "Use lower case"),
        (["new", "recipe", "kd"], "exists"),
        (["new", "dataset", "My Birds", "--from", "."], "Use lower case"),
        (["new", "dataset", "birds", "--from", "nowhere"], "Correct --from"),
        (["new", "dataset", "birds", "--from", "."], "in no known layout"),
        (
            ["run", "--dataset", "cifar100", "--recipe", "kd", "--data", "nowhere"],
            "the data folder nowhere does not exist",
        ),
        (
            ["run", "--dataset", "cifar100", "--pair", "resnet20:resnet8", "--recipe", "kd",
             "--teacher-checkpoint", "nowhere.pt"],
            "nowhere.pt",
        ),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_message_and_exit_code_2(
    kdbench: Kdbench, words: list[str], message: str
) -> None:
    code, _, err = kdbench(*words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not list(Path().rglob("*.json"))


def test_debug_shows_the_traceback(kdbench: Kdbench) -> None:
    from benchmark.errors import UnknownName

    with pytest.raises(UnknownName):
        main(["--debug", "run", "--recipe", "kdd"])


@pytest.mark.parametrize("kind", ["recipes", "datasets", "networks", "suites"])
def test_lists_have_names(kdbench: Kdbench, kind: str) -> None:
    code, out, _ = kdbench("list", kind, "--json")
    assert code == 0
    assert all(entry["name"] for entry in json.loads(out))
    code, out, _ = kdbench("list", kind)
    assert code == 0
    assert json.loads(kdbench("list", kind, "--json")[1])[0]["name"] in out


def test_a_broken_recipe_is_listed_beside_good_ones(kdbench: Kdbench) -> None:
    Path("mine").mkdir()
    Path("mine/broken.py").write_text("import no_such_package\n")
    code, out, _ = kdbench("list", "recipes", "--path", "mine")
    assert code == 0
    assert "1 broken" in out
    assert "no_such_package" in out
    assert "vanilla" in out
    code, _, err = kdbench("run", "--path", "mine", "--recipe", "broken")
    assert code == 2
    assert "no_such_package" in err


def test_pages_are_of_the_built_in_recipes_or_of_a_folder(kdbench: Kdbench) -> None:
    assert kdbench("pages")[0] == 0
    built_in = Path("recipes.md").read_text(encoding="utf-8")
    assert "### th-kd" in built_in

    kdbench("new", "recipe", "my-method", "--path", "mine")
    code, out, _ = kdbench("pages", "--path", "mine", "--output", "-")
    assert code == 0
    assert "(mine/my_method.py)" in out
    assert "### th-kd" not in out

    Path("mine/broken.py").write_text("import no_such_package\n")
    code, _, err = kdbench("pages", "--path", "mine", "--output", "docs/mine.md")
    assert code == 1
    assert "no_such_package" in err
    assert "(../mine/my_method.py)" in Path("docs/mine.md").read_text(encoding="utf-8")


def test_a_new_recipe_trains_as_it_is(kdbench: Kdbench, tiny_words: list[str]) -> None:
    code, out, _ = kdbench("new", "recipe", "my-method", "--path", "mine")
    assert code == 0
    assert "my_method.py" in out
    code, out, _ = kdbench("run", *tiny_words, "--path", "mine", "--recipe", "my-method")
    assert code == 0
    assert "my-method" in out


def test_a_dry_run_trains_nothing(kdbench: Kdbench, tiny_words: list[str]) -> None:
    code, out, _ = kdbench("run", *tiny_words, "--recipe", "sh-kd", "--dry-run")
    assert code == 0
    assert "resnet14 sh-teacher" in out
    assert not Path("results").exists()


def test_speed_measures_every_part(kdbench: Kdbench, tiny_words: list[str]) -> None:
    code, out, _ = kdbench(
        "speed",
        *tiny_words[:4],
        "--recipe",
        "vanilla",
        "--recipe",
        "kd",
        "--seconds",
        "0.1",
        "--json",
    )
    assert code == 0
    figures = json.loads(out)
    assert set(figures["recipes"]) == {"vanilla", "kd"}
    rates = [*figures["recipes"].values(), figures["group"], figures["loader"], figures["teacher"]]
    assert all(part["images_per_s"] > 0 for part in rates)
    assert figures["peak"]["fp32_gflops"] > 0


@pytest.mark.parametrize("words", [["--help"], ["list", "recipes"], ["list", "datasets"]])
def test_help_and_lists_do_without_torch(
    words: list[str], cache_dir: Path, kdbench: Kdbench
) -> None:
    kdbench("list", "recipes")  # fills the index
    code = (
        "import sys, benchmark.cli.app\n"
        "try:\n"
        f"    benchmark.cli.app.main({words!r})\n"
        "except SystemExit:\n"
        "    print('torch' in sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "False"


@pytest.mark.slow
def test_two_processes_write_one_set_of_records(
    tiny_words: list[str], tmp_path: Path, cache_dir: Path
) -> None:
    """Also that they see the global batches of one process, and count each test image once.

    A method in two stages trains other parameters in each, which the processes must agree on; the
    layer behind MobileNetV2's last map is reached by none of the first stage's terms.
    """
    launch = [
        sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
        "-m", "benchmark",
    ]  # fmt: skip
    recipes = [word for name in ("vanilla", "crd", "ab", "ft") for word in ("--recipe", name)]
    words = ["run", *tiny_words, "--pair", "resnet14:MobileNetV2", *recipes]
    done = subprocess.run(
        [*launch, *words], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in tmp_path.rglob("seed0.json")]
    assert len(records) == 5
    for record in records:
        assert record["status"] == "ok"
        assert record["environment"]["processes"] == 2
        assert record["metrics"]["images"] == 24
    assert done.stdout.count("student alone") == 1


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


def test_data_check_counts_and_draws(card_folder: Path, tmp_path: Path, kdbench: Kdbench) -> None:
    picture = tmp_path / "tiny.png"
    words = ["data", "check", "tiny", "--path", str(card_folder), "--sheet", str(picture)]
    code, out, _ = kdbench(*words)
    assert code == 0
    assert "Nothing is wrong with it." in out
    assert picture.stat().st_size > 1000
    code, out, _ = kdbench(*words, "--json")
    assert json.loads(out)["splits"]["train"]["images"] == 40
    for file in (tmp_path / "tiny.sheet", tmp_path / "nowhere" / "tiny.png"):
        code, _, error = kdbench(*words[:-1], str(file))
        assert code == 2
        assert "cannot write the picture" in error
    code, _, error = kdbench("data", "fetch", "tiny", "--path", str(card_folder))
    assert code == 2
    assert "not fetched from anywhere" in error


def test_what_is_kept_of_images_is_listed_and_deleted(
    card_folder: Path, tmp_path: Path, kdbench: Kdbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDBENCH_CACHE", str(tmp_path / "own"))
    check = [
        "data",
        "check",
        "tiny",
        "--path",
        str(card_folder),
        "--sheet",
        str(tmp_path / "x.png"),
    ]
    assert kdbench(*check)[0] == 0
    code, out, _ = kdbench("data", "cache", "--json")
    [kept] = json.loads(out)["files"]
    assert kept["dataset"] == "tiny"
    assert Path(kept["path"]).stat().st_size == kept["bytes"]
    assert "Nothing is kept" in kdbench("data", "cache", "--dataset", "other", "--clear")[1]
    code, out, _ = kdbench("data", "cache", "--clear")
    assert code == 0
    assert "1 file, " in out
    assert "deleted." in out
    assert not Path(kept["path"]).exists()
    assert kdbench(*check)[0] == 0, "it is made again"
