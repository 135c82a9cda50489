"""Files from the web: whole or not at all, the same ever after. The web is a server of this
machine, or a function.
"""

import hashlib
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from arbitration.files import atomic, checksums, web


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        status, promised, content = {
            "/good": (200, 4, b"good"),
            "/cut": (200, 9, b"good"),
            "/secret": (403, 0, b""),
            "/broken": (500, 0, b""),
        }.get(self.path, (404, 0, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_what_a_server_sends(server):
    assert web.body(f"{server}/good") == b"good"
    for path, kind, said in [
        ("none", web.Absent, "404"),
        ("secret", web.Absent, "403"),
        ("broken", ConnectionError, "500"),
        ("cut", ConnectionError, "IncompleteRead"),
    ]:
        with pytest.raises(ConnectionError, match=rf"/{path}: .*{said}") as caught:
            web.body(f"{server}/{path}")
        assert type(caught.value) is kind


def test_no_server_is_no_connection():
    with pytest.raises(ConnectionError, match="refused"):
        web.body("http://127.0.0.1:9/")


def never(url):
    why = f"{url} was asked for"
    raise AssertionError(why)


def test_a_file_is_fetched_once_and_its_checksum_kept(tmp_path):
    path = tmp_path / "new" / "file.txt"
    assert web.kept("web/file", path, bytes, lambda url: url.encode()) == path
    assert path.read_bytes() == b"web/file" and checksums.is_whole(path)
    assert sorted(found.name for found in path.parent.iterdir()) == ["file.txt", "file.txt.sha256"]
    assert (
        subprocess.run(
            ["sha256sum", "--check", "file.txt.sha256"], cwd=path.parent, capture_output=True
        ).returncode
        == 0
    )
    assert web.kept("web/file", path, never, never) == path


def test_a_damaged_file_is_fetched_again_and_must_be_the_same(tmp_path):
    path = tmp_path / "file"
    web.kept("web", path, bytes, lambda url: b"first")
    path.write_bytes(b"fir")
    with pytest.raises(ValueError, match=r"web is not the file .* delete .*file\.sha256"):
        web.kept("web", path, bytes, lambda url: b"second")
    assert path.read_bytes() == b"fir"
    web.kept("web", path, bytes, lambda url: b"first")
    assert path.read_bytes() == b"first"


def test_what_is_not_sound_leaves_nothing_behind(tmp_path):
    def sound(content):
        why = "a log-in page"
        raise ValueError(why)

    with pytest.raises(ValueError, match="web is not what it should be: a log-in page"):
        web.kept("web", tmp_path / "file", sound, lambda url: b"<html>")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r".*/file is not what it should be: a log-in page"):
        web.kept("web", tmp_path / "file", sound, never)


def test_a_stopped_download_leaves_no_file_that_counts(tmp_path, monkeypatch):
    path = tmp_path / "file"
    replace, renamed = atomic.os.replace, []

    def stopping(source, target):
        if renamed:
            raise KeyboardInterrupt
        renamed.append(replace(source, target))

    monkeypatch.setattr(atomic.os, "replace", stopping)
    with pytest.raises(KeyboardInterrupt):
        web.kept("web", path, bytes, lambda url: b"first")
    assert not checksums.is_whole(path) and not path.exists()
    monkeypatch.undo()
    assert web.kept("web", path, bytes, lambda url: b"first").read_bytes() == b"first"


def test_a_file_that_was_put_there_is_taken_if_it_is_sound(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"by hand")
    assert web.kept("web", path, bytes, never).read_bytes() == b"by hand"
    assert (
        tmp_path / "file.sha256"
    ).read_text() == f"{hashlib.sha256(b'by hand').hexdigest()}  file\n"


def test_what_several_want_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("ARBITRATION_CACHE", str(tmp_path / "cache"))
    paths, made = [tmp_path / "one", tmp_path / "two"], []

    def make(free):
        made.append(list(free))
        time.sleep(0.2)
        for path, name in free.items():
            name.write_text(path.name)

    with ThreadPoolExecutor() as several:
        list(several.map(lambda _: checksums.make_once(paths, make), range(3)))
    assert made == [paths] and all(map(checksums.is_whole, paths))
    paths[1].write_text("damaged")
    checksums.make_once(paths, make)
    assert made == [paths, paths[1:]] and paths[1].read_text() == "two"

    def stop(free):
        free[tmp_path / "three"].touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checksums.make_once([tmp_path / "three"], stop)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "one",
        "one.sha256",
        "two",
        "two.sha256",
    ]
