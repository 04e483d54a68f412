"""No file is ever unpickled or run: what the code may not call to read one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*(ROOT / "benchmark").rglob("*.py"), *(ROOT / "recipes").glob("*.py")])
ALLOWED = {
    "pickle": {
        "benchmark/data/sources/pickled.py",  # takes plain values out of pickles, by opcode
        # Between a process and the one that it started, through a pipe of the two.
        "benchmark/launch/workers/pool.py",
        "benchmark/launch/workers/worker.py",
        # Between a command and the tasks that it started on a cluster, through Ray's own channels.
        "benchmark/launch/ray/agent.py",
        "benchmark/launch/ray/launcher.py",
    },
    "marshal": {"benchmark/records/bounds.py"},  # makes a key of a value, and reads nothing
}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}
RUNS = {"eval", "exec"}


def faults(tree: ast.AST, file: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names]
            for name in MODULES.intersection(names):
                if file not in ALLOWED.get(name, set()):
                    yield f"{file}:{node.lineno}: imports {name}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if called == "torch.load" and given.get("weights_only") != "True":
            yield f"{file}:{node.lineno}: torch.load without weights_only=True"
        if called in ("np.load", "numpy.load") and given.get("allow_pickle", "False") != "False":
            yield f"{file}:{node.lineno}: unpickles arrays"
        if called in RUNS or called.endswith((".extractall", ".unpack_archive")):
            yield f"{file}:{node.lineno}: calls {called}"
        if called == "Image.open" and "formats" not in given:
            yield f"{file}:{node.lineno}: opens any format"


def test_no_file_is_unpickled_or_run() -> None:
    found = [
        fault
        for path in FILES
        for fault in faults(ast.parse(path.read_text("utf-8")), path.relative_to(ROOT).as_posix())
    ]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from yaml import load", "torch.load(path)", "eval(text)",
        "torch.load(path, weights_only=False)", "np.load(path, allow_pickle=True)",
        "tar.extractall(folder, filter='data')", "Image.open(path)", "shutil.unpack_archive(x)",
    ],
)  # fmt: skip
def test_what_is_looked_for_is_found(line: str) -> None:
    assert list(faults(ast.parse(line), "x.py"))
