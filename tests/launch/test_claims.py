"""A run is one process's at a time, whoever dies, and whoever was only thought dead."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.errors import BenchmarkError
from benchmark.files import sweep
from benchmark.launch.claims import LENGTH, Claims, Holder, abandoned, clear, living

RUN = "a" * 64

HOLDING = """
import sys, time
from pathlib import Path
from benchmark.launch.claims import Claims
claims = Claims(lambda identity: Path(sys.argv[1]) / identity[:16])
print(claims.take(sys.argv[2], "kd"), flush=True)
time.sleep(60)
"""


@pytest.fixture
def claims(tmp_path: Path) -> Iterator[Claims]:
    made = claims_in(tmp_path)
    yield made
    made.close()


def claims_in(folder: Path, *, expiry_s: float = 60.0) -> Claims:
    return Claims(lambda identity: folder / identity[:16], expiry_s)


def holding(folder: Path, identity: str) -> subprocess.Popen[str]:
    """Another process that holds a claim."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(folder), identity], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def rewrite(folder: Path, **values: object) -> Path:
    """Change what a claim's file says of its holder."""
    [path] = (folder / RUN[:16]).glob("claim-*")
    text = json.dumps(json.loads(path.read_bytes()) | values).encode().ljust(LENGTH)
    path.write_bytes(text)
    return path


def test_one_holds_and_the_other_does_not(claims: Claims, tmp_path: Path) -> None:
    other = claims_in(tmp_path)
    assert claims.take(RUN, "resnet8 kd")
    assert claims.holds(RUN)
    assert not other.take(RUN, "the same")
    assert not other.holds(RUN)
    holder = other.other(RUN)
    assert holder is not None
    assert (holder.pid, holder.label) == (os.getpid(), "resnet8 kd")
    assert claims.other(RUN) is None
    claims.release(RUN)
    assert other.take(RUN, "the same")
    other.close()
    assert list((tmp_path / RUN[:16]).iterdir()) == []


def test_taking_twice_is_holding_once(claims: Claims, tmp_path: Path) -> None:
    assert claims.take(RUN, "")
    assert claims.take(RUN, "")
    assert len(list((tmp_path / RUN[:16]).iterdir())) == 1


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    process = holding(tmp_path, RUN)
    with ClaimsClosed(tmp_path) as mine:
        assert not mine.take(RUN, "")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert mine.other(RUN) is None
        assert mine.take(RUN, "")
        assert [path.name for path in (tmp_path / RUN[:16]).iterdir()] == ["claim-2"]


def test_a_number_of_a_process_that_is_given_anew_is_no_holder(
    claims: Claims, tmp_path: Path
) -> None:
    assert claims.take(RUN, "")
    rewrite(tmp_path, started=12345.0)
    with ClaimsClosed(tmp_path) as other:
        assert other.take(RUN, "")


def test_who_is_silent_on_another_machine_loses_after_a_while(
    claims: Claims, tmp_path: Path
) -> None:
    assert claims.take(RUN, "")
    rewrite(tmp_path, system="another machine", host="far", pid=1)
    with ClaimsClosed(tmp_path, expiry_s=0.2) as other:
        assert not other.take(RUN, "")
        holder = other.other(RUN)
        assert holder is not None
        assert holder.host == "far"
        time.sleep(0.1)
        rewrite(tmp_path, system="another machine", host="far", pid=1, beat=7)  # it lives
        time.sleep(0.15)
        assert not other.take(RUN, "")
        time.sleep(0.3)
        assert other.take(RUN, "")
        assert not claims.holds(RUN), "who was thought dead finds that it has lost"
        assert other.holds(RUN)
        claims.release(RUN)
        assert other.holds(RUN), "a loser's release takes nothing from the winner"


def test_a_claim_whose_file_is_gone_is_lost(claims: Claims, tmp_path: Path) -> None:
    assert claims.take(RUN, "")
    next((tmp_path / RUN[:16]).glob("claim-*")).unlink()
    assert not claims.holds(RUN)


