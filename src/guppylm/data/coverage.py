"""What a sheet covers and what it asks of a small head: the figures of `guppylm check`.

Asks cost a model little to learn, since the loss is on replies; every sentence that it has to say must be met often.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from random import Random
from statistics import mean, median, quantiles

from guppylm.data.character import Character, Turn
from guppylm.data.clarity import CLEAR, AskClarity, clarity
from guppylm.data.conversations import TRAIN_ROWS, Conversations, Row
from guppylm.data.grammar import Choice, Node, Series, Words, join, sample
from guppylm.data.overlap import SENTENCE_END, literals, slots, with_values
from guppylm.data.tokenizer import Tokenizer

ENTROPY_ROWS = 100  # rows of a turn whose surprisal is averaged
ALIKE = 0.75  # two asks are near-duplicates from this share of common words on (Jaccard)
PUNCTUATION = re.compile(r"\W+")
OPTIONAL = re.compile(r"\[[^\[\]]*\]")
NAMED = re.compile(r"<[^<>]*>|\{[^{}]*\}")


@dataclass(frozen=True)
class TurnCoverage:
    """One turn. `entropy_nats` is how unsure a perfect model is about its reply: the mean surprisal of drawn replies."""

    topic: str
    turn: str
    asks: int
    says: int
    distinct_replies: int  # in the drawn rows, words of pools blanked
    entropy_nats: float
    clarity: float  # share of its prompts that can be understood from other asks (see clarity.py), mean of its asks


@dataclass(frozen=True)
class Coverage:
    """A whole sheet. The distinct figures are those of `rows` training conversations drawn with `seed`."""

    character: str
    fingerprint: str
    seed: int
    rows: int
    topics: int
    asks: int
    says: int
    skeletons: dict[str, int]  # topic -> its says that still differ when what is optional, pools and rules are removed
    distinct_prompts: int
    distinct_pairs: int
    distinct_replies: int
    distinct_replies_without_fillers: int  # the words of pools blanked: openers times closers
    say_tokens: int  # words and punctuation of all distinct say text, each rule counted once
    sentences: int  # distinct sentences in the drawn replies, the words of pools blanked
    sentence_exposures: tuple[int, int]  # how often a sentence is met: by one in ten at most this often, by half
    vocabulary: int
    vocabulary_in_train: int
    longest_reply_tokens: int
    longest_conversation_tokens: int
    words_in_one_say: tuple[str, ...]
    near_duplicate_asks: tuple[tuple[str, str, str, str], ...]  # turn, ask, other turn, its ask
    clarity: float  # share of all prompts that can be understood from other asks
    unclear_asks: tuple[AskClarity, ...]  # those that mostly can't be
    turns: tuple[TurnCoverage, ...]


def coverage(character: Character, rows: int = TRAIN_ROWS, seed: int = 1) -> Coverage:
    """Draws `rows` training conversations and measures them and the sheet. Raises ValueError if `rows` misses a turn."""
    source = Conversations(character, seed)
    drawn = list(source.rows("train", rows))
    pairs = [(row.prompt, row.reply) for row in drawn]
    tokenizer = Tokenizer.train(pairs)
    rendered = tokenizer.render_all(pairs)
    by_turn: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in drawn:
        by_turn[row.topic, row.turn].append(row)
    missed = [turn for turn in character.turns if (turn.topic, turn.name) not in by_turn]
    if missed:
        raise ValueError(f"too few rows: {missed[0].topic!r}, {missed[0].name!r} was not drawn once; draw more rows")
    stream = Random(seed)
    blanked = {key: [_blanked_reply(source.turns[key].turn, stream) for _ in found] for key, found in by_turn.items()}
    exposures = Counter(sentence for replies in blanked.values() for reply in replies for sentence in _sentences(reply))
    counts = sorted(exposures.values())
    clear = clarity(source.splits, seed)
    shares: dict[tuple[str, str], list[float]] = defaultdict(list)
    for ask in clear:
        shares[ask.topic, ask.turn].append(ask.share)
    return Coverage(
        character=character.name,
        fingerprint=character.fingerprint,
        seed=seed,
        rows=rows,
        topics=len(character.topics),
        asks=sum(len(turn.asks) for turn in character.turns),
        says=sum(len(turn.says) for turn in character.turns),
        skeletons=_skeletons(character),
        distinct_prompts=len({prompt for prompt, _ in pairs}),
        distinct_pairs=len(set(pairs)),
        distinct_replies=len({reply for _, reply in pairs}),
        distinct_replies_without_fillers=len({reply for replies in blanked.values() for reply in replies}),
        say_tokens=sum(len(words.tokens) for words in _distinct_words(character)),
        sentences=len(counts),
        sentence_exposures=(int(quantiles(counts, n=10)[0]), int(median(counts))) if len(counts) > 1 else (counts[0],) * 2,
        vocabulary=tokenizer.size,
        vocabulary_in_train=len(tokenizer.count(rendered)),
        longest_reply_tokens=max(sum(row.is_reply) for row in rendered),
        longest_conversation_tokens=max(len(row.ids) for row in rendered),
        words_in_one_say=_words_in_one_say(character),
        near_duplicate_asks=tuple(_near_duplicates(character, source.splits.common_words)),
        clarity=mean(ask.share for ask in clear),
        unclear_asks=tuple(ask for ask in clear if ask.share < CLEAR),
        turns=tuple(
            TurnCoverage(
                turn.topic,
                turn.name,
                len(turn.asks),
                len(turn.says),
                len(set(blanked[turn.topic, turn.name])),
                mean(source.surprisal(row) for row in by_turn[turn.topic, turn.name][:ENTROPY_ROWS]),
                mean(shares[turn.topic, turn.name]),
            )
            for turn in character.turns
        ),
    )


def _blanked_reply(turn: Turn, stream: Random) -> str:
    """A reply in which each word of a pool is its slot's name."""
    return join(sample(with_values(turn.say, lambda slot: ((f"{{{slot.slot}}}",),)), stream))


