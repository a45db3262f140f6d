"""Conversations for the guessing game of a web page, with two bettors' stakes: a page has neither the rows nor the sheet.

None of them was read: training has met such prompts and such replies, but no row with this reply to this prompt.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from guppylm.checkpoint import CHARACTER
from guppylm.data.batches import Batches
from guppylm.data.conversations import Row
from guppylm.data.floor import Floor
from guppylm.data.sources import TEST
from guppylm.errors import RunError
from guppylm.evaluation.rows import rows_of
from guppylm.export.onnx_history import steps_done
from guppylm.fish import Fish
from guppylm.guess import PairCounts, Table, row_of

CONVERSATIONS = 24
DRAWS = 100  # replies drawn to a sample prompt until one is new to the fish


def game(fish: Fish, missing: dict[str, str]) -> dict[str, Any] | None:
    """What the manifest says under `game`; None, with the reason in `missing`, if the rows are gone.

    Where only the sheet is gone, or there never was one, nobody knows the floor; `missing` says so under `floor`.
    """
    try:
        rows = rows_of(fish.run, "train")
        test = rows_of(fish.run, "test_fresh" if fish.run.config().kind == CHARACTER else TEST)
    except (RunError, ValueError) as error:
        missing["game"] = str(error)
        return None
    table = None
    try:
        table = Table(fish)
    except (RunError, ValueError) as error:
        missing["floor"] = str(error)
    pairs = table.pairs if table else counted(fish, rows)
    chosen = conversations(fish, table, rows, test)
    if not chosen:
        missing["game"] = "every conversation that was tried stands in what it was trained on"
        return None
    return {"k": pairs.k, "conversations": [_described(fish, table, pairs, row) for row in chosen]}


def counted(fish: Fish, rows: list[Row]) -> PairCounts:
    """The pair counts of those `rows` that training came to: without a sheet, what `Table` has with one."""
    config = fish.run.config()
    rendered = fish.tokenizer.render_all([(row.prompt, row.reply) for row in rows])
    read = sorted(Batches(rendered, config.train, config.model.context).rows_read(steps_done(fish.run)))
    return PairCounts([rendered[number] for number in read], [1] * len(read), config.model.vocabulary_size)


def conversations(fish: Fish, table: Table | None, rows: list[Row], test: list[Row]) -> list[Row]:
    """What is played: replies to the sample prompts, then rows of the test, of each topic one before a second.

    None of them stands in `rows`, those for training.
    """
    known = {(row.prompt, row.reply) for row in rows}
    room = fish.model.config.context + 1
    chosen, later = list[Row](), list[Row]()
    topics = set[str]()
    for row in (*(_answers(table, known) if table else ()), *test):
        if (row.prompt, row.reply) not in known and len(fish.tokenizer.render(row.prompt, row.reply).ids) <= room:
            (later if row.topic in topics else chosen).append(row)
            topics.add(row.topic)
    return [*chosen, *later][:CONVERSATIONS]


def _answers(table: Table, known: set[tuple[str, str]]) -> Iterator[Row]:
    """A new reply to each sample prompt, if the sheet has one."""
    for prompt in table.fish.run.config().prompts:
        for seed in range(DRAWS):
            try:
                row = row_of(table, prompt, seed)
            except ValueError:  # nothing in the sheet asks that
                break
            if (row.prompt, row.reply) not in known:
                yield row
                break


def _described(fish: Fish, table: Table | None, pairs: PairCounts, row: Row) -> dict[str, Any]:
    rendered = fish.tokenizer.render(row.prompt, row.reply)
    first = rendered.is_reply.index(True)
    tokens = rendered.ids[first:]
    return {
        "prompt": row.prompt,
        "reply": row.reply,
        "topic": row.topic,
        "turn": row.turn,
        "bindings": row.bindings,
        "tokens": tokens,
        "pairs": [_times(pairs, *pair) for pair in zip(rendered.ids[first - 1 : -1], tokens, strict=True)],
        "floor": _expected(table, row, tokens) if table else None,
    }


def _times(pairs: PairCounts, before: int, token: int) -> list[int]:
    """How often `token` came after `before`, how often anything did, what came most often, and how often that did."""
    here = pairs.before == before
    counts = np.bincount(pairs.token[here], pairs.times[here], pairs.vocabulary)
    favourite = int(counts.argmax())
    return [int(counts[token]), int(counts.sum()), favourite, int(counts[favourite])]


def _expected(table: Table, row: Row, tokens: list[int]) -> list[list[float]]:
    """For each token what the sheet gives it, and the token to which it gives most."""
    floor = Floor(table.turns[row.topic, row.turn].say, row.bound_tokens, table.fish.tokenizer)
    expected = []
    for token in tokens:
        shares = floor.next_tokens()
        expected.append([shares[token], max(shares, key=lambda candidate: shares[candidate])])
        floor.hear(token)
    return expected
