"""To a web page: the fish in a folder for any static host, or in one file that opens by double-click.

index.html offline.js assets/ ...   the page, which `npm run build` in web/ made
licences.txt                        of what the page is made of
model/                              the fish, as `export --to onnx` writes him

The one file is one-file.html of the built page with all of this in it.
"""

import gzip
import html
import json
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from guppylm.errors import RunError
from guppylm.export.folder import check_new, write_all
from guppylm.export.onnx import MANIFEST, export_onnx
from guppylm.fish import Fish

INDEX, ONE_FILE, LICENCES, MODEL = "index.html", "one-file.html", "licences.txt", "model"
MARK = b"<!-- files -->"  # in one-file.html: here they go
PLACES = (Path(__file__).parents[1] / "page", Path(__file__).parents[3] / "web" / "dist")  # of the package, of a checkout


def find_page() -> Path:
    """The folder with the built page. Raises RunError if there is none."""
    for place in PLACES:
        if (place / INDEX).is_file() and (place / ONE_FILE).is_file():  # the second is what a build writes last
            return place
    raise RunError("the page is not built: in a checkout, `make tank` builds it, with Node 20.19 or newer, and opens the tank")


def export_site(fish: Fish, out: Path) -> list[str]:
    """Writes page and fish into `out`; returns the names of the files. Raises RunError if `out` holds something."""
    page = find_page()
    _check_talks(fish)
    check_new(out)
    model = [f"{MODEL}/{name}" for name in export_onnx(fish, out / MODEL)]
    files = {path.relative_to(page).as_posix(): path for path in page.rglob("*") if path.is_file()}
    wanted = {name: path.read_bytes() for name, path in files.items() if name != ONE_FILE and not name.startswith(f"{MODEL}/")}
    write_all(out, wanted)
    return sorted([*wanted, *model])


def export_one_file(fish: Fish, out: Path, without_checkpoints: bool = False) -> int:
    """Writes page and fish into the one file `out`; returns its size in bytes. Raises RunError if it is there already."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out} would not open in a browser by double-click; let its name end in .html")
    page = find_page()
    _check_talks(fish)
    if out.exists():
        raise RunError(f"{out} is there already; name a new file with --out")
    with TemporaryDirectory(prefix="guppylm-") as folder:
        export_onnx(fish, Path(folder) / MODEL)
        data = one_file(page, Path(folder) / MODEL, without_checkpoints)
    write_all(out.parent, {out.name: data})
    return len(data)


def one_file(page: Path, model: Path, without_checkpoints: bool = False) -> bytes:
    """The built page with an exported fish in it. Without checkpoints it is smaller, and nobody sees him grow up.

    Each file becomes a script element of a type that no browser runs; its text is gzip in base64. Raises RunError.
    """
    before, mark, after = (page / ONE_FILE).read_bytes().partition(MARK)
    workers = list(page.glob("assets/worker-*.js"))
    runtime, licences = page / "assets" / "runtime.wasm.gz", page / LICENCES
    if not mark or len(workers) != 1 or not runtime.is_file() or not licences.is_file():
        raise RunError(f"{page} is no whole page; build it again: npm run build, in web/")
    packed = {
        "tank/worker.js": _packed(workers[0].read_bytes()),
        "tank/runtime.wasm": runtime.read_bytes(),
        "tank/licences.txt": _packed(licences.read_bytes()),
    }
    files = {path.relative_to(model).as_posix(): path.read_bytes() for path in sorted(model.rglob("*")) if path.is_file()}
    if without_checkpoints:
        files = _grown_up(files)
    packed |= {name: _packed(data) for name, data in files.items()}
    elements = [
        b'<script type="application/gzip" data-file="%b">%b</script>' % (html.escape(name).encode(), b64encode(data))
        for name, data in packed.items()
    ]
    return before + b"\n".join(elements) + after


def _packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the time would make two equal exports differ


def _grown_up(files: dict[str, bytes]) -> dict[str, bytes]:
    """An exported folder without the weights from earlier in the training."""
    manifest: dict[str, Any] = json.loads(files[MANIFEST])
    younger = {entry["file"] for entry in manifest["checkpoints"]} - {manifest["weights"]["file"]}
    manifest["checkpoints"] = [entry for entry in manifest["checkpoints"] if entry["file"] not in younger]
    manifest["files"] = [entry for entry in manifest["files"] if entry["path"] not in younger]
    left = {name: data for name, data in files.items() if name not in younger}
    return {**left, MANIFEST: json.dumps(manifest, ensure_ascii=False).encode()}


def _check_talks(fish: Fish) -> None:
    if fish.continues:
        raise RunError(f"{fish.run.path} has learned from a text and does not reply; the page shows only what replies")
