"""The simplest language model that learns: count which token followed which, and guess as often as was counted.

There are no weights and no training. It sees one token back, so it writes pieces that fit their neighbours and go
nowhere, and it can't listen: by the second word of its reply it has forgotten that anybody asked.

    guppylm data --out data
    python ladder/count.py data/train.jsonl data/validation.jsonl

Run like this it reads JSON lines with `prompt` and `reply`, and its tokens are words.
"""

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

REPLY, END, UNKNOWN = "<reply>", "<end>", "<unknown>"
Row = tuple[Sequence[int], Sequence[bool]]  # token ids, and which of them are part of the reply


class PairCounts:
    """Counts of pairs of neighbours (a bigram model)."""

    def __init__(self, vocabulary: int, k: float = 0.001) -> None:
        """`k` is added to every count: what was never seen is unlikely then, but not impossible (add-k smoothing)."""
        self.vocabulary = vocabulary
        self.k = k
        self.pairs: Counter[tuple[int, int]] = Counter()
        self.firsts: Counter[int] = Counter()  # how many pairs begin with this token

    def fit(self, rows: Iterable[Row]) -> None:
        """Counts, for each token of a reply, which token stood before it."""
        for before, token in _reply_pairs(rows):
            self.pairs[before, token] += 1
            self.firsts[before] += 1

    def probability(self, before: int, token: int) -> float:
        """How likely `token` comes after `before`."""
        return (self.pairs[before, token] + self.k) / (self.firsts[before] + self.k * self.vocabulary)

    def probabilities(self, before: int) -> list[float]:
        """The same for every token there is; they sum to one."""
        return [self.probability(before, token) for token in range(self.vocabulary)]

    def loss(self, rows: Iterable[Row]) -> float:
        """Mean surprise (-log probability) at the tokens of the replies, in nats. Raises ValueError if there are none."""
        surprises = [-math.log(self.probability(before, token)) for before, token in _reply_pairs(rows)]
        if not surprises:
            raise ValueError("the loss needs at least one token of a reply")
        return sum(surprises) / len(surprises)

    def sample(self, before: int, end: int, random: Random, most: int = 40) -> list[int]:
        """Draws what follows `before`, token by token, until `end` (which is left out) or until there are `most`."""
        said: list[int] = []
        while len(said) < most:
            [before] = random.choices(range(self.vocabulary), self.probabilities(before))
            if before == end:
                break
            said.append(before)
        return said


def _reply_pairs(rows: Iterable[Row]) -> Iterator[tuple[int, int]]:
    for ids, is_reply in rows:
        for pair, counts in zip(pairwise(ids), is_reply[1:], strict=True):
            if counts:
                yield pair


def read(path: Path) -> Iterator[tuple[list[str], list[bool]]]:
    """Each conversation's words and marks, and which of them are part of the reply."""
    for line in path.read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        prompt, reply = (re.findall(r"'?\w+|[^\w\s]", said[part]) for part in ("prompt", "reply"))
        yield [*prompt, REPLY, *reply, END], [False] * (len(prompt) + 1) + [True] * (len(reply) + 1)


def main(train: Path, test: Path) -> None:
    """Fits on one file, prints the loss on both, and lets it speak."""
    words = [UNKNOWN, *sorted({word for text, _ in read(train) for word in text})]
    number = {word: place for place, word in enumerate(words)}
    rows: dict[Path, list[Row]] = {
        path: [([number.get(word, 0) for word in text], is_reply) for text, is_reply in read(path)] for path in (train, test)
    }
    model = PairCounts(len(words))
    model.fit(rows[train])
    print(f"{len(words):,} words: one who knows nothing is surprised by {math.log(len(words)):.2f} nats a word")
    for path in (train, test):
        loss = model.loss(rows[path])
        print(f"{path}: {loss:.2f} nats a word, as unsure as a fair die with {math.exp(loss):.1f} sides")
    random = Random(1)
    for _ in range(5):
        print("  " + " ".join(words[token] for token in model.sample(number[REPLY], number[END], random)))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("python ladder/count.py TRAIN TEST: two files of JSON lines, such as `guppylm data --out data` writes")
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{error}; the files must hold JSON lines with prompt and reply, such as `guppylm data --out data` writes")
