"""Archives of strangers: nothing but files, nothing outside, nothing without measure."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark.cards.card import Card, Download
from benchmark.data.sources import packed
from benchmark.data.sources.unpack import unpacked
from benchmark.errors import BenchmarkError, DataError
from tests.support.fuzzing import fuzzed
from tests.support.miniatures import official

CARD = official("cub")
KINDS = {
    "symbolic": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE,
    "device": tarfile.CHRTYPE, "disk": tarfile.BLKTYPE, "sparse": tarfile.GNUTYPE_SPARSE,
    "contiguous": tarfile.CONTTYPE, "unknown": b"Z",
}  # fmt: skip
BAD_NAMES = ["../evil", "a/../../evil", "/evil", "~/evil", "a\\..\\evil", "C:evil", "a\nb",
             "\x1b[2J", "x" * 300, "/".join("d" * 40)]  # fmt: skip


def tar(path: Path, *members: tarfile.TarInfo, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as file:  # type: ignore[call-overload]
        for member in members:
            file.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
    return path


def file(name: str, size: int = 3, **values: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    for key, value in values.items():
        setattr(member, key, value)
    return member


def assert_refused(archive: Path, cache: Path, *said: str, card: Card = CARD) -> None:
    """One clear error that names the archive, and nothing left of the attempt."""
    around = sorted(cache.parent.rglob("*")) if cache.parent.is_dir() else []
    with pytest.raises(DataError) as caught:
        unpacked(archive, card, cache)
    for part in (str(archive), *said):
        assert part in str(caught.value)
    assert str(caught.value).replace("\n", "").isprintable()
    left = {path for path in cache.parent.rglob("*") if path not in around}
    assert all(path.name.endswith(".lock") or path.name in ("cache", "unpacked") for path in left)


@pytest.mark.parametrize("kind", KINDS)
def test_only_files_and_folders_are_taken(tmp_path: Path, kind: str) -> None:
    member = file("inside", 0, type=KINDS[kind], linkname="../../../evil")
    if kind == "contiguous":
        unpacked(tar(tmp_path / "a.tgz", member), CARD, tmp_path / "x" / "cache")  # a file, of old
    elif kind != "unknown":  # Python's writer takes what it does not know for a file
        assert_refused(tar(tmp_path / "a.tgz", file("first"), member), tmp_path / "x" / "cache",
                       "is refused", "Fetch it again")  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_member_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    assert_refused(
        tar(tmp_path / "a.tgz", file(name)), tmp_path / "x" / "cache", "outside its folder"
    )
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(zipfile.ZipInfo(name), b"bad")
    assert_refused(tmp_path / "a.zip", tmp_path / "y" / "cache", "outside its folder")


def test_the_attack_on_pythons_own_filter_writes_nothing(tmp_path: Path) -> None:
    """CVE-2025-4517: links whose resolved path is too long for the filter to follow them."""
    part, steps = "d" * 247, "abcdefghijklmnop"
    made, inner = [], ""
    for step in steps:
        made += [file(f"{inner}{part}", 0, type=tarfile.DIRTYPE)]
        made += [file(f"{inner}{step}", 0, type=tarfile.SYMTYPE, linkname=part)]
        inner += f"{part}/"
    short = "/".join(steps)
    made += [file(f"{short}/{'l' * 254}", 0, type=tarfile.SYMTYPE, linkname="../" * len(steps))]
    made += [file("escape", 0, type=tarfile.SYMTYPE, linkname=f"{short}/{'l' * 254}/../../evil")]
    made += [file("escape/planted", 3)]
    assert_refused(tar(tmp_path / "a.tgz", *made), tmp_path / "x" / "cache", "link or a device")


def test_a_link_in_a_zip_file_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(entry, "../../evil")
    assert_refused(tmp_path / "a.zip", tmp_path / "x" / "cache", "link or a device")


@pytest.mark.parametrize("second", ["a/b", "a", "a/b/c"])
def test_a_path_is_written_once(tmp_path: Path, second: str) -> None:
    archive = tar(tmp_path / "a.tgz", file("a/b"), file(second))
    assert_refused(archive, tmp_path / "x" / "cache", "twice")


def test_rights_and_owners_are_not_taken(tmp_path: Path) -> None:
    members = file("f/a", mode=0o6777, uid=12345), file("f/d", 0, type=tarfile.DIRTYPE, mode=0)
    folder = unpacked(tar(tmp_path / "a.tgz", *members), CARD, tmp_path / "cache")
    status = (folder / "f" / "a").stat()
    assert stat.S_IMODE(status.st_mode) & 0o7111 == 0
    assert status.st_uid == os.getuid()
    assert list((folder / "f" / "d").iterdir()) == []


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_packing_is_read(tmp_path: Path, mode: str) -> None:
    members = file("./", 0, type=tarfile.DIRTYPE), file("./birds/é.jpg", 70_000), file("b" * 120)
    folder = unpacked(tar(tmp_path / "a.tar", *members, mode=mode), CARD, tmp_path / "cache")
    assert (folder / "birds" / "é.jpg").read_bytes() == bytes(70_000)
    assert (folder / ("b" * 120)).is_file()


def test_a_zip_file_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.mkdir("birds")
        zipped.writestr("birds/a.txt", b"wren")
    folder = unpacked(tmp_path / "a.zip", CARD, tmp_path / "cache")
    assert (folder / "birds" / "a.txt").read_bytes() == b"wren"


# Bombs


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = packed.Limits(members=20, file_bytes=1 << 20, total_bytes=2 << 20)
    monkeypatch.setattr(packed.Limits, "of", lambda card: limits)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    "members",
    [
        [file("large", 2_000_000)],
        [file(f"large{number}", 900_000) for number in range(3)],
        [file(f"small{number}", 0) for number in range(30)],
        [file(f"folder{number}", 0, type=tarfile.DIRTYPE) for number in range(30)],
    ],
)
def test_what_is_without_measure_is_refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    assert_refused(tar(tmp_path / "a.tgz", *members), tmp_path / "x" / "cache", "more than")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        for member in members:
            zipped.writestr(f"{member.name}{'/' if member.isdir() else ''}", bytes(member.size))
    assert_refused(tmp_path / "a.zip", tmp_path / "y" / "cache", "more than")


def test_a_ratio_that_no_images_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_FREE_BYTES", 1 << 20)
    archive = tar(tmp_path / "a.tgz", file("zeros", 20_000_000))
    assert_refused(archive, tmp_path / "x" / "cache", "unpacked it has more than")


def test_a_note_is_not_read_into_the_memory(tmp_path: Path) -> None:
    member = file("a", pax_headers={"comment": "x" * 3_000_000})
    assert_refused(tar(tmp_path / "a.tgz", member), tmp_path / "x" / "cache", "a note in it has")


def test_a_size_that_lies_is_noticed(tmp_path: Path) -> None:
    """A header that announces more than follows."""
    header = file("a", 1 << 30).tobuf(tarfile.USTAR_FORMAT)
    (tmp_path / "a.tgz").write_bytes(gzip.compress(header + bytes(2048)))
    assert_refused(tmp_path / "a.tgz", tmp_path / "x" / "cache", "damaged")


def test_a_zip_file_that_says_less_than_it_holds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("a", bytes(100_000))
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(struct.pack("<I", 100_000), b"\x05\0\0\0"))
    assert_refused(tmp_path / "a.zip", tmp_path / "x" / "cache")


# Damage


def test_the_checksum_of_the_card_comes_first(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tgz", file("a"))
    right = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    for checksum, fits in ((right, True), ("0" * 32, False)):
        download = Download(file="a.tgz", url="https://x.org/a", checksum=f"md5:{checksum}")
        card = CARD.model_copy(update={"downloads": (download,)})
        if fits:
            assert unpacked(archive, card, tmp_path / "cache").is_dir()
        else:
            assert_refused(archive, tmp_path / "x" / "cache", right, "0" * 32, card=card)


@pytest.fixture(scope="module", params=["w", "w:gz", "zip"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive of three small files."""
    path = tmp_path_factory.mktemp("whole") / "a"
    if request.param == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for number in range(3):
                zipped.writestr(f"d/{number}", os.urandom(700))
    else:
        tar(path, *(file(f"d/{number}", 700) for number in range(3)), mode=request.param)
    return path.read_bytes()


