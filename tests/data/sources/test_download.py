"""A file from a server on this machine: whole, in parts, wrong, or not at all."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark.data.sources.download import download
from benchmark.errors import DataError

CONTENT = bytes(range(256)) * 5000
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves CONTENT as /file; remembers what was asked for.

    Attributes:
        cut: bytes of an answer after which the connection breaks.
        ranges: whether it understands them.
        asked: the Range headers, in order.
    """

    cut: int | None = None
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.path != "/file":
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if not self.server.ranges:
            start = 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        stop = start + self.server.cut if self.server.cut else len(CONTENT)
        self.wfile.write(CONTENT[start:stop])

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        path = download(server.url, tmp_path / "deep" / "file.tgz", checksum=MD5)
        assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    assert [p.name for p in path.parent.iterdir() if p.suffix == ".partial"] == []


def test_a_broken_download_goes_on(server: Server, tmp_path: Path) -> None:
    server.cut = 500_000
    with pytest.raises(DataError, match="500,000 bytes have arrived; the same command goes on"):
        download(server.url, tmp_path / "file", checksum=MD5)
    assert not (tmp_path / "file").exists()
    server.cut = None
    assert download(server.url, tmp_path / "file", checksum=MD5).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=500000-"]


def test_a_server_without_ranges_is_asked_for_all(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(b"x" * 1000)
    server.ranges = False
    assert download(server.url, tmp_path / "file", checksum=MD5).read_bytes() == CONTENT


def test_a_whole_partial_file_is_only_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(CONTENT)
    assert download(server.url, tmp_path / "file", checksum=MD5).read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_another_file_is_refused_and_deleted(server: Server, tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=f"its {kind} is .*, not 00"):
        download(server.url, tmp_path / "file", checksum=f"{kind}:00")
    assert [path.name for path in tmp_path.iterdir()] in ([], ["file.lock"])


def test_a_missing_file_and_no_server_are_said(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the server answers 404"):
        download(server.url + "s", tmp_path / "file", checksum=MD5)
    with pytest.raises(DataError, match="0 bytes have arrived"):
        download("http://127.0.0.1:9/file", tmp_path / "file", checksum=MD5)


def test_a_folder_that_cannot_be_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DataError, match=r"cannot write to .*taken: .*Choose another folder"):
        download(server.url, tmp_path / "taken" / "file", checksum=MD5)
    assert server.asked == []


def test_nothing_is_written_through_a_link(server: Server, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("mine")
    (tmp_path / "file.partial").symlink_to(tmp_path / "key")
    with pytest.raises(DataError, match=r"cannot write .*file\.partial"):
        download(server.url, tmp_path / "file", checksum=MD5)
    assert (tmp_path / "key").read_text() == "mine"


def test_a_file_without_end_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.data.sources.download._MOST_BYTES", 1000)
    with pytest.raises(DataError, match="does not end"):
        download(server.url, tmp_path / "file", checksum=MD5)
