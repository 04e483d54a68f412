"""What help says beyond the docstrings: the order of commands and options, and examples.

All is looked up by name. A command or an option that is not named here is shown all the same, in
the last panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

OTHER = "More"
# Panels of 'kdbench --help'.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "Train": ("run", "plan", "status", "try", "runs", "runs list", "runs prune"),
    "See what came out": ("show", "compare", "leaderboard", "verify", "evaluate"),
    "Use a student": ("export", "predict", "latency"),
    "What there is, and your own": (
        "list", "new recipe", "new dataset", "check recipe", "data check", "data fetch",
        "data cache", "pages",
    ),
    "This machine": ("doctor", "speed"),
}  # fmt: skip

# What some look for under another name.
MEANT: Mapping[str, str] = {
    "train": "run", "fit": "run", "start": "run", "resume": "run", "ls": "list", "info": "show",
    "cat": "show", "report": "leaderboard", "table": "leaderboard", "results": "leaderboard",
    "reproduce": "verify", "bench": "speed", "download": "data fetch", "fetch": "data fetch",
    "cache": "data cache", "init": "new recipe", "create": "new recipe", "docs": "pages",
    "test": "evaluate", "eval": "evaluate", "infer": "predict", "clean": "runs prune",
    "prune": "runs prune", "progress": "status", "recipes": "list recipes",
    "datasets": "list datasets", "networks": "list networks", "suites": "list suites",
}  # fmt: skip

WHAT, HOW, WHERE, OUTPUT = "What", "How", "Where", "Output"
OPTIONS: Mapping[str, tuple[str, ...]] = {
    WHAT: (
        "--suite", "--dataset", "--pair", "--recipe", "--seeds", "--protocol",
        "--teacher-checkpoint", "--retry", "--own", "--path",
    ),
    HOW: (),
    WHERE: ("--data", "--images", "--to", "--push", "--runs", "--results"),
    OUTPUT: (
        "--dry-run", "--yes", "--measure", "--watch", "--track", "--track-to", "--json", "--help",
    ),
}  # fmt: skip
ENOUGH = 10  # options that are worth panels; fewer stand in one

# What follows an option; of one that is not here, its choices, or the last word of its name.
VALUES: Mapping[str, str] = {
    "--suite": "NAME", "--dataset": "NAME", "--recipe": "NAME", "--protocol": "NAME",
    "--pair": "TEACHER:STUDENT", "--teacher-checkpoint": "FILE", "--retry": "WHAT",
    "--data": "DIR", "--runs": "DIR", "--results": "DIR", "--path": "DIR", "--to": "DIR",
    "--track-to": "DIR", "--track": "NAME", "--images": "DIR", "--batch": "N",
    "--output": "FILE", "--sheet": "FILE", "--against": "DIR", "--from": "PATH",
    "--minutes": "N", "--epochs": "N", "--workers": "N", "--threads": "N", "--slurm-time": "N",
    "--gpus-per-worker": "N", "--cpus-per-worker": "N", "--checkpoint-minutes": "N",
    "--time-limit": "MINUTES", "--memory-per-worker": "GB", "--seconds": "N",
    "--slurm-setup": "LINE", "--slurm-partition": "NAME", "--slurm-account": "NAME",
    "--slurm-qos": "NAME", "--slurm-constraint": "TEXT", "--layout": "NAME", "--search": "TEXT",
}  # fmt: skip

ENVIRONMENT: Mapping[str, str] = {
    "KDBENCH_DATA": "Folder looked at before any download, as --data.",
    "KDBENCH_PATH": "Folders with more recipes and cards, as --path, with a colon between two.",
    "KDBENCH_CACHE": "Folder of decoded images and lists; else ~/.cache/kdbench.",
    "KDBENCH_OFFLINE": "1: make no connection, as --offline.",
    "KDBENCH_PHOTOGRAPHS": "device or workers: who crops and colours photographs.",
}

CELL = "sketchbirds/resnet14__resnet8/kd/seed0"
# By command: whole calls, each with what it is good for.
EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("kdbench run", "five methods on embedded data, in minutes, without a GPU"),
        (f"kdbench show {CELL}", "what came out, and of what"),
    ),
    "run": (
        (
            "kdbench run --dataset cifar100 --pair resnet32x4:resnet8x4 --recipe vanilla "
            "--recipe kd --seeds 3",
            "two methods, three seeds each; their teachers too",
        ),
        (
            "kdbench run --recipe 'kd[temperature=2|4|8]' --protocol 'quick[validation=0.1]'",
            "a setting tried in three values, on a part that is held out",
        ),
    ),
    "plan": (
        (
            "kdbench plan --suite methods --measure",
            "what the suite still needs, and how long it takes here",
        ),
    ),
    "status": (
        ("kdbench status --suite methods --watch", "how far it is, until all is done"),
    ),
    "runs": (("kdbench runs", "half trained runs and kept weights, by cell"),),
    "runs prune": (
        ("kdbench runs prune --dry-run", "what could go, and how large it is"),
        (
            "kdbench runs prune --weights --dataset cifar100",
            "also weights of its recorded runs that none of its open cells builds on",
        ),
    ),
    "try": (
        ("kdbench try my_recipes/my_method.py", "the first minute with a method of your own"),
        ("kdbench try 'crd[kd_weight=1]'", "what the terms and gradients of another do"),
    ),
    "check": (("kdbench check recipe my_recipes/my_method.py", "the laws of all recipes"),),
    "check recipe": (
        ("kdbench check recipe my_recipes/my_method.py", "a file"),
        ("kdbench check recipe my-method --path my_recipes", "a recipe by its name"),
    ),
    "list": (
        ("kdbench list datasets", "with their protocols and usual pairs"),
        ("kdbench list networks --search mobilenet", "also among the networks of timm"),
    ),
    "show": ((f"kdbench show {CELL}", "one record"),),
    "verify": ((f"kdbench verify {CELL} --train", "whether the number comes out again"),),
    "evaluate": (
        (f"kdbench evaluate {CELL}", "its weights on the test set, beside its record"),
        (f"kdbench evaluate {CELL} --images my/birds", "on my/birds/CLASS/*.jpg"),
    ),
    "export": (
        (
            f"kdbench export {CELL} --to student --format torch-export --format onnx",
            "a folder for who has no kdbench",
        ),
    ),
    "predict": ((f"kdbench predict {CELL} *.jpg", "five likeliest classes of each image"),),
    "latency": (
        (
            f"kdbench latency {CELL} sketchbirds/resnet14/vanilla/seed0",
            "a student beside its teacher",
        ),
    ),
    "compare": (
        ("kdbench compare kd th-kd", "wherever both have records"),
        ("kdbench compare before/results after/results --recipe kd", "one method, two folders"),
    ),
    "leaderboard": (
        ("kdbench leaderboard --format latex --output table.tex", "the tables for a paper"),
        ("kdbench leaderboard --check", "whether leaderboard.md is what the records give"),
    ),
    "pages": (
        ("kdbench pages --path my_recipes --output my_recipes/README.md", "of your own recipes"),
        ("kdbench pages commands", "what all help texts say, on one page"),
    ),
    "speed": (
        ("kdbench speed --recipe vanilla --recipe kd --seconds 3", "a first look at a machine"),
    ),
    "doctor": (("kdbench doctor --quick", "headings alone, no large files"),),
    "new": (("kdbench new recipe my-method", "a method of your own, as a file to change"),),
    "new recipe": (
        ("kdbench new recipe my-method --path my_recipes", "a file that already trains"),
    ),
    "new dataset": (
        (
            "kdbench new dataset my-birds --from photos/birds",
            "a card for photos/birds/CLASS/*.jpg, or train/CLASS and test/CLASS",
        ),
        (
            "kdbench new dataset trip --from trip.csv --label-column Species",
            "the same for a table of images",
        ),
    ),
    "data": (("kdbench data check sketchbirds", "every image looked at"),),
    "data check": (("kdbench data check cub50 --data ~/data", "your copy, before you train"),),
    "data fetch": (
        ("kdbench data fetch cifar100 --to ~/data", "for a machine without a connection"),
    ),
    "data cache": (("kdbench data cache --dataset cub200 --clear", "make room"),),
}  # fmt: skip


def panel_of_command(name: str) -> str:
    """The panel in which a command stands."""
    return next((title for title, names in COMMANDS.items() if name in names), OTHER)


def panel_of_option(names: list[str]) -> str:
    """The panel in which an option stands."""
    return next((title for title, known in OPTIONS.items() if {*names} & {*known}), HOW)


def value_of_option(names: list[str], choices: Sequence[str]) -> str:
    """What follows an option: the words to choose from, or one in capitals that stands for it."""
    known = (VALUES[name] for name in names if name in VALUES)
    return next(known, "|".join(choices) or names[0].rpartition("-")[2].upper())
