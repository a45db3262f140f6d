"""What training never sees: whole asks, words, pairs of both, and rare replies.

Every decision is a hash of the text itself, never of a seed, so all runs of a character share their tests.
"""

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from guppylm.data.character import Ask, Character, Turn
from guppylm.data.grammar import Node, Slot, Tokens, join, split
from guppylm.data.overlap import literals, slots, vocabulary, with_values

HELD_SHARE = 0.1  # of each turn's asks (at least), each pool's words, the (ask, word) pairs and the rare replies
MOST_ASKS = 0.25  # of a turn's asks, at most, unless its smallest cluster is larger
RARE = 5e-3  # a reply below this probability may be held out; removing likelier ones would change what is learnt
COMMON = 0.25  # a word that stands in the asks of this share of all turns says nothing about what is asked


def chance(*texts: str) -> float:
    """A number in [0, 1) that depends on these texts alone, the same on every machine."""
    digest = hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True)
class TurnSplit:
    """One turn, divided. Its templates draw seen words only; `listened` are the slots that its reply takes from its ask."""

    turn: Turn
    say: Node
    train_asks: tuple[Ask, ...]
    held_asks: tuple[Ask, ...]
    listened: frozenset[str]


class Splits:
    """The character's turns as training sees them, and what is kept from it."""

    def __init__(self, character: Character) -> None:
        self.character = character
        self.turns = tuple(self._divide(turn) for turn in character.turns)

    @cached_property
    def held_words(self) -> dict[str, tuple[str, ...]]:
        """Pool -> its words that training never sees: of each pool that some reply takes up, a tenth.

        A word is eligible if one of its tokens stands nowhere else in the sheet, so no other text can spell it.
        """
        texts: Counter[str] = Counter()
        for turn in self.character.turns:
            for node in (turn.say, *(ask.node for ask in turn.asks)):
                texts.update(literals(node))
        for words in self.character.pools.values():
            for word in words:
                texts.update(set(split(word)))
        listened = {slot.partition(":")[0] for turn in self.character.turns for slot in _listened(turn)}
        held: dict[str, tuple[str, ...]] = {}
        for pool in sorted(listened):
            words = self.character.pools[pool]
            eligible = [word for word in words if any(texts[token] == 1 for token in split(word))]
            ranked = sorted(eligible, key=lambda word: chance("word", word))
            held[pool] = tuple(ranked[: round(len(words) * HELD_SHARE)])
        return held

    @cached_property
    def held_values(self) -> frozenset[Tokens]:
        """The same words as tokens, all pools together."""
        return frozenset(split(word) for words in self.held_words.values() for word in words)

    def holds_pair(self, turn: Turn, ask: Ask, slot: str, value: Tokens) -> bool:
        """Whether training never sees this word in this ask, though it sees both apart."""
        return chance("pair", turn.topic, turn.name, ask.template, slot, join(value)) < HELD_SHARE

    def _divide(self, turn: Turn) -> TurnSplit:
        held = _hold_out_asks(turn, self.common_words)
        asks = [Ask(ask.template, ask.core, with_values(ask.node, self._seen)) for ask in turn.asks]
        return TurnSplit(
            turn,
            with_values(turn.say, self._seen),
            tuple(ask for ask in asks if ask.template not in held),
            tuple(ask for ask in asks if ask.template in held),
            _listened(turn),
        )

    def _seen(self, slot: Slot) -> tuple[Tokens, ...]:
        return tuple(value for value in slot.values if value not in self.held_values)

    @cached_property
    def common_words(self) -> frozenset[str]:
        """Words that stand in the asks of so many turns that they do not tell what is asked."""
        heard = Counter(
            word for turn in self.character.turns for word in frozenset().union(*(vocabulary(ask.core) for ask in turn.asks))
        )
        return frozenset(word for word, turns in heard.items() if turns >= max(3, COMMON * len(self.character.turns)))


def _listened(turn: Turn) -> frozenset[str]:
    """The slots that an ask may bind and the reply may then take up."""
    asked: frozenset[str] = frozenset().union(*(slots(ask.core) for ask in turn.asks))
    return asked & slots(turn.say)


def content(ask: Ask, common: frozenset[str]) -> str:
    """The words of an ask that may tell what is asked. Asks that share all of them are held out together."""
    return " ".join(sorted(literals(ask.core) - common) + sorted(slots(ask.core)))


def _hold_out_asks(turn: Turn, common: frozenset[str]) -> frozenset[str]:
    """At least a tenth of the turn's asks, taken by whole clusters: asks with the same content words stay together."""
    clusters: dict[str, list[str]] = {}
    for ask in turn.asks:
        clusters.setdefault(content(ask, common), []).append(ask.template)
    wanted = math.ceil(len(turn.asks) * HELD_SHARE)
    most = max(len(turn.asks) * MOST_ASKS, min(len(cluster) for cluster in clusters.values()))
    held: list[str] = []
    for words in sorted(clusters, key=lambda words: chance("ask", turn.topic, turn.name, words)):
        cluster = clusters[words]
        if len(held) < wanted and len(held) + len(cluster) <= most and len(clusters) > 1:
            held += cluster
    return frozenset(held)
