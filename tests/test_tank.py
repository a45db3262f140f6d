"""The tank's server gives its own files to its own machine, and survives what else is sent."""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from built_page import PAGE, write_page
from conftest import Command
from guppylm.checkpoint import RunFolder
from guppylm.errors import RunError
from guppylm.tank import KEEPS_NOTHING, POLICY, Tank

ROOT = Path(__file__).parents[1]
SECRET = b"nobody outside may read this"
TYPES = {
    "": "text/html; charset=utf-8",
    "assets/index-1.js": "text/javascript; charset=utf-8",
    "fish.svg": "image/svg+xml",
    "licences.txt": "text/plain; charset=utf-8",
}


@pytest.fixture(scope="module")
def tank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tank]:
    folder = write_page(tmp_path_factory.mktemp("served") / "site")
    (folder.parent / "secret").mkdir()
    (folder.parent / "secret" / "key").write_bytes(SECRET)
    (folder / "two words.json").write_bytes(b"{}")
    if os.name != "nt":
        (folder / "link").symlink_to(folder.parent / "secret" / "key")
        (folder / "linked").symlink_to(folder.parent / "secret")
    with Tank() as tank:
        tank.show(folder)
        thread = threading.Thread(target=tank.serve_forever, args=(0.01,))
        thread.start()
        yield tank
        tank.shutdown()
        thread.join()


def ask(tank: Tank, data: bytes) -> bytes:
    """What comes back for these bytes; perhaps nothing, if it hung up before it had heard them all."""
    with socket.create_connection(("127.0.0.1", tank.server_port), timeout=20) as connection:
        with suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        back = b""
        with suppress(ConnectionError):
            while more := connection.recv(65536):
                back += more
        return back


def get(port: int, path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path)
    response = connection.getresponse()
    return response, response.read()


def status(back: bytes) -> int:
    return int(back.split(b" ", 2)[1])


def raw(tank: Tank, target: bytes, host: str | None = None, method: bytes = b"GET") -> bytes:
    where = (host or f"localhost:{tank.server_port}").encode()
    return ask(tank, method + b" " + target + b" HTTP/1.1\r\nHost: " + where + b"\r\n\r\n")


def test_it_serves_each_file_as_it_is_and_says_what_a_browser_may_do_with_it(tank: Tank) -> None:
    for name, kind in TYPES.items():
        response, body = get(tank.server_port, f"/{name}?seed=1")
        assert (response.status, body) == (200, PAGE[name or "index.html"])
        assert response.headers["Content-Type"] == kind
        head, nothing = get(tank.server_port, f"/{name}", "HEAD")
        assert (head.status, nothing) == (200, b"")
        assert head.headers["Content-Length"] == str(len(body))
    assert get(tank.server_port, "/two%20words.json")[1] == b"{}"
    for path in ("/", "/nowhere"):
        headers = get(tank.server_port, path)[0].headers
        assert headers["Content-Security-Policy"] == "; ".join(POLICY)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_the_policy_is_the_one_that_the_page_is_tested_with() -> None:
    script = (ROOT / "web" / "scripts" / "serve.mjs").read_text(encoding="utf-8")
    told = re.search(r"POLICY = \[(.*?)\]", script, re.DOTALL)
    assert told
    assert tuple(re.findall(r'"(.*?)"', told[1])) == POLICY


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "127.0.0.1:{port}.evil.example", "[::1]:{port}"],
)
def test_another_name_gets_nothing(tank: Tank, host: str) -> None:
    back = raw(tank, b"/", host.format(port=tank.server_port))
    assert status(back) == 421
    assert PAGE["index.html"] not in back


