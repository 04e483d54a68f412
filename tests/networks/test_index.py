"""The index answers for timm's models as they answer themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.errors import NetworkError, UnknownName
from benchmark.networks import index
from benchmark.networks.cost import count_macs
from benchmark.networks.creation import create_network
from benchmark.networks.published import published_name

NAME, SIZE = "timm/test_resnet", (64, 64)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KDBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def answers() -> tuple[object, ...]:
    return (
        index.network_shape(NAME, classes=3, image_size=SIZE),
        index.network_macs(NAME, classes=3, image_size=SIZE),
        index.starts_from(NAME),
    )


def test_kept_answers_are_those_of_the_networks(cache: Path) -> None:
    network = create_network(NAME, classes=3, image_size=SIZE)
    right = (network.shape, count_macs(network, SIZE), published_name(NAME))
    assert answers() == right
    [file] = cache.glob("networks-*.json")
    before = file.read_bytes()
    assert answers() == right
    assert file.read_bytes() == before


def test_what_is_quick_to_ask_is_not_kept(cache: Path) -> None:
    index.network_macs("resnet8", classes=10, image_size=(32, 32))
    index.network_shape("resnet8", classes=10, image_size=(32, 32))
    assert not list(cache.glob("*"))


def test_kept_answers_need_no_timm(cache: Path) -> None:
    right = answers()
    program = (
        "import sys\n"
        "from benchmark.networks import index\n"
        f"shape = index.network_shape({NAME!r}, classes=3, image_size={SIZE!r})\n"
        f"index.network_macs({NAME!r}, classes=3, image_size={SIZE!r})\n"
        f"print(shape, index.starts_from({NAME!r}), 'timm' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{right[0]} {right[2]} False"


def test_what_is_damaged_or_not_an_answer_is_made_anew(cache: Path) -> None:
    right = answers()
    [file] = cache.glob("networks-*.json")
    text = file.read_text()
    file.write_text(text.replace("r160", "r161"))  # the seal tells
    assert answers() == right
    for wrong in ("{", "[]", "null", json.dumps({f"{NAME} published": 3})):
        file.write_text(f"{index._seal(wrong)}\n{wrong}")
        assert answers() == right


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path) -> None:
    cache.write_text("in the way")
    assert answers() == answers()


def test_what_cannot_be_built_is_not_kept(cache: Path) -> None:
    for _ in range(2):
        with pytest.raises(UnknownName):
            index.starts_from("timm/no_such_model")
        with pytest.raises(NetworkError, match="no published weights"):
            index.starts_from("resnet8")
    assert not list(cache.glob("*"))
