"""The tank: serves the page, with a fish in it, on this machine to this machine alone.

It knows the addresses of its files, and looks every request up in that list: there is no path to find a way out of.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from guppylm.errors import RunError
from guppylm.export.site import INDEX, export_site
from guppylm.fish import Fish

LOOPBACK = "127.0.0.1"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
POLICY = (  # what the page may do, as in web/scripts/serve.mjs: the browser sees to it
    *("default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self'", "style-src 'self'", "img-src 'self'"),
    *("connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
)
HEADERS = {
    "Content-Security-Policy": "; ".join(POLICY),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",  # no other page can take anything from here
    "Cache-Control": "no-store",
}
# In place of the worker that keeps the page for when its host is away. Here host and reader are one machine: a browser would
# keep every tank that it ever saw, each under the port that happened to be free, and show it to whoever has that port next.
KEEPS_NOTHING = """\
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) =>
  event.waitUntil(caches.delete("tank").then(() => self.registration.unregister())),
);
"""


class Tank(ThreadingHTTPServer):
    """Serves `files`, path by address, on loopback; port 0 takes a free one. Raises ValueError for a port that can't be.

    Raises RunError if the port is taken.
    """

    files: dict[str, Path]
    allow_reuse_address = os.name != "nt"  # Windows would let two programs have one port

    def __init__(self, port: int = 0) -> None:
        if not 0 <= port <= 65535:
            raise ValueError(f"port is {port}; it must be at most 65535, or 0 for any that is free")
        self.files = {}
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            raise RunError(
                f"port {port} can't be had: {error.strerror}; choose another with --port, or leave it out"
            ) from error
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}
        if self.server_port == 80:
            self.hosts |= {LOOPBACK, "localhost"}

    @property
    def address(self) -> str:
        """What to type into a browser."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def show(self, folder: Path) -> None:
        """From now on serves what stands in `folder`; links are left out, wherever they lead."""
        found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        self.files = {f"/{quote(path.relative_to(folder).as_posix())}": path for path in found}
        if f"/{INDEX}" in self.files:
            self.files["/"] = self.files[f"/{INDEX}"]

    def serve_until_stopped(self) -> None:
        """Answers until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            self.serve_forever()

    def server_bind(self) -> None:
        """Binds, and asks no name server what this machine is called, as HTTPServer's own would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.socket.getsockname()[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keeps quiet about connections that end early: a browser does that when it leaves a page."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request. Speaks HTTP/1.0, so a connection ends with it: nothing left of a bad one is read as the next."""

    server: Tank
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"
    timeout = 30  # seconds that a connection may keep a thread waiting

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        """A page elsewhere can have its own name lead to 127.0.0.1; the name then stands in Host, and gives it away."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        path = self.server.files.get(self.path.partition("?")[0])
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as file:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", TYPES.get(path.suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(os.fstat(file.fileno()).st_size))
            self.end_headers()
            if body:
                shutil.copyfileobj(file, self.wfile)

    def version_string(self) -> str:
        return "guppylm"

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a request may hold anything, and a terminal should not obey it."""


@contextmanager
def filled(fish: Fish, port: int = 0) -> Iterator[Tank]:
    """A tank with this fish in it; its files are gone when the block ends. Raises what `Tank` and `export_site` raise."""
    with Tank(port) as tank, TemporaryDirectory(prefix="guppylm-tank-", ignore_cleanup_errors=True) as folder:
        site = Path(folder) / "site"
        export_site(fish, site)
        (site / "offline.js").write_text(KEEPS_NOTHING, encoding="utf-8")
        tank.show(site)
        yield tank
