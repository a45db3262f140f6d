"""From a character to conversations: rows to train on, to validate and to test, with nothing leaking between them.

The tests are drawn first; training then avoids what they hold.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar

from guppylm.data.character import Ask, Character
from guppylm.data.grammar import Bindings, Tokens, join, probability, readings, sample, split
from guppylm.data.overlap import may_say, no_garbage_collection, rarest, with_values
from guppylm.data.splits import HELD_SHARE, RARE, Splits, TurnSplit, chance

TRAIN_ROWS = 60_000
UNSEEN_ROWS = {"test_unseen_ask": 2_000, "test_unseen_say": 1_000, "test_unseen_word": 1_000, "test_unseen_pair": 1_000}
SEEN_ROWS = {"validation": 1_000, "test_fresh": 2_000}

T = TypeVar("T")


class Row(NamedTuple):
    """One conversation: a prompt, its reply, and where in the sheet both come from."""

    prompt: str
    reply: str
    topic: str
    turn: str
    bindings: dict[str, str]  # slot -> the word that the prompt bound it to
    surprisal: float | None = None  # nats: -log probability of the reply, given turn and bindings; None in training rows

    def to_json(self) -> str:
        """One JSON line. Bindings are a list of pairs, so that all lines of a file have the same columns."""
        fields = self._asdict()
        fields["bindings"] = [{"slot": slot, "value": value} for slot, value in self.bindings.items()]
        if self.surprisal is None:
            del fields["surprisal"]
        return json.dumps(fields, ensure_ascii=False)

    @staticmethod
    def from_json(line: str) -> "Row":
        """The row of a line that `to_json` wrote. Raises ValueError on any other line."""
        try:
            fields = json.loads(line)
            fields["bindings"] = {pair["slot"]: pair["value"] for pair in fields["bindings"]}
            return Row(**fields)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a row of conversations: {line[:80]!r}") from error

    @property
    def bound_tokens(self) -> Bindings:
        """The bindings as the grammar takes them."""
        return tuple((slot, split(value)) for slot, value in self.bindings.items())


class Conversations:
    """Draws the rows of a character. The seed changes what is drawn, never what is held out."""

    def __init__(self, character: Character, seed: int = 1) -> None:
        self.character = character
        self.seed = seed
        self.splits = Splits(character)
        self.turns = {(split.turn.topic, split.turn.name): split for split in self.splits.turns}
        self.drawn = self.removed = 0  # rows drawn for training, and those given up because their reply is held out

    def rows(self, name: str, count: int, topic: str | None = None) -> Iterator[Row]:
        """`count` rows as training sees them, of one topic if it is given.

        Training, validation and test_fresh are such rows from three streams.
        """
        prompts, replies = self._kept_from_training
        stream = self._stream(name)
        while count:
            turn = pick(self.splits.turns, stream)
            row = self._draw(turn, pick(turn.train_asks, stream), stream)
            self.drawn += 1
            if row is not None and self._is_held_reply(turn, row):
                self.removed += 1
            elif row is not None and row.prompt not in prompts and row.reply not in replies and topic in (None, row.topic):
                count -= 1
                yield row

    @cached_property
    def tests(self) -> dict[str, list[Row]]:
        """The tests that training must not see, each without repeated (prompt, reply) pairs."""
        draws: dict[str, Callable[[Random], Row | None]] = {
            "test_unseen_ask": self._draw_unseen_ask,
            "test_unseen_say": self._draw_unseen_say,
            "test_unseen_word": self._draw_from(self._cases_of_held_words()),
            "test_unseen_pair": self._draw_from(self._cases_of_held_pairs()),
        }
        return {name: self._distinct(draw, self._stream(name), UNSEEN_ROWS[name]) for name, draw in draws.items()}

    def measured(self, name: str) -> list[Row]:
        """The rows of "validation" or of a test, each with its surprisal."""
        rows = self.tests[name] if name in UNSEEN_ROWS else self.rows(name, SEEN_ROWS[name])
        return [row._replace(surprisal=self.surprisal(row)) for row in rows]

    def surprisal(self, row: Row) -> float:
        """-log probability of the row's reply, in nats: exact, since a prompt determines its turn and its bindings."""
        say = self.turns[row.topic, row.turn].say
        return -math.log(probability(say, split(row.reply), row.bound_tokens))

    @cached_property
    def _kept_from_training(self) -> tuple[frozenset[str], frozenset[str]]:
        """The prompts and the replies of the tests that no training row may hold."""
        prompts = {row.prompt for name, rows in self.tests.items() if name != "test_unseen_say" for row in rows}
        return frozenset(prompts), frozenset(row.reply for row in self.tests["test_unseen_say"])

    def _stream(self, name: str) -> Random:
        digest = hashlib.blake2b(f"{self.seed} {name}".encode(), digest_size=8).digest()
        return Random(int.from_bytes(digest, "big"))

    def _distinct(self, draw: Callable[[Random], Row | None], stream: Random, wanted: int) -> list[Row]:
        rows: dict[tuple[str, str], Row] = {}
        for _ in range(wanted * 40):  # a small sheet may not hold that many; then the test is shorter
            row = draw(stream)
            if row is not None:
                rows.setdefault((row.prompt, row.reply), row)
                if len(rows) == wanted:
                    break
        return list(rows.values())

    def _draw(self, turn: TurnSplit, ask: Ask, stream: Random, with_held_pairs: bool = False) -> Row | None:
        """A row of this ask; None if it binds a word that training never sees in this ask."""
        bound: dict[str, Tokens] = {}
        prompt = join(sample(ask.node, stream, bound))
        bindings = dict(bound)
        for slot, value in bindings.items():
            if slot in turn.listened and not with_held_pairs and self.splits.holds_pair(turn.turn, ask, slot, value):
                return None
        reply = join(sample(turn.say, stream, bound))
        return Row(prompt, reply, turn.turn.topic, turn.turn.name, {slot: join(value) for slot, value in bindings.items()})

    def _is_held_reply(self, turn: TurnSplit, row: Row) -> bool:
        return chance("say", row.reply) < HELD_SHARE and probability(turn.say, split(row.reply), row.bound_tokens) < RARE

    def _draw_unseen_ask(self, stream: Random) -> Row | None:
        turn = pick(self.splits.turns, stream)
        row = self._draw(turn, pick(turn.held_asks, stream), stream) if turn.held_asks else None
        return row if row and not self._is_held_reply(turn, row) and not _can_say(turn.train_asks, row.prompt) else None

    @cached_property
    def _turns_with_rare_replies(self) -> list[TurnSplit]:
        """The turns in which a reply may be rare enough to be held out, found by drawing some of each."""
        stream = self._stream("rare replies")
        turns = []
        for turn in self.splits.turns:
            tries = 50 if rarest(turn.say) < RARE else 0
            rows = (self._draw(turn, pick(turn.train_asks, stream), stream) for _ in range(tries))
            if any(row and self.surprisal(row) > -math.log(RARE) for row in rows):
                turns.append(turn)
        return turns

    def _draw_unseen_say(self, stream: Random) -> Row | None:
        if not self._turns_with_rare_replies:
            return None
        turn = pick(self._turns_with_rare_replies, stream)
        row = self._draw(turn, pick(turn.train_asks, stream), stream)
        return row if row and self._is_held_reply(turn, row) else None

    def _cases_of_held_words(self) -> list["_Case"]:
        held = self.splits.held_words
        cases = [
            _Case(turn, ask, slot, tuple(split(word) for word in held[slot.partition(":")[0]]))
            for turn in self.splits.turns
            for ask in turn.train_asks
            for slot in sorted(turn.listened)
        ]
        return [case for case in cases if case.values]

    def _cases_of_held_pairs(self) -> list["_Case"]:
        cases = []
        for turn in self.splits.turns:
            for ask in turn.train_asks:
                for slot in sorted(turn.listened):
                    words = [split(word) for word in self.character.pools[slot.partition(":")[0]]]
                    seen = [word for word in words if word not in self.splits.held_values]
                    held = tuple(word for word in seen if self.splits.holds_pair(turn.turn, ask, slot, word))
                    if held:
                        cases.append(_Case(turn, ask, slot, held))
        return cases

    def _draw_from(self, cases: list["_Case"]) -> Callable[[Random], Row | None]:
        """Draws rows in which the ask of a case binds its slot to one of its words."""

        def draw(stream: Random) -> Row | None:
            if not cases:
                return None
            case = pick(cases, stream)
            try:
                row = self._draw(case.turn, case.limited_ask, stream, with_held_pairs=True)
            except LookupError:  # "{number} plus {number:other}": the other slot took the one word wanted here
                return None
            others = [ask for ask in case.turn.train_asks if ask.template != case.ask.template]
            if row is None or case.slot not in row.bindings or self._is_held_reply(case.turn, row):
                return None
            return None if _can_say(others, row.prompt) else row

        return draw


