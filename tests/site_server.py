"""What tests of the built site share: the tags of a page, and a plain server for a browser."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path


class Tags(HTMLParser):
    """The tags of some HTML and their attributes."""

    def __init__(self, html: str):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


class Server(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        content = self.server.broken.get(self.path.lstrip("/"))
        if content is None:
            return super().do_GET()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def guess_type(self, path):
        known = not self.server.plain or path.endswith((".html", ".js", ".css"))
        return super().guess_type(path) if known else "text/plain"

    def log_message(self, *args):
        pass


@contextmanager
def serving(
    folder: Path, broken: dict[str, bytes] | None = None, plain: bool = False
) -> Iterator[http.server.ThreadingHTTPServer]:
    """Serve a folder; gives the server, which has the `address` and what was `asked` for.

    `broken` has for some files what comes instead; `plain` gives only pages, scripts and styles a type.
    """
    handler = functools.partial(Server, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.broken, server.plain, server.asked = broken or {}, plain, []
        server.address = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
