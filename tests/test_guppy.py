"""What the shipped sheet promises: sixty topics, one voice, kind to everybody, spelled right."""

import re
from pathlib import Path

import pytest
from spellchecker import SpellChecker

from guppylm.data.character import Character
from guppylm.data.coverage import Coverage, coverage
from guppylm.data.grammar import readings, split
from guppylm.data.overlap import may_say, vocabulary

WORD_LISTS = Path(__file__).parent / "words"
SPELLING = re.compile(r"[a-z]+(?:'[a-z]+)?")
HARSH = {
    "ugly", "dumb", "fat", "loser", "worthless", "useless", "pathetic", "disgusting", "crap", "shit", "ass", "sex",
    "sexy", "beer", "wine", "drunk", "drugs", "gun", "murder", "blood", "suicide", "god", "jesus", "bitch", "moron", "fool",
}  # fmt: skip

# What a sad person or a child may type, and the turns whose replies are written for it.
TENDER = {
    "my mom died": "somebody died",
    "i want to die": "does not want to live",
    "i don't want to live anymore": "does not want to live",
    "i want to hurt myself": "does not want to live",
    "what's the point of living anymore": "does not want to live",
    "nobody would miss me": "does not want to live",
    "my brother is suicidal": "does not want to live",
    "my mom hits me": "in danger",
    "i feel worthless": "sad",
    "i hate my life": "sad",
    "i feel so lonely": "the person is lonely",
    "nobody likes me": "the person is lonely",
    "i had a bad day": "a bad day",
    "i failed my exam": "failed",
    "i am so scared": "the person is afraid",
    "i feel so dumb": "feel so dumb",
    "i can't sleep": "can't sleep",
    "i am so sad": "sad",
    "i am stressed": "sad",
    "i had a nightmare": "nightmare",
    "i feel old": "feel old",
}


@pytest.fixture(scope="module")
def figures(guppy: Character) -> Coverage:
    return coverage(guppy)


def known_words(name: str) -> set[str]:
    lines = (WORD_LISTS / name).read_text(encoding="utf-8").splitlines()
    return {word for line in lines if not line.startswith("#") for word in line.split()}


def spelled(tokens: frozenset[str]) -> set[str]:
    """The words of these tokens; what an apostrophe cuts off ('t, 's) is no word of its own."""
    return {token for token in tokens if SPELLING.fullmatch(token)}


def test_sixty_topics_of_four_to_eight_turns(guppy: Character, figures: Coverage) -> None:
    assert len(guppy.topics) == 60
    for topic in guppy.topics:
        assert 4 <= sum(turn.topic == topic for turn in guppy.turns) <= 8, topic
        assert figures.skeletons[topic] >= 25, topic
    for turn in guppy.turns:
        assert len(turn.asks) >= 14, turn.name
        assert len(turn.says) >= 6, turn.name
    assert len(guppy.prompts) == 10
    assert (guppy.voice.words, guppy.voice.sentences) == (20, 3)


def test_castle_is_the_running_example(guppy: Character) -> None:
    decorations = next(turn for turn in guppy.turns if turn.name == "new object")
    assert any(readings(ask.node, split("i got you a new castle")) for ask in decorations.asks)


def test_sixty_thousand_rows_hold_what_was_promised(figures: Coverage) -> None:
    assert figures.rows == 60_000
    assert figures.distinct_prompts >= 20_000
    assert figures.distinct_pairs >= 50_000
    assert figures.distinct_replies_without_fillers >= 20_000
    assert figures.vocabulary == 4096
    assert figures.vocabulary_in_train >= 3600


def test_says_are_spelled_right(guppy: Character) -> None:
    said = spelled(frozenset().union(*(vocabulary(turn.say) for turn in guppy.turns)))
    wrong = SpellChecker().unknown(said) - known_words("names.txt")
    assert not wrong, f"spell these right, or add them to tests/words/names.txt: {sorted(wrong)}"


def test_asks_are_spelled_right_or_wrong_on_purpose(guppy: Character) -> None:
    asked = spelled(frozenset().union(*(vocabulary(ask.core) for turn in guppy.turns for ask in turn.asks)))
    wrong = SpellChecker().unknown(asked) - known_words("names.txt") - known_words("typed.txt")
    assert not wrong, f"spell these right, or add them to tests/words/typed.txt: {sorted(wrong)}"


def test_no_say_is_harsh_or_loud(guppy: Character) -> None:
    for turn in guppy.turns:
        words = vocabulary(turn.say)
        assert not words & HARSH, (turn.name, words & HARSH)
        assert "!" not in words
        assert all(say == say.lower() for say in turn.says), turn.name


@pytest.mark.parametrize(("prompt", "turn"), TENDER.items())
def test_a_sad_or_small_person_is_met_with_words_written_for_them(guppy: Character, prompt: str, turn: str) -> None:
    tokens = split(prompt)
    words = frozenset(tokens)
    met = {t.name for t in guppy.turns for ask in t.asks if may_say(ask.node, words) and readings(ask.node, tokens)}
    assert len(met) == 1, f"{prompt!r} is known to {sorted(met) or 'no turn'}"
    assert turn in met.pop()
