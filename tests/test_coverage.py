"""The figures of `guppylm check`: each against what can be counted by hand on a sheet of a few lines."""

import math
from pathlib import Path

import pytest

from conftest import TOPICS, write_character
from guppylm.data.character import Character, load_character
from guppylm.data.coverage import Coverage, coverage


@pytest.fixture(scope="module")
def tiny_coverage(tiny: Character) -> Coverage:
    return coverage(tiny, rows=2000)


def test_counts_of_the_sheet(tiny_coverage: Coverage) -> None:
    assert tiny_coverage.topics == 2
    assert (tiny_coverage.asks, tiny_coverage.says) == (17, 8)
    assert tiny_coverage.skeletons == {"greeting": 4, "things": 4}
    # hello 3 (one with and without "ah."), goodbye 2, gift 2, hungry 2
    assert tiny_coverage.distinct_replies_without_fillers == 9
    assert tiny_coverage.distinct_replies > 9
    # words and marks between the slots, each piece once
    assert tiny_coverage.say_tokens == (7 + 2 + 5 + 5) + (7 + 6 + 3 + 2) + (1 + 5 + 1 + 6 + 1) + (7 + 5 + 1)


def test_distinct_figures_are_those_of_the_rows(tiny: Character, tiny_coverage: Coverage) -> None:
    more = coverage(tiny, rows=4000)
    assert more.distinct_prompts >= tiny_coverage.distinct_prompts
    assert tiny_coverage.distinct_pairs <= 2000
    assert tiny_coverage.vocabulary_in_train <= tiny_coverage.vocabulary
    assert coverage(tiny, rows=2000) == tiny_coverage


def test_a_sentence_is_met_as_often_as_chance_says(tiny_coverage: Coverage) -> None:
    # half of a turn's 500 rows say either of its two says; "ah." stands in half of one of these
    assert tiny_coverage.sentences == 5 + 4 + 3 + 4
    assert 90 < tiny_coverage.sentence_exposures[0] < 240 < tiny_coverage.sentence_exposures[1] < 300


def test_entropy_of_equally_likely_replies(tmp_path: Path) -> None:
    says = ", ".join(f'"sentence {word}."' for word in "abcdefgh")
    topic = f'title = "one"\n[[turn]]\nname = "one"\nask = ["a", "b c", "d", "e f"]\nsay = [{says}]\n'
    found = coverage(load_character(str(write_character(tmp_path, topics=TOPICS | {"one": topic}))), rows=1000)
    entropies = {turn.turn: turn.entropy_nats for turn in found.turns}
    assert entropies["one"] == pytest.approx(math.log(8))
    # half of them certain once chosen, half with one of the pool's words that training sees (11 of 12)
    assert entropies["hungry"] == pytest.approx(math.log(2) + 0.5 * math.log(11), abs=0.4)


def test_an_ask_without_kin_is_named(tmp_path: Path) -> None:
    topic = """
title = "storm"
[[turn]]
name = "storm"
ask = ["a storm is coming", "what a storm", "the wind howls", "thunder", "hear the wind"]
say = ["let it pass.", "it is calm in here."]
"""
    found = coverage(load_character(str(write_character(tmp_path, topics=TOPICS | {"storm": topic}))), rows=1000)
    unclear = {ask.ask for ask in found.unclear_asks if ask.turn == "storm"}
    assert "thunder" in unclear  # storm and wind stand in two asks each
    assert not {"a storm is coming", "what a storm", "hear the wind"} & unclear
    storm = next(turn for turn in found.turns if turn.turn == "storm")
    assert storm.clarity <= 1 - 1 / 5
    assert {"calm", "let", "pass"} <= set(found.words_in_one_say)


def test_asks_of_two_topics_that_are_nearly_alike_are_named(tmp_path: Path) -> None:
    topic = """
title = "hunger"
[[turn]]
name = "want"
ask = ["food do you want", "sleepy", "tired", "yawning"]
say = ["later.", "not now."]
"""
    found = coverage(load_character(str(write_character(tmp_path, topics=TOPICS | {"hunger": topic}))), rows=1000)
    assert ("things / hungry", "do you want food", "hunger / want", "food do you want") in [
        pair if pair[0].startswith("things") else (*pair[2:], *pair[:2]) for pair in found.near_duplicate_asks
    ]
    assert all(first.split(" / ")[0] != second.split(" / ")[0] for first, _, second, _ in found.near_duplicate_asks)


def test_too_few_rows_are_refused(tiny: Character) -> None:
    with pytest.raises(ValueError, match="draw more rows"):
        coverage(tiny, rows=1)