def _sentences(reply: str) -> list[str]:
    return [sentence.strip() for sentence in SENTENCE_END.split(reply) if sentence.strip()]


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for part in node.parts if isinstance(node, Series) else node.options if isinstance(node, Choice) else ():
        yield from _nodes(part)


def _distinct_words(character: Character) -> list[Words]:
    """Every piece of say text once: a rule is one node, wherever it is used."""
    found = {id(node): node for turn in character.turns for node in _nodes(turn.say) if isinstance(node, Words)}
    return list(found.values())


def _skeletons(character: Character) -> dict[str, int]:
    found: dict[str, set[str]] = defaultdict(set)
    for turn in character.turns:
        found[turn.topic].update(" ".join(NAMED.sub("", OPTIONAL.sub("", say)).split()) for say in turn.says)
    return {topic: len(skeletons) for topic, skeletons in found.items()}


def _telling(node: Node, common: frozenset[str]) -> frozenset[str]:
    """The words of an ask that say what it is about, its slots as their names."""
    return frozenset(word for word in literals(node) - common if not PUNCTUATION.fullmatch(word)) | slots(node)


def _words_in_one_say(character: Character) -> tuple[str, ...]:
    """Words that one single say or rule holds: a fish meets them in one sentence only."""
    heard = Counter(word for words in _distinct_words(character) for word in set(words.tokens))
    return tuple(sorted(word for word, times in heard.items() if times == 1))


def _near_duplicates(character: Character, common: frozenset[str]) -> Iterator[tuple[str, str, str, str]]:
    """Asks of different topics that consist of nearly the same telling words."""
    asks = [(turn, ask.template, _telling(ask.core, common)) for turn in character.turns for ask in turn.asks]
    holders: dict[str, list[int]] = defaultdict(list)
    for number, (_, _, words) in enumerate(asks):
        for word in words:
            holders[word].append(number)
    met: set[tuple[int, int]] = set()
    for numbers in holders.values():
        for pair in combinations(numbers, 2):
            turn, ask, words = asks[pair[0]]
            other_turn, other_ask, other_words = asks[pair[1]]
            if turn.topic == other_turn.topic or pair in met or len(words & other_words) < ALIKE * len(words | other_words):
                continue
            met.add(pair)
            yield f"{turn.topic} / {turn.name}", ask, f"{other_turn.topic} / {other_turn.name}", other_ask
