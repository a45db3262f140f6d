"""Scoring what learned from data of your own: no grammar, so no floor, no gap, and nobody to say what is on topic.

What is left is the loss, on what was held out and beside it on what was read (far apart, the model has learned by heart),
and how much is only repeated.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

from guppylm.checkpoint import CONVERSATIONS, TEXT
from guppylm.data.batches import Batches
from guppylm.data.conversations import Row
from guppylm.errors import RunError
from guppylm.evaluation.loss import Loss, plain_loss
from guppylm.evaluation.rows import MOST, Held, held, rendered_rows, rows_of
from guppylm.evaluation.statistics import Share
from guppylm.fish import Fish
from guppylm.inference.sampling import SamplingConfig

SEED = 1  # of the sampled replies
TIMED = 10  # prompts for tokens_per_second
VERSION = 1


@dataclass(frozen=True)
class OwnScorecard:
    """What `guppylm eval` reports of such a run."""

    run: str
    kind: str  # conversations or text
    losses: dict[str, Loss]  # by split; "train" is of what it has read
    remembered: Share | None  # replies to the first test's prompts, temperature 1, that stand in a row it has read
    test_remembered: Share | None  # the same of that test's own replies
    distinct_replies: int | None
    tokens_per_second: float

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"version": VERSION, "floor": "unknown", **asdict(self)}


def evaluate_own(fish: Fish) -> OwnScorecard:
    """The scorecard of a run on conversations or text. Raises RunError if its data is gone."""
    kind = fish.run.config().kind
    losses, remembered, test_remembered, distinct = {}, None, None, None
    context = fish.model.config.context
    names = sorted(path.stem for path in (fish.run.path / "data").glob("*.txt" if kind == TEXT else "*.jsonl"))
    if "train" not in names:
        raise RunError(f"{fish.run.path / 'data'} holds no data: what this run is measured on is gone; train it again")
    for name in names:
        there = held(fish.run, fish.tokenizer, name, context) if (kind, name) != (CONVERSATIONS, "train") else _read(fish)
        losses[name] = plain_loss(fish.model, there.rendered, there.counted_bytes)
    if kind == CONVERSATIONS:
        test = next((name for name in names if name.startswith("test")), "validation")
        rows = rows_of(fish.run, test)[:MOST]
        taught = {row.reply for row in _rows_read(fish)}
        said = fish.reply_to_all([row.prompt for row in rows], SEED, SamplingConfig(1.0))
        remembered = Share.of([reply.strip() in taught for reply in said])
        test_remembered = Share.of([row.reply in taught for row in rows])
        distinct = len(set(said))
    return OwnScorecard(str(fish.run.path), kind, losses, remembered, test_remembered, distinct, _speed(fish))


def _rows_read(fish: Fish) -> list[Row]:
    """The training rows that the run has come to by its last step."""
    config, rows = fish.run.config(), rows_of(fish.run, "train")
    rendered = fish.tokenizer.render_all([(row.prompt, row.reply) for row in rows])
    steps = max((int(entry["step"]) for entry in fish.run.lines("metrics.jsonl")), default=config.train.steps)
    read = Batches(rendered, config.train, config.model.context).rows_read(steps)
    return [row for number, row in enumerate(rows) if number in read]


def _read(fish: Fish) -> Held:
    rows = _rows_read(fish)
    return rendered_rows(rows[:: -(-len(rows) // MOST)], fish.tokenizer, fish.model.config.context)


def _speed(fish: Fish) -> float:
    """Tokens a second, one reply or continuation at a time; reading the prompt is part of it."""
    prompts = fish.run.config().prompts[:TIMED]
    began = time.perf_counter()
    said = [fish.reply(prompt, SEED) for prompt in prompts]
    seconds = time.perf_counter() - began
    return sum(len(fish.tokenizer.encode(reply)) + 1 for reply in said) / seconds
