"""The hub, MC²'s server and a language model's endpoint: slow, down, or answering nonsense. Said
with what to do, in bounded time, with nothing kept that is not what it should be.

More of what servers can answer is in `test_download`, `test_mc2` and `test_appB_dictionary`.
"""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest
from huggingface_hub import constants

from arbitration.commands import status
from arbitration.dataset import mc2
from arbitration.dictionary import endpoint
from arbitration.dictionary.endpoint import Endpoint
from arbitration.files import web
from arbitration.models import hub, load
from press import run

pytestmark = pytest.mark.faults
PATIENCE = 0.4  # seconds that anybody waits here
NONSENSE = {
    "a log-in page": (200, b"<html>Log in</html>"),
    "nothing": (200, b""),
    "an empty object": (200, b"{}"),
    "no revision": (200, b'{"id": "org/name", "sha": null}'),
    "an error": (500, b"<html>Oops</html>"),
    "half an answer": (200, None),
}


class Server(BaseHTTPRequestHandler):
    """Says to everything what `server.answer` is; `slow` says nothing for a while."""

    def do_GET(self):
        if self.server.answer == "slow":
            self.server.over.wait(10)
            return
        code, content = self.server.answer
        self.send_response(code)
        self.send_header("Content-Length", str(len(content or b"") if content is not None else 99))
        self.end_headers()
        self.wfile.write(content or b"{")

    do_POST = do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.over, running.daemon_threads = threading.Event(), True
        running.url = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.over.set()
        running.shutdown()


@pytest.fixture
def no_model(server, monkeypatch, tmp_path):
    """A machine without models, whose hub is the server."""
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", server.url)
    monkeypatch.setattr(hub, "SECONDS", PATIENCE)
    return server


def refused_quickly(no_model, tmp_path):
    start = time.monotonic()
    with pytest.raises(FileNotFoundError) as refusal:
        load.load("org/name", device="cpu")
    said = str(refusal.value)
    assert "the weights of 'org/name' (org/name) are not on this machine" in said
    assert "With network access, run `hf download org/name` and try again" in said
    assert "the embedded models run now" in said
    assert time.monotonic() - start < 8 and not (tmp_path / "own" / "revisions.json").exists()


@pytest.mark.parametrize("name", NONSENSE)
def test_a_hub_that_answers_nonsense(no_model, tmp_path, name):
    no_model.answer = NONSENSE[name]
    refused_quickly(no_model, tmp_path)


def test_a_hub_that_is_slow(no_model, tmp_path):
    no_model.answer = "slow"
    refused_quickly(no_model, tmp_path)


def test_a_hub_that_is_down(no_model, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", "http://127.0.0.1:9")
    refused_quickly(no_model, tmp_path)


@pytest.fixture
def no_texts(server, monkeypatch, tmp_path):
    """A machine without MC², whose three servers are the one."""
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path))
    for name in ("NEWEST", "RAW", "COCO"):
        monkeypatch.setattr(mc2, name, server.url)
    monkeypatch.setattr(web, "SECONDS", PATIENCE)
    return server


def kept(tmp_path):
    return [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", [*NONSENSE, "slow", "down"])
def test_a_server_of_mc2(no_texts, tmp_path, monkeypatch, name):
    """A command says it in a line."""
    if name == "down":
        monkeypatch.setattr(mc2, "NEWEST", "http://127.0.0.1:9/")
    no_texts.answer = NONSENSE.get(name, "slow")
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="(?s)the texts of MC² .* not in the cache folder"):
        mc2.load_mc2()
    assert time.monotonic() - start < 5 and kept(tmp_path) == []


def test_a_command_says_in_a_line_who_was_not_reached(no_texts, capsys):
    no_texts.answer = NONSENSE["an error"]
    assert status(mc2.load_mc2, run.KEPT) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the texts of MC²") and "the server answered 500" in line


def test_the_texts_of_mc2_as_nonsense(no_texts, tmp_path):
    """The revision is known; what comes under it is no text of MC²."""
    (tmp_path / "mc2").mkdir()
    (tmp_path / "mc2" / "revision").write_text("abc")
    for name in ("a log-in page", "an empty object", "nothing"):
        no_texts.answer = NONSENSE[name]
        with pytest.raises(ValueError, match="is not what it should be"):
            mc2.load_mc2()
    assert [path.name for path in kept(tmp_path)] == ["revision"]


@pytest.mark.parametrize("name", ["a log-in page", "nothing", "half an answer", "slow", "down"])
def test_a_language_model(server, tmp_path, monkeypatch, name):
    """What it has answered is kept; it is asked several times before it is given up."""
    monkeypatch.setattr(endpoint, "LONGEST", PATIENCE)
    monkeypatch.setattr(endpoint, "TRIES", 3)
    path = tmp_path / "asked.jsonl"
    line = {"key": endpoint._key("toy", "a"), "text": "yes", "refused": None}
    path.write_text(json.dumps(line) + "\n")
    before = path.read_bytes()
    server.answer = NONSENSE.get(name, "slow")
    url = "http://127.0.0.1:9" if name == "down" else server.url
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="1 of 2 answers are kept in .* run this again"):
        endpoint.ask_endpoint(Endpoint(url, "toy", "key"), ["a", "b"], path, pause=0)
    assert time.monotonic() - start < 8 and path.read_bytes() == before
