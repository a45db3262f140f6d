"""A page as a build of web/ leaves it, in small: what the tests of the site and of the tank are about needs no Node."""

import gzip
from pathlib import Path

PAGE = {
    "index.html": b"<!doctype html>\r\n<p>\xc3\xa9</p>",
    "fish.svg": b"<svg/>",
    "offline.js": b"// keeps everything",
    "licences.txt": b"whose it is",
    "one-file.html": b"<!doctype html>\r\n<p>caf\xc3\xa9</p>\n<!-- files -->\n<script>'<!-- files -->'</script>\n",
    "assets/index-1.js": b"start()",
    "assets/worker-2.js": b"work('</script>')",
    "assets/runtime.wasm.gz": gzip.compress(b"\0asm", mtime=0),
}


def write_page(folder: Path) -> Path:
    """Writes it; somebody has put an older fish beside it."""
    for name, data in {**PAGE, "model/manifest.json": b"{}"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
