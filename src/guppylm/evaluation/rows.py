"""The rows of a run: what it learnt from, and what it is tested on."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from guppylm.checkpoint import CHARACTER, TEXT, RunFolder
from guppylm.data.character import Character, load_character
from guppylm.data.conversations import Conversations, Row, read_rows
from guppylm.data.sources import read_text
from guppylm.data.text import TextTokenizer, windows_of
from guppylm.data.tokenizer import Rendered, Tokenizer
from guppylm.errors import RunError

MOST = 2_000  # rows or windows of a split whose floor is unknown, to measure a loss on


def sheet_of(run: RunFolder) -> Character:
    """The sheet that the run was trained on. Raises RunError if there is none, or if it has changed since."""
    config = run.config()
    if config.kind != CHARACTER:
        raise RunError(
            f"{run.path} has learned from {config.name}, not from a sheet, so nobody knows what may be said: no floor"
        )
    sheet = load_character(config.character)
    if sheet.fingerprint != config.fingerprint:
        raise RunError(f"the character {config.character} has changed since {run.path} was trained; train it again")
    return sheet


def rows_of(run: RunFolder, name: str) -> list[Row]:
    """The rows of "train", "validation" or a test; where the run folder has no data, as in the fish that ships, drawn again.

    They come out the same, since they follow from the sheet, the seed and their number. Raises RunError if they are damaged
    or the sheet has changed, or if it has read no rows but text. Conversations that came from a file can't be drawn again.
    """
    path = run.path / "data" / f"{name}.jsonl"
    config = run.config()
    if config.kind == TEXT:
        raise RunError(f"{run.path} has learned from a text; it has no rows of prompt and reply")
    if not path.parent.exists() and config.kind == CHARACTER:
        sheet_of(run)  # is it still the one?
        return list(_drawn_again(config.character, config.fingerprint, config.train.seed, name, config.rows))
    try:
        return list(read_rows(path))
    except (OSError, ValueError) as error:
        again = f"delete the folder {path.parent}, and its rows will be drawn again"
        way_out = again if config.kind == CHARACTER else "copy it again, or train again with --overwrite"
        raise RunError(f"{path} is missing or damaged ({error}); {way_out}") from error


@lru_cache(maxsize=4)  # who exports a fish asks for all that it has read several times
def _drawn_again(character: str, fingerprint: str, seed: int, name: str, count: int) -> tuple[Row, ...]:
    """The rows of a split. The `fingerprint` is there for the cache: another sheet has other rows."""
    source = Conversations(load_character(character), seed)
    return tuple(source.rows(name, count) if name == "train" else source.measured(name))


class Held(NamedTuple):
    """Rows or windows to measure a loss on."""

    rendered: list[Rendered]
    counted_bytes: list[int]  # of what counts in each


def held(run: RunFolder, tokenizer: Tokenizer, name: str, context: int) -> Held:
    """A split of a run, at most 2,000 of it. Raises RunError if it is gone, or if nothing of it fits the context."""
    if isinstance(tokenizer, TextTokenizer):
        windows = windows_of(tokenizer.stream(read_text(run.path / "data" / f"{name}.txt")), context, MOST)
        lengths = tokenizer.bytes_of_tokens()
        found = Held(windows, [int(lengths[np.array(window.ids[1:])].sum()) for window in windows])
    else:
        found = rendered_rows(rows_of(run, name), tokenizer, context)
    if not found.rendered:
        raise RunError(f"nothing of {name} in {run.path} can be measured: it is empty, or all of it too long for the context")
    return found


def rendered_rows(rows: list[Row], tokenizer: Tokenizer, context: int) -> Held:
    """At most 2,000 of the rows that fit the context."""
    pairs = [(row.prompt, row.reply) for row in rows]
    fits = [(one, pair) for one, pair in zip(tokenizer.render_all(pairs), pairs, strict=True) if len(one.ids) <= context + 1]
    some = fits[:MOST]
    return Held([one for one, _ in some], [len(reply.encode()) for _, (_, reply) in some])
