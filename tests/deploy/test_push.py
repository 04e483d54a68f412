"""An exported folder reaches a hub: one on this machine, which answers as the real one does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark import hub
from benchmark.deploy.push import check_name, push
from benchmark.errors import OfflineError, UsageError


class Hub(ThreadingHTTPServer):
    """Remembers what it is given; refuses all if it is told to."""

    refuses = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.made: dict[str, object] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refuses:
            self.answer({"error": "no such token"}, 401)
        elif self.path == "/api/repos/create":
            self.server.made = json.loads(body)
            self.answer({"url": f"{self.server.url}/someone/birds"})
        elif self.path.endswith("/preupload/main"):
            files = json.loads(body)["files"]
            self.answer(
                {
                    "files": [
                        {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for f in files
                    ]
                }
            )
        elif self.path == "/api/models/someone/birds/commit/main":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
            self.answer(
                {"commitUrl": f"{self.server.url}/someone/birds/commit/1", "commitOid": "0" * 40}
            )
        else:  # the page is looked at before it is taken
            self.answer({"errors": [], "warnings": []})

    def answer(self, content: object, status: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    (tmp_path / "out" / "README.md").write_text("---\nlibrary_name: timm\n---\n# A network\n")
    return tmp_path / "out"


def test_the_files_are_put_there(server: Hub, folder: Path) -> None:
    address = push(folder, "someone/birds", public=False)
    assert address == f"{server.url}/someone/birds"
    assert server.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert server.made["name"] == "birds"
    assert "private" in server.made.values() or server.made.get("private") is True


def test_a_refusal_says_what_to_do_and_where_the_files_are(server: Hub, folder: Path) -> None:
    server.refuses = True
    with pytest.raises(UsageError, match=rf"does not take[\s\S]*hf upload someone/birds {folder}"):
        push(folder, "someone/birds", public=True)


@pytest.mark.parametrize("name", ["birds", "a/b/c", "/birds", "some one/birds", "../birds", "a/"])
def test_a_name_that_is_none_is_refused_before_anything_is_made(name: str) -> None:
    with pytest.raises(UsageError, match="write USER/NAME"):
        check_name(name)


def test_nothing_is_sent_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hub.OFFLINE, "1")
    with pytest.raises(OfflineError, match="--push needs a connection"):
        check_name("someone/birds")
