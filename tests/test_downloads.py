"""Downloads, against a server on this machine that can cut its connections."""

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from simmim_lab.data.downloads import fetch, unpack

PAYLOAD = bytes(range(256)) * 4000
CHECKSUM = "sha256:" + hashlib.sha256(PAYLOAD).hexdigest()
NOBODY = "http://127.0.0.1:9/file.bin"  # no server listens on this port


class Host(BaseHTTPRequestHandler):
    """Serves PAYLOAD in a way that the address names."""

    def do_GET(self):
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.server.starts.append(start)
        body = PAYLOAD[::-1] if self.path == "/wrong" else PAYLOAD
        if self.path == "/missing":
            return self.send_error(404)
        if self.path == "/whole":  # knows no ranges
            start = 0
        if start >= len(body):
            return self.send_error(416)
        self.send_response(200 if self.path == "/whole" else 206)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        sent = {"/cut": 300_000, "/stuck": 0}.get(self.path, len(body))
        self.wfile.write(body[start : start + sent])

    def log_message(self, *args):
        pass


@pytest.fixture
def host():
    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        server.starts, server.url = [], f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_download_goes_on_after_each_cut(host, tmp_path):
    path = tmp_path / "new" / "file.bin"
    fetch(path, CHECKSUM, [f"{host.url}/cut"])
    assert path.read_bytes() == PAYLOAD
    assert host.starts == [0, 300_000, 600_000, 900_000]
    assert list(path.parent.iterdir()) == [path]


def test_download_goes_on_where_an_earlier_run_stopped(host, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(PAYLOAD[:1234])
    fetch(tmp_path / "file.bin", CHECKSUM, [f"{host.url}/"])
    assert (tmp_path / "file.bin").read_bytes() == PAYLOAD
    assert host.starts == [1234]


def test_download_that_was_complete_is_only_moved(host, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(PAYLOAD)
    fetch(tmp_path / "file.bin", CHECKSUM, [f"{host.url}/"])
    assert (tmp_path / "file.bin").read_bytes() == PAYLOAD


def test_host_without_ranges_starts_anew(host, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(PAYLOAD[:1234])
    fetch(tmp_path / "file.bin", CHECKSUM, [f"{host.url}/whole"])
    assert (tmp_path / "file.bin").read_bytes() == PAYLOAD


@pytest.mark.parametrize("bad", ["dead", "wrong", "missing", "stuck"])
def test_next_host_stands_in(host, tmp_path, bad):
    first = NOBODY if bad == "dead" else f"{host.url}/{bad}"
    fetch(tmp_path / "file.bin", CHECKSUM, [first, f"{host.url}/cut"])
    assert (tmp_path / "file.bin").read_bytes() == PAYLOAD


def test_wrong_bytes_are_thrown_away(host, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not have the checksum sha256:"):
        fetch(tmp_path / "file.bin", CHECKSUM, [f"{host.url}/wrong"])
    assert list(tmp_path.iterdir()) == []


def test_wrong_file_in_place_is_reported_and_kept(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"file\.bin does not have the checksum.*delete it"):
        fetch(path, CHECKSUM, [NOBODY])
    assert path.read_bytes() == b"mine"


def test_offline_error_names_address_and_place(tmp_path):
    path = tmp_path / "file.bin"
    with pytest.raises(FileNotFoundError) as caught:
        fetch(path, CHECKSUM, [NOBODY])
    assert NOBODY in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_archive_cannot_write_outside_its_folder(tmp_path):
    archive = tmp_path / "inside" / "archive.tar"
    archive.parent.mkdir()
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo("../outside.txt"), io.BytesIO())
    with pytest.raises(tarfile.FilterError):
        unpack(archive)
    assert not (tmp_path / "outside.txt").exists()
