"""`guppylm export` and `guppylm import`."""

from pathlib import Path
from typing import Annotated

import typer

from guppylm.cli.shared import RunArgument, app


@app.command(epilog="Example: guppylm export runs/guppy --to huggingface --out guppy-hf")
def export(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    run: RunArgument = None,
    to: Annotated[str, typer.Option(help="The format: huggingface or onnx.")] = "huggingface",
) -> None:
    """Write a fish in a format that other programs read: stock transformers, or a web page."""
    if to not in ("huggingface", "onnx"):
        raise ValueError(f"no format {to!r}; there are huggingface and onnx")
    from guppylm.export.huggingface import export_huggingface
    from guppylm.export.onnx import export_onnx
    from guppylm.fish import load

    write = export_onnx if to == "onnx" else export_huggingface
    print(f"{out}: {', '.join(write(load(run), out))}")


@app.command("import", epilog="Example: guppylm import guppy-hf --out runs/again")
def import_(
    folder: Annotated[Path, typer.Argument(help="A folder that `guppylm export --to huggingface` wrote.")],
    out: Annotated[Path, typer.Option(help="The new run folder.")],
) -> None:
    """Make a run folder from an exported fish. It talks; what it has read does not come along."""
    from guppylm.export.huggingface import import_run

    print(f"talk to it: guppylm chat {import_run(folder, out).path}")
