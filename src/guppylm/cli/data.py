"""`guppylm data` and `guppylm check`: a character's sheet and what is drawn from it."""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from guppylm.cli.shared import Character, Json, app
from guppylm.errors import RunError


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
    from guppylm.export.cards import write_dataset_card

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
        if not write_dataset_card(out, asdict(statistics)):
            print(f"guppylm: {out / 'README.md'} is not ours and stays as it is", file=sys.stderr)
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
    from guppylm.data.character import PROOF, find_character, load_character, seal
    from guppylm.data.coverage import coverage
    from guppylm.tables import show_coverage

    if rows < 1:
        raise ValueError(f"rows is {rows}; it must be at least 1")
    sheet = load_character(character, prove=True)
    with suppress(OSError):  # a folder that can't be written is proved each time that it is loaded
        (find_character(character) / PROOF).write_text(seal(find_character(character)) + "\n", encoding="utf-8", newline="\n")
    found = coverage(sheet, rows, seed)
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