def test_a_folder_that_cannot_be_read_for_a_moment_is_no_loss(
    claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished run would be thrown away, and trained again."""

    def broken(folder: object) -> list[str]:
        raise OSError(errno.EIO, "Input/output error")

    assert claims.take(RUN, "")
    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", broken)
        assert claims.holds(RUN)
    assert claims.holds(RUN)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * LENGTH, b'{"host": 1}', b"\xff" * LENGTH])
def test_what_is_no_claim_holds_until_it_was_silent(tmp_path: Path, text: bytes) -> None:
    folder = tmp_path / RUN[:16]
    folder.mkdir()
    (folder / "claim-4").write_bytes(text)
    with ClaimsClosed(tmp_path, expiry_s=0.1) as mine:
        assert not mine.take(RUN, "")
        assert mine.other(RUN) is not None
        time.sleep(0.2)
        assert mine.take(RUN, "")
        assert [path.name for path in folder.iterdir()] == ["claim-5"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / RUN[:16]
    folder.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (folder / "claim-1").symlink_to(elsewhere)
    with ClaimsClosed(tmp_path) as mine:
        mine.take(RUN, "")
    assert elsewhere.read_text() == "precious"


def test_others_see_how_far_a_run_is(claims: Claims, tmp_path: Path) -> None:
    assert claims.take(RUN, "resnet8 kd")
    claims.tell(RUN, 0, 240)
    claims.tell(RUN, 17, None)
    assert claims.holds(RUN)  # which writes
    [(folder, holder, age)] = living(tmp_path)
    assert (folder, holder.epoch, holder.epochs, holder.label) == (RUN[:16], 17, 240, "resnet8 kd")
    assert age < 60


def test_a_label_of_any_length_fits() -> None:
    holder = Holder("h" * 64, "s" * 64, 1, 1.5, "t" * 16, "→" * 5000)
    assert len(holder.text()) == LENGTH
    read = Holder.of_text(holder.text())
    assert read is not None
    assert read.token == holder.token


def test_a_folder_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / RUN[:16]).write_text("a file")
    with ClaimsClosed(tmp_path) as mine, pytest.raises(BenchmarkError, match="--runs"):
        mine.take(RUN, "")


def _take_many(folder: Path, identities: list[str], start: float, number: int) -> list[str]:
    mine = claims_in(folder)
    time.sleep(max(0.0, start - time.time()))
    return [identity for identity in identities[number:] + identities[:number] if
            mine.take(identity, str(number))]  # fmt: skip


def test_of_many_processes_one_gets_each(tmp_path: Path) -> None:
    """They all die with their claims in hand; then others race for what the dead hold."""
    identities = [f"{number:064x}"[::-1] for number in range(40)]
    for _ in range(3):
        with multiprocessing.get_context("fork").Pool(6) as pool:
            start = time.time() + 0.3
            words = [(tmp_path, identities, start, number * 7) for number in range(6)]
            taken = pool.starmap(_take_many, words, chunksize=1)
            # Closed only when all have answered: a process that is gone holds nothing.
        everything = [identity for part in taken for identity in part]
        assert sorted(everything) == sorted(identities)


class ClaimsClosed:
    """Claims that are closed when the block is left."""

    def __init__(self, folder: Path, *, expiry_s: float = 60.0) -> None:
        self.claims = claims_in(folder, expiry_s=expiry_s)

    def __enter__(self) -> Claims:
        return self.claims

    def __exit__(self, *_: object) -> None:
        self.claims.close()


def test_what_the_dead_hold_is_named_and_cleared(tmp_path: Path) -> None:
    process, other = holding(tmp_path, RUN), holding(tmp_path, "b" * 64)
    try:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        [(path, holder)] = abandoned(tmp_path)
        assert path == tmp_path / RUN[:16] / "claim-1"
        assert not clear(path, replace(holder, token="another"))
        assert path.exists()
        assert clear(path, holder)
        assert list(abandoned(tmp_path)) == []
        assert [name for name, _, _ in living(tmp_path)] == ["b" * 16]
    finally:
        other.kill()
        other.communicate()


DYING = """
import os, sys
from pathlib import Path
from benchmark.launch.claims import Claims
os.link = lambda *_: os._exit(0)
Claims(lambda identity: Path(sys.argv[1]) / identity[:16]).take(sys.argv[2], "kd")
"""


def test_half_a_claim_of_a_dead_process_is_swept_up(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DYING, str(tmp_path), RUN], check=True)
    [left] = (tmp_path / RUN[:16]).iterdir()
    assert sweep(tmp_path) == [left]
