"""`guppylm train`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from guppylm.cli.shared import BEGAN, Character, app, printable

SHOWN = 40  # tokens by which each beginning is continued when a training on text is done


@app.command(epilog="Example: guppylm train --minutes 5 --seed 1")
def train(
    character: Character = "guppy",
    conversations: Annotated[
        Path | None, typer.Option(help="Your own instead: JSON lines with prompt and reply, or a folder with train.jsonl.")
    ] = None,
    text: Annotated[Path | None, typer.Option(help="Any UTF-8 text instead: it learns to go on with it.")] = None,
    tokenizer: Annotated[str, typer.Option(help="With --text: bpe or characters.")] = "bpe",
    preset: Annotated[str, typer.Option(help="The model: fry (1 M parameters), guppy (8.7 M) or koi (34 M).")] = "guppy",
    minutes: Annotated[float | None, typer.Option(help="From now to the first reply. Default: 5.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train for so many weight updates instead.")] = None,
    shallow: Annotated[
        int | None, typer.Option(help="Of --steps: so many at first train a third of the layers only. Default: seven tenths.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Conversations to draw from the character's sheet.")] = 60_000,
    out: Annotated[Path | None, typer.Option(help="The run folder. Default: runs/ and the name of what it learns.")] = None,
    seed: Annotated[int, typer.Option(help="Of the data, the weights and the order of the rows.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run in that folder first.")] = False,
) -> None:
    """Train a fish: data, tokenizer, model, then replies to ten prompts.

    Of a character the best possible loss, the floor, is known; of your own conversations or text nobody knows it.
    """
    if minutes is not None and steps is not None:
        raise ValueError("--minutes and --steps both say how long; give one")
    if character != "guppy" and (conversations is not None or text is not None):
        raise ValueError("--character, --conversations and --text all say what to learn from; give one")
    from guppylm.checkpoint import CHARACTER, CONVERSATIONS, TEXT
    from guppylm.fish import load
    from guppylm.training.progress import Terminal
    from guppylm.training.run import default_folder, run_training

    kind = CONVERSATIONS if conversations is not None else TEXT if text is not None else CHARACTER
    where = out or default_folder(kind, str(conversations or text or character))
    with Terminal() as reporter:
        try:
            run = run_training(
                character,
                conversations=conversations,
                text=text,
                tokenizer=tokenizer,
                size=preset,
                minutes=minutes,
                steps=steps,
                shallow_steps=shallow,
                rows=rows,
                out=out,
                seed=seed,
                resume=resume,
                overwrite=overwrite,
                reporter=reporter,
                began=BEGAN,
            )
        except KeyboardInterrupt:
            saved = (where / "training_state.safetensors").exists()
            again = f"guppylm train --resume --out {where}" if saved else "the same command, training had not begun"
            reporter.say(f"\nstopped; to go on: {again}")
            raise
        fish = load(run.path)
        for number, prompt in enumerate(run.config().prompts):
            reply = "".join(fish.stream(prompt, seed, tokens=SHOWN))
            if number == 0:
                reporter.say(f"the first reply after {time.monotonic() - BEGAN:.0f} s; the run is in {run.path}\n")
            print(f"--- {prompt}{printable(reply)}" if fish.continues else f"{prompt}\n  -> {printable(reply)}")
    from guppylm.report import write_report

    print(f"\ntalk to it: guppylm chat {run.path}\nread its report card: {write_report(run)}")
