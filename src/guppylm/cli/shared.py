"""What all commands share."""

import time
from pathlib import Path
from typing import Annotated

import typer

BEGAN = time.monotonic()  # --minutes counts from the command

app = typer.Typer(
    help="A language model small enough to understand completely: a fish that learns to talk in five minutes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunArgument = Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A run folder. Default: the newest under runs/.")]
Character = Annotated[str, typer.Option(help="A character that ships, or a folder with a character.toml.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def printable(text: str) -> str:
    """Text without control characters: a model can say any byte, a terminal should not obey it."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
