"""The command line. It parses, calls and prints; what it calls is imported when it is needed, since torch takes seconds."""

import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import guppylm
from guppylm.data.character import CharacterError
from guppylm.errors import RunError

if TYPE_CHECKING:
    from guppylm.evaluation.memory import Remembered

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


def main() -> None:
    """The command `guppylm`: errors go to stderr in plain words; exit status 2 for wrong use, 1 for failure."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
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
            print(f"{prompt}\n  -> {_printable(reply)}")
    print(f"\ntalk to it: guppylm chat {run.path}")


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
) -> None:
    """Talk to a fish. Each message stands alone: it forgets the one before."""
    if prompt is not None and not prompt.strip():
        raise ValueError('the prompt is empty; say something, for example --prompt "hi guppy"')
    from guppylm.fish import load
    from guppylm.inference.sampling import SamplingConfig

    sampling = SamplingConfig(temperature, top_k, top_p, min_p)
    fish = load(run)

    def answer(text: str) -> None:
        left_out = fish.left_out(text)
        if left_out:
            print(f"(too long: the first {left_out:,} characters are left out)", file=sys.stderr)
        said = ""
        for piece in fish.stream(text, seed, sampling):
            print(_printable(piece), end="", flush=True)
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
        _talk(fish.run.config().character, answer)


def _talk(name: str, answer: Callable[[str], None]) -> None:
    print(f"talking to {Path(name).name}. an empty line or ctrl-d ends it.")
    while True:
        try:
            line = input("\nyou   > ")
        except (EOFError, KeyboardInterrupt):
            print()
            return
        if not line.strip():
            return
        print(f"{Path(name).name:5} > ", end="", flush=True)
        answer(line)


def _told(found: "Remembered") -> str:
    """A reply's origin in one line. A probability p is told as "1 in 1/p"."""
    times = f", it stands in {found.times:,} rows" if found.times else f"; nearest: {found.nearest.reply}"
    grammar = "never" if found.grammar_nats == math.inf else f"1 in {math.exp(found.grammar_nats or 0):,.3g}"
    asked = "nobody taught him this prompt" if found.grammar_nats is None else f"the sheet says it {grammar}"
    return f"{found.kind}{times} · {asked} · he says it 1 in {math.exp(min(found.model_nats or 0, 700)):,.3g}"


def _printable(text: str) -> str:
    """Text without control characters: a model can say any byte, a terminal should not obey it."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


@app.command(epilog="Example: guppylm data --out data --rows 60000. To read aloud: guppylm data --show 20 --topic snail")
def data(
    character: Character = "guppy",
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("data"),
    rows: Annotated[int, typer.Option(help="Training conversations.")] = 60_000,
    seed: Annotated[int, typer.Option(help="Of the drawn rows; what is held out does not depend on it.")] = 1,
    show: Annotated[int, typer.Option(help="Write nothing; print the first so many training conversations.")] = 0,
    topic: Annotated[str | None, typer.Option(help="With --show: of this topic only.")] = None,
    as_json: Json = False,
) -> None:
    """Write a character's conversations (JSON lines) and print their statistics."""
    from dataclasses import asdict

    from guppylm.data.character import load_character
    from guppylm.data.conversations import Conversations, write_conversations

    if rows < 1 or show < 0:
        raise ValueError(f"rows is {rows} and show is {show}; at least 1 row is written, at least 0 are shown")
    began = time.monotonic()
    sheet = load_character(character)
    if topic is not None and topic not in sheet.topics:
        raise ValueError(f"no topic {topic!r}; there are: {', '.join(sheet.topics)}")
    if topic is not None and not show:
        raise ValueError("--topic chooses what --show prints; add --show 20, or leave out --topic")
    if show:
        for row in Conversations(sheet, seed).rows("train", show, topic):
            print(row.to_json() if as_json else f"{row.topic:18} {row.prompt}\n{'':18}   -> {row.reply}")
        return
    try:
        statistics = write_conversations(sheet, out, rows, seed)
    except OSError as error:
        raise RunError(f"{out} can't be written: {error.strerror}; choose another folder with --out") from error
    if as_json:
        print(json.dumps(asdict(statistics)))
        return
    print(f"{sum(statistics.rows.values()):,} conversations in {out} after {time.monotonic() - began:.1f} s")
    for name, count in statistics.rows.items():
        print(f"  {name:18} {count:>8,}")
    print(
        f"in train: {statistics.distinct_prompts:,} distinct prompts, {statistics.distinct_replies:,} replies, "
        f"{statistics.distinct_pairs:,} pairs"
    )
    print(
        f"held out: {statistics.held_out_asks} asks, {sum(map(len, statistics.held_out_words.values()))} words; "
        f"{statistics.removed_mass:.2%} of replies"
    )


@app.command(epilog="Example: guppylm check guppy")
def check(
    character: Annotated[str, typer.Argument(metavar="NAME", help="A character that ships, or a folder.")] = "guppy",
    rows: Annotated[int, typer.Option(help="Training conversations to draw for the figures.")] = 60_000,
    seed: Annotated[int, typer.Option(help="Of the drawn rows.")] = 1,
    as_json: Json = False,
) -> None:
    """Check a character sheet: its mistakes with file and line, what it covers, how much it asks of a model.

    Exit status 0 says that it is fit to train.
    """
    from dataclasses import asdict

    from guppylm.config import ModelConfig
    from guppylm.data.character import load_character
    from guppylm.data.coverage import coverage
    from guppylm.tables import show_coverage

    if rows < 1:
        raise ValueError(f"rows is {rows}; it must be at least 1")
    found = coverage(load_character(character), rows, seed)
    room = ModelConfig.context + 1 - found.longest_conversation_tokens
    if as_json:
        print(json.dumps(asdict(found) | {"fit_to_train": room >= 0}))
    else:
        show_coverage(found)
    if room < 0:
        raise RunError(
            f"the longest conversation is {-room} tokens too long for a context of {ModelConfig.context}; shorten it"
        )
    if not as_json:
        print("\nno mistakes: each prompt has one meaning, no reply breaks a rule of the voice. fit to train.")


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


@app.command("eval", epilog="Example: guppylm eval runs/guppy --json. Side by side: guppylm eval runs/a runs/b")
def evaluate(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="[RUN ...]", help="Run folders. Default: the newest.")] = None,
    as_json: Json = False,
) -> None:
    """Score a fish: how far from perfect, does it understand new phrasings, does it listen. Several runs are compared."""
    from guppylm.evaluation.scorecard import SCORECARD
    from guppylm.evaluation.scorecard import evaluate as score
    from guppylm.fish import load

    cards = []
    for run in runs or (None,):
        fish = load(run)
        cards.append(score(fish))
        fish.run.write(SCORECARD, json.dumps(cards[-1].to_dict(), indent=2) + "\n")
    if as_json:
        print(json.dumps(cards[0].to_dict() if len(cards) == 1 else [card.to_dict() for card in cards]))
        return
    from guppylm.tables import show_comparison, show_scorecard

    if len(cards) == 1:
        show_scorecard(cards[0])
    else:
        show_comparison(cards)


if __name__ == "__main__":
    main()
