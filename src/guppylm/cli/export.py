"""`guppylm export`."""

from pathlib import Path
from typing import Annotated

import typer

from guppylm.cli.shared import RunArgument, app


@app.command(epilog="Example: guppylm export runs/guppy --to huggingface --out guppy-hf")
def export(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    run: RunArgument = None,
    to: Annotated[str, typer.Option(help="The format: huggingface.")] = "huggingface",
) -> None:
    """Write a fish in a format that other programs read."""
    if to != "huggingface":
        raise ValueError(f"no format {to!r}; there is huggingface")
    from guppylm.export.huggingface import export_huggingface
    from guppylm.fish import load

    print(f"{out}: {', '.join(export_huggingface(load(run), out))}")
