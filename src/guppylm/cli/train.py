"""`guppylm train`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from guppylm.cli.shared import BEGAN, Character, app, printable


@app.command(epilog="Example: guppylm train --minutes 5 --seed 1")
def train(
    character: Character = "guppy",
    preset: Annotated[str, typer.Option(help="The model: fry (1 M parameters), guppy (8.7 M) or koi (34 M).")] = "guppy",
    minutes: Annotated[float | None, typer.Option(help="From now to the first reply. Default: 5.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train for so many weight updates instead.")] = None,
    rows: Annotated[int, typer.Option(help="Conversations to train on.")] = 60_000,
    out: Annotated[Path | None, typer.Option(help="The run folder. Default: runs/ and the character's name.")] = None,
    seed: Annotated[int, typer.Option(help="Of the data, the weights and the order of the rows.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in that folder first.")] = False,
) -> None:
    """Train a fish: data, tokenizer, model, then replies to ten prompts."""
    if minutes is not None and steps is not None:
        raise ValueError("--minutes and --steps both say how long; give one")
    from guppylm.fish import load
    from guppylm.training.progress import Terminal
    from guppylm.training.run import run_training

    where = out or Path("runs") / Path(character).name
    with Terminal() as reporter:
        try:
            run = run_training(character, minutes, steps, preset, out, seed, rows, resume, overwrite, reporter, BEGAN)
        except KeyboardInterrupt:
            saved = (where / "training_state.safetensors").exists()
            again = f"guppylm train --resume --out {where}" if saved else "the same command, training had not begun"
            reporter.say(f"\nstopped; to go on: {again}")
            raise
        fish = load(run.path)
        for number, prompt in enumerate(run.config().prompts):
            reply = fish.reply(prompt, seed=seed)
            if number == 0:
                reporter.say(f"the first reply after {time.monotonic() - BEGAN:.0f} s; the run is in {run.path}\n")
            print(f"{prompt}\n  -> {printable(reply)}")
    from guppylm.report import write_report

    print(f"\ntalk to it: guppylm chat {run.path}\nread its report card: {write_report(run)}")
