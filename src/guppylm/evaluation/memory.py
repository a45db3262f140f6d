"""Does it just repeat its data? Each reply is remembered, recombined or invented; this says which, exactly.

remembered: it stands, letter for letter, in a row that this run was trained on.
recombined: no such row holds it, but the grammar can say it: the model put parts together in a way that is allowed.
invented: the grammar can't say it at all.

A perfect fish would be remembered as often as a fresh sample of the grammar is: that share is always shown beside.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from guppylm.checkpoint import RunFolder
from guppylm.data.batches import Batches
from guppylm.data.conversations import Conversations, Row
from guppylm.data.grammar import normalise, probability, readings, split
from guppylm.data.overlap import may_say
from guppylm.evaluation.replies import Judge
from guppylm.evaluation.rows import rows_of, sheet_of

Kind = Literal["remembered", "recombined", "invented"]


@dataclass(frozen=True)
class Remembered:
    """What is known about one reply."""

    kind: Kind
    times: int  # how many training rows hold exactly this reply
    grammar_nats: float | None  # -log probability given the prompt; inf if its turn can't say it, None if no turn asks it
    nearest: Row  # the training row whose reply shares most with it, rare words counting more
    similarity: float  # with that reply: 0 nothing in common, 1 the same words
    model_nats: float | None = None  # -log probability given the prompt, as the model has it


class Memory:
    """The training rows of a run, ready to be searched."""

    def __init__(self, rows: Sequence[Row], judge: Judge) -> None:
        """`rows` are those that the run has read. Raises ValueError if there are none."""
        if not rows:
            raise ValueError("there is nothing to remember: the run has read no rows")
        self.judge = judge
        self.times = Counter(row.reply for row in rows)
        first = {row.reply: row for row in reversed(rows)}
        self.rows = [first[reply] for reply in self.times]  # one for each distinct reply
        places: dict[str, list[int]] = {}
        for place, reply in enumerate(self.times):
            for word in set(split(reply)):
                places.setdefault(word, []).append(place)
        self._places = {word: np.array(found) for word, found in places.items()}
        self._weights = {word: math.log(1 + len(self.rows) / len(found)) for word, found in places.items()}
        self._size = np.zeros(len(self.rows))  # each reply's summed weight
        for word, found in self._places.items():
            self._size[found] += self._weights[word]

    def look_up(self, prompt: str, reply: str) -> Remembered:
        """What is known about `reply`, said to `prompt`."""
        said = normalise(reply)
        times = self.times[said]
        kind: Kind = "remembered" if times else "recombined" if self.judge.sayers(said) else "invented"
        place, similarity = self._nearest(said)
        return Remembered(kind, times, self._grammar_nats(prompt, said), self.rows[place], similarity)

    def _grammar_nats(self, prompt: str, reply: str) -> float | None:
        tokens = split(normalise(prompt))
        words = frozenset(tokens)
        for turn in self.judge.source.turns.values():
            for ask in turn.turn.asks:
                if may_say(ask.node, words):
                    for bound in readings(ask.node, tokens):
                        likely = probability(turn.say, split(reply), bound)
                        return -math.log(likely) if likely else math.inf
        return None

    def _nearest(self, reply: str) -> tuple[int, float]:
        """The place of the reply that shares most words: weight in common over weight of both together (weighted Jaccard)."""
        common: npt.NDArray[np.float64] = np.zeros(len(self.rows))
        size = 0.0
        for word in set(split(reply)):
            weight = self._weights.get(word, math.log(1 + len(self.rows)))
            size += weight
            if word in self._places:
                common[self._places[word]] += weight
        similarity = common / np.maximum(self._size + size - common, 1e-12)
        place = int(similarity.argmax())
        return place, float(similarity[place])


def memory_of(run: RunFolder) -> Memory:
    """The memory of a run: the rows that it has read up to its last step. Raises RunError if they or its sheet are gone."""
    config, sheet, rows = run.config(), sheet_of(run), rows_of(run, "train")
    rendered = run.tokenizer().render_all([(row.prompt, row.reply) for row in rows])
    batches = Batches(rendered, config.train, config.model.context)
    steps = max((int(entry["step"]) for entry in run.lines("metrics.jsonl")), default=config.train.steps)
    read = batches.rows_read(steps)
    return Memory([row for number, row in enumerate(rows) if number in read], Judge(Conversations(sheet, config.train.seed)))
