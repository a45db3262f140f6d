"""The page holds the whole fish, in a folder and in one file; the package holds the page."""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from base64 import b64decode, b64encode
from html.parser import HTMLParser
from pathlib import Path

import pytest

from built_page import PAGE, write_page
from conftest import Command
from guppylm.checkpoint import RunFolder
from guppylm.data.text import TextTokenizer
from guppylm.errors import RunError
from guppylm.export import site
from guppylm.export.site import export_one_file, export_site, find_page, one_file
from guppylm.fish import Fish, load
from guppylm.tank import Tank

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("web") / "dist")


@pytest.fixture(autouse=True)
def built(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "PLACES", (page.parent / "not here", page))


@pytest.fixture(scope="module")
def exported(trained: RunFolder, page: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    out = tmp_path_factory.mktemp("exported") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "PLACES", (page,))
        names = export_site(load(trained.path), out)
    assert names == sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    return out


def test_without_a_page_it_says_how_to_build_one(
    trained: RunFolder, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = Path(shutil.copytree(page, tmp_path / "half"))
    (half / "one-file.html").unlink()
    monkeypatch.setattr(site, "PLACES", (half, tmp_path))
    with pytest.raises(RunError, match=r"make tank.*Node"):
        find_page()
    with pytest.raises(RunError, match="make tank"):
        export_site(load(trained.path), tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_site_is_the_page_and_the_fish_and_a_second_overwrites_nothing(exported: Path, trained: RunFolder) -> None:
    there = {path.relative_to(exported).as_posix(): path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    assert {name: there[name] for name in PAGE if name in there} == {n: d for n, d in PAGE.items() if n != "one-file.html"}
    manifest = json.loads(there["model/manifest.json"])
    for entry in manifest["files"]:
        assert hashlib.sha256(there[f"model/{entry['path']}"]).hexdigest() == entry["sha256"]
    with pytest.raises(RunError, match="already holds something"):
        export_site(load(trained.path), exported)
    assert {path: path.read_bytes() for path in exported.rglob("*") if path.is_file()} == {
        exported / name: data for name, data in there.items()
    }


class Packed(HTMLParser):
    """The files in a page, by name, unpacked."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self._name: str | None = None
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = dict(attributes)
        self._name = told.get("data-file")
        assert self._name is None or (tag, told["type"]) == ("script", "application/gzip")

    def handle_data(self, data: str) -> None:
        if self._name is not None:
            self.files[self._name] = gzip.decompress(b64decode(data, validate=True))

    def handle_endtag(self, tag: str) -> None:
        self._name = None


def test_one_file_holds_the_page_and_all_of_the_fish(exported: Path, page: Path) -> None:
    made = one_file(page, exported / "model")
    before, _, after = PAGE["one-file.html"].partition(b"<!-- files -->")
    assert made.startswith(before)
    assert made.endswith(after)
    model = {path.relative_to(exported / "model").as_posix(): path for path in (exported / "model").rglob("*")}
    expected = {name: path.read_bytes() for name, path in model.items() if path.is_file()}
    own = {"worker.js": PAGE["assets/worker-2.js"], "runtime.wasm": b"\0asm", "licences.txt": PAGE["licences.txt"]}
    assert Packed(made).files == {**{f"tank/{name}": data for name, data in own.items()}, **expected}
    assert one_file(page, exported / "model") == made


def test_without_checkpoints_the_end_of_training_stays(exported: Path, page: Path) -> None:
    whole = Packed(one_file(page, exported / "model")).files
    slim = Packed(one_file(page, exported / "model", without_checkpoints=True)).files
    gone = {name for name in whole if name.startswith("checkpoints/")}
    assert gone
    assert set(slim) == set(whole) - gone
    told, before = json.loads(slim["manifest.json"]), json.loads(whole["manifest.json"])
    assert {entry["file"] for entry in told["checkpoints"]} == {"weights.q8"}
    named = {entry["path"] for entry in told["files"]} | {"manifest.json"}
    assert named == {name for name in slim if not name.startswith("tank/")}
    same = before.keys() - {"checkpoints", "files"}
    assert {key: told[key] for key in same} == {key: before[key] for key in same}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
@pytest.mark.parametrize("slim", [False, True])
def test_the_script_of_the_page_makes_the_same_file(exported: Path, page: Path, tmp_path: Path, slim: bool) -> None:
    out, model = tmp_path / "tank.html", exported / "model"
    subprocess.run(
        ["node", ROOT / "web" / "scripts" / "one-file.mjs", model, out, *(["--without-checkpoints"] if slim else [])],
        env={**os.environ, "TANK_DIST": str(page)},
        check=True,
        capture_output=True,
    )
    ours, theirs = Packed(one_file(page, model, slim)).files, Packed(out.read_bytes()).files
    assert json.loads(ours.pop("manifest.json")) == json.loads(theirs.pop("manifest.json"))
    assert ours == theirs
    outside = re.compile(rb"<script type=\"application/gzip\".*?</script>\n?")
    assert outside.sub(b"", one_file(page, model, slim)) == outside.sub(b"", out.read_bytes())


@pytest.mark.parametrize("damage", ["mark", "worker", "second worker", "runtime", "licences"])
def test_a_damaged_page_is_refused(exported: Path, page: Path, tmp_path: Path, damage: str) -> None:
    broken = Path(shutil.copytree(page, tmp_path / "broken"))
    if damage == "mark":
        (broken / "one-file.html").write_bytes(b"<!doctype html>")
    elif damage == "second worker":
        (broken / "assets" / "worker-3.js").touch()
    else:
        gone = {"worker": "assets/worker-2.js", "runtime": "assets/runtime.wasm.gz", "licences": "licences.txt"}
        (broken / gone[damage]).unlink()
    with pytest.raises(RunError, match="build it again"):
        one_file(broken, exported / "model")


def test_what_no_page_can_be_made_of(trained: RunFolder, tmp_path: Path, command: Command) -> None:
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(RunError, match=r"mine\.html is there already"):
        export_one_file(load(trained.path), tmp_path / "mine.html")
    with pytest.raises(ValueError, match=r"\.html"):
        export_one_file(load(trained.path), tmp_path / "folder")
    reader = Fish(trained.model(), TextTokenizer.learn("the sea is wide\n" * 9), trained)
    for write, out in ((export_site, tmp_path / "site"), (export_one_file, tmp_path / "new.html")):
        with pytest.raises(RunError, match="learned from a text"):
            write(reader, out)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.html"]
    for arguments, word in (
        (["--to", "sight"], "site"),
        (["--to", "onnx", "--one-file"], "--to site"),
        (["--to", "site", "--without-checkpoints"], "--one-file"),
    ):
        wrong = command("export", trained.path, *arguments, "--out", "new")
        assert wrong.returncode == 2
        assert word in wrong.stderr


@pytest.mark.slow
def test_the_real_page(trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.undo()
    try:
        page = find_page()
    except RunError as error:
        pytest.skip(str(error))
    export_site(load(trained.path), tmp_path / "site")
    with Tank() as tank:
        tank.show(tmp_path / "site")
        index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
        named = re.findall(r'(?:src|href)="\./([^"]+)"', index)
        assert any(name.endswith(".js") for name in named)
        assert {f"/{name}" for name in named} <= tank.files.keys()
        assert "/assets/runtime.wasm.gz" in tank.files
    notices = (tmp_path / "site" / "licences.txt").read_text(encoding="utf-8")
    for package, licence in (("onnxruntime-web", "MIT"), ("svelte", "MIT"), ("@huggingface/tokenizers", "Apache-2.0")):
        assert re.search(rf"^{package} [\d.]+, {licence}$", notices, re.MULTILINE)
    made = one_file(page, tmp_path / "site" / "model")
    assert len(Packed(made).files) > 8
    # The policy in the page allows just one script: the page's own, byte by byte.
    script = made.rpartition(b'<script type="module">')[2].rpartition(b"</script>")[0]
    assert b64encode(hashlib.sha256(script).digest()) in made[:3000]


@pytest.mark.slow
@pytest.mark.parametrize("with_page", [True, False])
def test_a_wheel_holds_the_page_if_it_is_built(page: Path, tmp_path: Path, with_page: bool) -> None:
    """Made from the source distribution too, which is what a package index is given."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (source / "web" / "src").mkdir(parents=True)
    (source / "web" / "src" / "main.ts").touch()
    (source / "web" / "node_modules").mkdir()
    (source / "web" / "node_modules" / "theirs.js").touch()
    if with_page:
        shutil.copytree(page, source / "web" / "dist")
    program = "import sys; from hatchling.build import *; build_sdist(sys.argv[1]); build_wheel(sys.argv[1])"
    tools = tmp_path / "tools"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target"]
    subprocess.run([*pip, tools, "hatchling"], check=True)
    environment = {**os.environ, "PYTHONPATH": str(tools)}
    subprocess.run([sys.executable, "-c", program, tmp_path], cwd=source, check=True, env=environment, capture_output=True)
    shutil.unpack_archive(next(tmp_path.glob("*.tar.gz")), tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    again = tmp_path / "again"
    again.mkdir()
    subprocess.run([sys.executable, "-c", program, again], cwd=unpacked, check=True, env=environment, capture_output=True)
    wheels = [sorted(zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()) for folder in (tmp_path, again)]
    assert wheels[0] == wheels[1]
    pages = {name.removeprefix("guppylm/page/") for name in wheels[0] if name.startswith("guppylm/page/")}
    assert pages == (set(PAGE) if with_page else set())
    assert {name.split("/")[0] for name in wheels[0]} == {
        "guppylm",
        next(n.split("/")[0] for n in wheels[0] if "dist-info" in n),
    }
    assert (unpacked / "web" / "src" / "main.ts").exists()
    assert not (unpacked / "web" / "node_modules").exists()
