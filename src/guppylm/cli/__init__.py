"""The command line. It parses, calls and prints; what it calls is imported when it is needed, since torch takes seconds."""

import io
import sys
from importlib import import_module
from typing import Annotated

import typer

import guppylm
from guppylm.cli.shared import app
from guppylm.data.character import CharacterError
from guppylm.errors import RunError

# Each adds its commands to the app, in this order.
for verb in ("train", "chat", "guess", "look", "lab", "exercise", "data", "new", "evaluate", "export", "tank"):
    import_module(f"guppylm.cli.{verb}")


def main() -> None:
    """The command `guppylm`: errors go to stderr in plain words; exit status 2 for wrong use, 1 for failure."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not where a notebook or a test put something else
            stream.reconfigure(encoding="utf-8", errors="replace")
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments)
    except KeyboardInterrupt:
        status, message = 130, "stopped"
    except BrokenPipeError:
        status, message = 1, ""
    except (RunError, CharacterError) as error:
        status, message = 1, str(error)
        if debug:
            raise
    except ValueError as error:
        status, message = 2, str(error)
        if debug:
            raise
    if message:
        print(f"guppylm: {message}", file=sys.stderr)
    sys.exit(status)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"guppylm {guppylm.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """A language model small enough to understand completely: a fish that learns to talk in five minutes."""
