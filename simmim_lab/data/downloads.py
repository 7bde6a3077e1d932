"""Downloads that are checked, show their progress, and go on after a cut connection."""

import hashlib
import os
import tarfile
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm.auto import tqdm

_NETWORK_ERRORS = (URLError, HTTPException, ConnectionError, TimeoutError, SSLError)


def fetch(path: Path, checksum: str, urls: Sequence[str]) -> None:
    """Download `path` from the first of `urls` that provides it, unless it is there; check it in any case.

    `checksum` is "algorithm:hex digits", with an algorithm of hashlib. All `urls` hold the same bytes. What has
    arrived stays in `path`.part: a later attempt, from whichever host, goes on from there.
    Raises FileNotFoundError if no host provides the file, ValueError if another file is in its place.
    """
    if path.exists():
        if not _matches(path, checksum):
            raise ValueError(f"{path} does not have the checksum {checksum}: delete it and try again")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    for url in urls:
        try:
            _complete(part, url)
        except _NETWORK_ERRORS as error:
            problem = error
            continue
        if _matches(part, checksum):
            os.replace(part, path)
            return
        part.unlink()
        problem = f"what came does not have the checksum {checksum}"
    raise FileNotFoundError(
        f"could not download {urls[0]} ({problem}): try again later, or put the file at {path} yourself"
    )


def unpack(archive: Path) -> None:
    """Unpack a tar archive beside itself. Raises tarfile.FilterError if a path in it leaves the folder."""
    if not hasattr(tarfile, "data_filter"):
        raise ValueError("unpacking safely needs Python 3.11.4 or later: update Python")
    with tarfile.open(archive) as tar:
        tar.extractall(archive.parent, filter="data")


def _matches(path: Path, checksum: str) -> bool:
    algorithm, digest = checksum.split(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest


def _complete(part: Path, url: str) -> None:
    """Append to `part` what it lacks. After a cut go on at once, as long as each attempt brings something."""
    while True:
        done = _bytes_in(part)
        try:
            return _append(part, url, done)
        except HTTPError as error:
            if error.code == 416:  # nothing lies after what is there
                return
            raise
        except _NETWORK_ERRORS:
            if _bytes_in(part) <= done:
                raise


def _append(part: Path, url: str, done: int) -> None:
    request = Request(url, headers={"Range": f"bytes={done}-", "User-Agent": "simmim-lab"})
    with urlopen(request, timeout=30) as response:
        if response.status != 206:  # this host only sends whole files
            done = 0
        total = None if response.length is None else done + response.length
        progress = tqdm(desc=part.stem, total=total, initial=done, unit="B", unit_scale=True, delay=1)
        with part.open("ab" if done else "wb") as file, progress:
            while block := response.read(2**18):
                file.write(block)
                progress.update(len(block))
    if total is not None and _bytes_in(part) < total:
        raise ConnectionError(f"the connection was cut after {_bytes_in(part)} of {total} bytes")


def _bytes_in(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