def test_a_damaged_archive_is_an_error_or_whole(whole: bytes, tmp_path: Path) -> None:
    """Whatever byte is flipped: nothing outside, nothing half, and one kind of error."""
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        changed = bytearray(whole)
        changed[place] ^= 0x41
        (tmp_path / "a").write_bytes(changed)
        try:
            folder = unpacked(tmp_path / "a", CARD, tmp_path / "cache" / str(place))
        except BenchmarkError:
            assert not list((tmp_path / "cache" / str(place) / "unpacked").glob("*/*"))
        else:
            assert len([path for path in folder.rglob("*") if path.is_file()]) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"a", "cache"}


NAMES = st.one_of(
    st.text(min_size=1, max_size=40),
    st.lists(st.sampled_from(["..", ".", "a", "~", "", "C:", "\\", "b\n"]), min_size=1, max_size=6)
    .map("/".join).filter(bool),
)  # fmt: skip


@fuzzed
@given(names=st.lists(NAMES, min_size=1, max_size=4), as_zip=st.booleans())
@example(names=["\0"], as_zip=True)
def test_any_names_are_inside_or_refused(names: list[str], as_zip: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try_names(names, as_zip=as_zip, folder=Path(folder))


def try_names(names: list[str], *, as_zip: bool, folder: Path) -> None:
    try:
        if as_zip:
            with zipfile.ZipFile(folder / "a", "w") as zipped:
                for name in dict.fromkeys(names):
                    zipped.writestr(zipfile.ZipInfo(name), b"bad")
        else:
            tar(folder / "a", *map(file, names), mode="w")
    except (ValueError, UnicodeError):
        return  # no archive can hold these
    with contextlib.suppress(BenchmarkError):
        unpacked(folder / "a", CARD, folder / "cache")
    assert {path.name for path in folder.iterdir()} <= {"a", "cache"}
    inside = folder / "cache" / "unpacked"
    assert all(path.resolve().is_relative_to(inside) for path in walk(folder / "cache"))
    assert not (Path("/") / "evil").exists()


def walk(folder: Path) -> Iterator[Path]:
    for root, _, files in os.walk(folder / "unpacked"):
        yield from (Path(root) / name for name in files)