@dataclass
class _Case:
    """An ask, and the words that a test wants in one of its slots."""

    turn: TurnSplit
    ask: Ask
    slot: str
    values: tuple[Tokens, ...]

    @cached_property
    def limited_ask(self) -> Ask:
        node = with_values(self.ask.node, lambda slot: self.values if slot.slot == self.slot else slot.values)
        return Ask(self.ask.template, self.ask.core, node)


def pick(items: Sequence[T], stream: Random) -> T:
    """One of the items, each equally likely."""
    return items[int(stream.random() * len(items))]


def _can_say(asks: Sequence[Ask], prompt: str) -> bool:
    tokens = split(prompt)
    words = frozenset(tokens)
    return any(may_say(ask.node, words) and readings(ask.node, tokens) for ask in asks)  # most are settled by their words


@dataclass
class Statistics:
    """What a data folder holds. The distinct figures are those of the training rows."""

    character: str
    fingerprint: str
    seed: int
    rows: dict[str, int] = field(default_factory=dict)
    distinct_prompts: int = 0
    distinct_replies: int = 0
    distinct_pairs: int = 0
    removed_mass: float = 0.0  # share of drawn training rows given up because test_unseen_say holds their reply
    held_out_asks: int = 0
    held_out_words: dict[str, tuple[str, ...]] = field(default_factory=dict)


