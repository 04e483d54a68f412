"""Lists of what there is are plain data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.catalogues.lists import LISTS, describe
from benchmark.cli.options import Kind
from benchmark.errors import UnknownName
from benchmark.folders import PACKAGE


def test_the_command_line_offers_every_list() -> None:
    assert [kind.value for kind in Kind] == list(LISTS)


@pytest.mark.parametrize("kind", LISTS)
def test_entries_have_names_and_are_plain_data(kind: str, cache_dir: Path) -> None:
    entries = describe(kind, [], cache_dir)
    assert all(entry["name"] for entry in entries)
    assert json.loads(json.dumps(entries)) == entries


def test_an_unknown_list_is_refused_with_the_near_name(cache_dir: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'recipes'"):
        describe("recipe", [], cache_dir)


def test_broken_files_stand_behind_good_ones(tmp_path: Path, cache_dir: Path) -> None:
    (tmp_path / "broken.toml").write_text("name = ")
    (tmp_path / "broken_one.py").write_text("import no_such_package\n")
    last = {kind: describe(kind, [tmp_path], cache_dir)[-1] for kind in ("recipes", "datasets")}
    assert last["datasets"]["name"] == "broken"
    assert "broken.toml" in last["datasets"]["error"]
    assert last["recipes"]["name"] == "broken-one"
    assert "no_such_package" in last["recipes"]["error"]


@pytest.mark.parametrize("kind", LISTS)
def test_no_list_imports_torch(kind: str, cache_dir: Path) -> None:
    describe(kind, [], cache_dir)  # fills the index
    program = (
        "import sys; from pathlib import Path; from benchmark.catalogues.lists import describe\n"
        "describe(sys.argv[1], [], Path(sys.argv[2])); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, kind, str(cache_dir)],
        capture_output=True, text=True, check=True, cwd=PACKAGE.parent,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