def test_no_name_and_two_names_get_nothing(tank: Tank) -> None:
    here = f"Host: 127.0.0.1:{tank.server_port}\r\n".encode()
    assert status(ask(tank, b"GET / HTTP/1.1\r\n" + here.upper().replace(b"HOST", b"host") + b"\r\n")) == 200
    for hosts in (b"", here + here, here + b"Host: evil.example\r\n", b"Host:\r\n"):
        assert status(ask(tank, b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")) == 421
    assert PAGE["index.html"] not in ask(tank, b"GET /\r\n\r\n")  # HTTP/0.9 has no Host


@pytest.mark.parametrize(
    "target",
    [
        *("/../secret/key", "/assets/../../secret/key", "/%2e%2e/secret/key", "/..%2fsecret%2fkey", "/..\\secret\\key"),
        *("/%252e%252e/secret/key", "//secret/key", "/./../secret/key", "../secret/key", "/assets/..;/../secret/key"),
        *("/link", "/linked/key", "/linked", "/assets", "/assets/", "/model/", "/assets%2findex-1.js", "/index.html/"),
        *(
            "/index.html%00",
            "/index.html\0",
            "/index.html%00.js",
            "/.",
            "/..",
            "/%",
            "/%zz",
            "*",
            "http://127.0.0.1/index.html",
        ),
        *("/fish.svg\x0bx", "/FISH.SVG", "/~root", "/\xff\xfe", "file:///etc/passwd", "/" + "a/" * 3000),
    ],
)
def test_there_is_no_way_out_and_no_listing(tank: Tank, target: str) -> None:
    back = raw(tank, target.encode("latin-1"))
    assert status(back) in (400, 404)
    assert SECRET not in back
    assert b"index-1" not in back.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PATCH", "get", "<b>"])
def test_it_can_only_be_read(tank: Tank, method: str) -> None:
    here = f"Host: 127.0.0.1:{tank.server_port}\r\n".encode()
    back = ask(tank, method.encode() + b" / HTTP/1.1\r\n" + here + b"Content-Length: 5\r\n\r\nhello")
    assert status(back) == 501
    assert PAGE["index.html"] not in back
    assert b"<b>" not in back.partition(b"\r\n\r\n")[2]


def test_whatever_is_sent_it_goes_on(tank: Tank, capfd: pytest.CaptureFixture[str]) -> None:
    here = f"Host: 127.0.0.1:{tank.server_port}\r\n".encode()
    start = b"GET / HTTP/1.1\r\n" + here
    assert ask(tank, b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + here + b"\r\n")[9:12] in (b"414", b"")
    assert ask(tank, start + b"X: " + b"a" * 100_000 + b"\r\n\r\n")[9:12] in (b"431", b"")
    assert ask(tank, start + b"X: a\r\n" * 10_000 + b"\r\n")[9:12] in (b"431", b"")
    for version in (b"HTTP/9.9", b"HTTP/-1", b"HTTP/1.1.1", b"HTTP/\xb2.0", b"HTTX/1.1", b"HTTP/1e9.1", b"HTTP/"):
        assert PAGE["index.html"] not in ask(tank, b"GET / " + version + b"\r\n" + here + b"\r\n")
    chance = random.Random(1)
    odd = [
        *(b"", b"\r\n", b"\0" * 1000, b"GET", b"GET / HTTP/1.1", start, b"\r\n" * 1000, b"GET / / / HTTP/1.1\r\n\r\n"),
        *(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "ГЕТ / HTTP/1.1\r\n\r\n".encode(), start + b"a b c\r\n:\r\n\r\n"),
        *(start + b"Content-Length: -1\r\n\r\n", start + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"\xff" * 70_000),
        *(chance.randbytes(chance.randrange(1, 3000)) + b"\r\n\r\n" for _ in range(50)),
    ]
    for data in odd:
        assert SECRET not in ask(tank, data)
        assert get(tank.server_port, "/")[1] == PAGE["index.html"]
    silent = [socket.create_connection(("127.0.0.1", tank.server_port)) for _ in range(50)]
    for number, connection in enumerate(silent):
        connection.sendall(start[:number])  # and then nothing more
    assert get(tank.server_port, "/")[1] == PAGE["index.html"]
    for connection in silent:
        connection.close()
    assert ask(tank, start + b"\r\n" + start + b"\r\n").count(b"200 OK") == 1  # a connection is one request
    assert capfd.readouterr() == ("", "")


def test_only_this_machine_can_reach_it(tank: Tank) -> None:
    assert tank.socket.getsockname()[0] == "127.0.0.1"
    with pytest.raises(OSError, match=r"refused|unreachable|assign"):
        socket.create_connection(("127.0.0.2", tank.server_port), timeout=5).close()


def test_a_port_that_can_not_be_had(tank: Tank, trained: RunFolder, command: Command) -> None:
    with pytest.raises(RunError, match=f"port {tank.server_port} can't be had.*--port"):
        Tank(tank.server_port)
    wrong = command("tank", trained.path, "--port", "65536")
    assert wrong.returncode == 2
    assert "port is 65536" in wrong.stderr
    assert "Example: guppylm tank" in " ".join(command("tank", "--help").stdout.split())


def started(tmp_path: Path, *arguments: object) -> "subprocess.Popen[str]":
    """`guppylm` with this page built, temporary files in tmp_path/temporary, and a browser that writes down where it goes."""
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!/bin/sh\necho \"$1\" > '{tmp_path}/opened.part' && mv '{tmp_path}/opened.part' '{tmp_path}/opened'\n"
    )
    browser.chmod(0o755)
    (tmp_path / "temporary").mkdir()
    program = f"""
import pathlib, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a test in the background would have ignored
from guppylm.export import site
site.PLACES = (pathlib.Path({str(write_page(tmp_path / "page"))!r}),)
from guppylm.cli import main
main()
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "BROWSER": f"{browser} %s", "PYTHONUTF8": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    )


@pytest.mark.skipif(os.name == "nt", reason="nobody can press Ctrl-C for another program there")
@pytest.mark.parametrize(("ending", "options"), [(signal.SIGINT, []), (signal.SIGTERM, ["--no-open"])])
def test_the_command_serves_until_it_is_stopped_and_leaves_nothing(
    trained: RunFolder, tmp_path: Path, ending: signal.Signals, options: list[str]
) -> None:
    pytest.importorskip("onnx")
    with started(tmp_path, "tank", trained.path, *options) as running:
        assert running.stdout
        address = running.stdout.readline().strip()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", address)
        assert found, running.communicate()
        port = int(found[1])
        manifest: dict[str, Any] = json.loads(get(port, "/model/manifest.json")[1])
        assert get(port, "/offline.js")[1].decode() == KEEPS_NOTHING  # its port is another's tomorrow
        assert manifest["run"]["steps"] == trained.config().train.steps
        if not options:
            while not (tmp_path / "opened").exists():
                assert running.poll() is None
            assert (tmp_path / "opened").read_text().strip() == address
        assert any((tmp_path / "temporary").iterdir())
        running.send_signal(ending)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said.count("\n")) == (0, 1), said
    assert not any((tmp_path / "temporary").iterdir())
    assert (tmp_path / "opened").exists() == (not options)