@no_garbage_collection()
def write_conversations(character: Character, folder: Path, rows: int = TRAIN_ROWS, seed: int = 1) -> Statistics:
    """Writes train, validation and test files (JSON lines) and splits.json into `folder`; memory stays flat.

    Raises OSError if the folder can't be written.
    """
    source = Conversations(character, seed)
    folder.mkdir(parents=True, exist_ok=True)
    statistics = Statistics(character.name, character.fingerprint, seed)
    prompts, replies, pairs = set[int](), set[int](), set[int]()
    with open(folder / "train.jsonl", "w", encoding="utf-8", newline="\n") as file:
        for row in source.rows("train", rows):
            file.write(row.to_json() + "\n")
            prompts.add(hash(row.prompt))  # 64 bits of each text: two that share them by chance hardly ever occur
            replies.add(hash(row.reply))
            pairs.add(hash((row.prompt, row.reply)))
    statistics.rows["train"] = rows
    statistics.removed_mass = source.removed / source.drawn if source.drawn else 0.0
    for name in (*SEEN_ROWS, *UNSEEN_ROWS):
        lines = [row.to_json() + "\n" for row in source.measured(name)]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
        statistics.rows[name] = len(lines)
    statistics.distinct_prompts, statistics.distinct_replies = len(prompts), len(replies)
    statistics.distinct_pairs = len(pairs)
    statistics.held_out_asks = sum(len(turn.held_asks) for turn in source.splits.turns)
    statistics.held_out_words = source.splits.held_words
    (folder / "splits.json").write_text(json.dumps(asdict(statistics), indent=2) + "\n", encoding="utf-8", newline="\n")
    return statistics


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of one split's file. Raises FileNotFoundError, or ValueError for a line that is no row."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield Row.from_json(line)
