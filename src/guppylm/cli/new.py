"""`guppylm new`."""

import re
import shutil
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from guppylm.cli.shared import app
from guppylm.errors import RunError


@app.command(epilog="Example: guppylm new pebble. Then: guppylm train --character pebble --minutes 2")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the character is called, one word; also its folder.")],
) -> None:
    """Begin a character of your own: a small commented sheet that passes its checks and trains at once."""
    if not re.fullmatch(r"[^\W\d_]+", name):
        raise ValueError(f"{name!r} can't be a name; take one word of letters, for example: guppylm new pebble")
    folder = Path(name.lower())
    if folder.exists():
        raise RunError(f"{folder} is there already; take another name, or delete it first")
    with resources.as_file(resources.files("guppylm") / "scaffold") as scaffold:
        try:
            shutil.copytree(scaffold, folder)
            for file in folder.rglob("*.toml"):
                text = file.read_text(encoding="utf-8").replace("NAME", name.lower()).replace("FOLDER", str(folder))
                file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise RunError(f"{folder} can't be written: {error.strerror}; go to a folder where you may write") from error
    print(f"{folder}/ holds a character. It trains as it is; then make it yours:\n")
    print(f"  guppylm check {folder}\n  guppylm train --character {folder} --minutes 2\n  guppylm chat {folder}")
