"""`guppylm chat`."""

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from guppylm.cli.shared import RunArgument, app, printable

if TYPE_CHECKING:
    from guppylm.evaluation.memory import Remembered


@app.command(epilog='Example: guppylm chat --prompt "i got you a new castle" --seed 1')
def chat(
    run: RunArgument = None,
    prompt: Annotated[str | None, typer.Option(help="Answer this and exit; - answers each line of standard input.")] = None,
    temperature: Annotated[float, typer.Option(help="0: always the likeliest token; 1: as likely as the model thinks.")] = 0.7,
    top_k: Annotated[int, typer.Option(help="Draw from the k likeliest tokens; 0: from all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest tokens that together have this probability.")] = 1.0,
    min_p: Annotated[float, typer.Option(help="Draw from tokens at least this fraction as likely as the likeliest.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="The same seed, prompt and settings give the same reply.")] = None,
    meter: Annotated[bool, typer.Option("--meter", help="Say if each reply is remembered, recombined or invented.")] = False,
    tokens: Annotated[int, typer.Option(help="Of a run on text: how many tokens to go on for.")] = 200,
) -> None:
    """Talk to a fish. Each message stands alone: it forgets the one before.

    A run that learned from a text does not reply: your message is a beginning, and it goes on from there.
    """
    if prompt is not None and not prompt.strip():
        raise ValueError('the prompt is empty; say something, for example --prompt "hi guppy"')
    if tokens < 1:
        raise ValueError(f"tokens is {tokens}; it must be at least 1")
    from guppylm.checkpoint import CHARACTER
    from guppylm.fish import load
    from guppylm.inference.sampling import SamplingConfig

    sampling = SamplingConfig(temperature, top_k, top_p, min_p)
    fish = load(run)
    config = fish.run.config()
    if meter and config.kind != CHARACTER:
        raise ValueError(f"--meter needs a sheet that knows what may be said; {config.name} has none: leave out --meter")

    def answer(text: str) -> None:
        left_out = fish.left_out(text)
        if left_out:
            print(f"(too long: the first {left_out:,} characters are left out)", file=sys.stderr)
        said = ""
        if fish.continues:
            print(printable(text), end="", flush=True)
        for piece in fish.stream(text, seed, sampling, tokens):
            print(printable(piece), end="", flush=True)
            said += piece
        print(flush=True)
        if meter and not left_out:  # what was left out was not answered
            print(f"        ({_told(fish.remember(text, said))})", flush=True)

    if prompt is not None and prompt != "-":
        answer(prompt)
    elif prompt == "-" or not sys.stdin.isatty():
        for line in sys.stdin:
            if line.strip():
                answer(line.strip())
    else:
        _talk(config.name, answer, fish.continues)


def _talk(name: str, answer: Callable[[str], None], continues: bool) -> None:
    if continues:
        print(f"this run has read a text, {name}, and does not chat: type a beginning, and it goes on from there.")
        print("an empty line or ctrl-d ends it.")
    else:
        print(f"talking to {name}. an empty line or ctrl-d ends it.")
    while True:
        try:
            line = input("\nbegin > " if continues else "\nyou   > ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not line.strip():
            return
        if not continues:
            print(f"{name:5} > ", end="", flush=True)
        answer(line)


def _told(found: "Remembered") -> str:
    """A reply's origin in one line. A probability p is told as "1 in 1/p"."""
    times = f", it stands in {found.times:,} rows" if found.times else f"; nearest: {found.nearest.reply}"
    grammar = "never" if found.grammar_nats == math.inf else f"1 in {math.exp(found.grammar_nats or 0):,.3g}"
    asked = "nobody taught him this prompt" if found.grammar_nats is None else f"the sheet says it {grammar}"
    return f"{found.kind}{times} · {asked} · he says it 1 in {math.exp(min(found.model_nats or 0, 700)):,.3g}"
