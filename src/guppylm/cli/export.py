"""`guppylm export` and `guppylm import`."""

from pathlib import Path
from typing import Annotated

import typer

from guppylm.cli.shared import RunArgument, app

FORMATS = ("huggingface", "onnx", "site")


@app.command(epilog="Example: guppylm export runs/guppy --to huggingface --out guppy-hf")
def export(
    out: Annotated[Path, typer.Option(help="A new folder; with --one-file a new file, tank.html for example.")],
    run: RunArgument = None,
    to: Annotated[str, typer.Option(help="The format: huggingface, onnx or site.")] = "huggingface",
    one_file: Annotated[
        bool, typer.Option("--one-file", help="With --to site: one file that opens by double-click, without a network.")
    ] = False,
    without_checkpoints: Annotated[
        bool, typer.Option("--without-checkpoints", help="With --one-file: smaller, and nothing to see it grow up by.")
    ] = False,
) -> None:
    """Write a fish in a format that other programs read: stock transformers, any ONNX runtime, or a page for any web host."""
    if to not in FORMATS:
        raise ValueError(f"no format {to!r}; there are {', '.join(FORMATS)}")
    if one_file and to != "site":
        raise ValueError("--one-file makes a page; use it with --to site")
    if without_checkpoints and not one_file:
        raise ValueError("--without-checkpoints makes the one file smaller; use it with --to site --one-file")
    from guppylm.export.huggingface import export_huggingface
    from guppylm.export.onnx import export_onnx
    from guppylm.export.site import export_one_file, export_site
    from guppylm.fish import load

    if one_file:
        size = export_one_file(load(run), out, without_checkpoints)
        print(f"{out}: {size / 1e6:.1f} MB, a page that opens by double-click")
        return
    write = {"huggingface": export_huggingface, "onnx": export_onnx, "site": export_site}[to]
    print(f"{out}: {', '.join(write(load(run), out))}")


@app.command("import", epilog="Example: guppylm import guppy-hf --out runs/again")
def import_(
    folder: Annotated[Path, typer.Argument(help="A folder that `guppylm export --to huggingface` wrote.")],
    out: Annotated[Path, typer.Option(help="The new run folder.")],
) -> None:
    """Make a run folder from an exported fish. It talks; what it has read does not come along."""
    from guppylm.export.huggingface import import_run

    print(f"talk to it: guppylm chat {import_run(folder, out).path}")
