"""The rows, and the promise that nothing leaks from the tests into training."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TOPICS, write_character
from guppylm.data.character import Character, load_character
from guppylm.data.conversations import Conversations, Row, Statistics, read_rows, write_conversations
from guppylm.data.grammar import Tokens, probability, readings, split
from guppylm.data.splits import RARE, Splits

ROWS = 20_000
TESTS = ("test_unseen_ask", "test_unseen_say", "test_unseen_word", "test_unseen_pair")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def statistics(guppy: Character, folder: Path) -> Statistics:
    return write_conversations(guppy, folder, ROWS)


@pytest.fixture(scope="module")
def splits(statistics: Statistics, folder: Path) -> dict[str, list[Row]]:
    return {name: list(read_rows(folder / f"{name}.jsonl")) for name in statistics.rows}


def holds(text: str, value: str) -> bool:
    return f" {' '.join(split(value))} " in f" {' '.join(split(text))} "


def test_sizes(splits: dict[str, list[Row]]) -> None:
    assert len(splits["train"]) == ROWS
    assert len(splits["test_fresh"]) == 2000
    assert all(splits[name] for name in splits)


def test_no_prompt_and_no_pair_of_a_test_stands_in_train(splits: dict[str, list[Row]]) -> None:
    prompts = {row.prompt for row in splits["train"]}
    pairs = {(row.prompt, row.reply) for row in splits["train"]}
    replies = {row.reply for row in splits["train"]}
    for name in TESTS:
        assert not pairs & {(row.prompt, row.reply) for row in splits[name]}, name
        assert len({(row.prompt, row.reply) for row in splits[name]}) == len(splits[name]), name
    for name in ("test_unseen_ask", "test_unseen_word", "test_unseen_pair"):
        assert not prompts & {row.prompt for row in splits[name]}, name
    assert not replies & {row.reply for row in splits["test_unseen_say"]}


def test_held_out_words_never_stand_in_train(statistics: Statistics, splits: dict[str, list[Row]]) -> None:
    held = [word for words in statistics.held_out_words.values() for word in words]
    assert len(held) >= 10
    text = "\n".join(f" {' '.join(split(row.prompt))} . {' '.join(split(row.reply))} " for row in splits["train"])
    assert not [word for word in held if f" {' '.join(split(word))} " in text]
    for row in splits["test_unseen_word"]:
        assert any(value in held and holds(row.prompt, value) for value in row.bindings.values())


def test_held_out_asks_are_a_tenth_of_each_turn_and_cannot_be_said_in_train(
    guppy: Character, splits: dict[str, list[Row]]
) -> None:
    division = Splits(guppy)
    for turn in division.turns:
        total = len(turn.turn.asks)
        assert total / 10 <= len(turn.held_asks) <= total / 4 + 1
        assert len(turn.held_asks) + len(turn.train_asks) == total
    by_name = {(turn.turn.topic, turn.turn.name): turn for turn in division.turns}
    for row in splits["test_unseen_ask"][:300]:
        asks = by_name[row.topic, row.turn].train_asks
        assert not any(readings(ask.node, split(row.prompt)) for ask in asks)


def test_held_out_replies_are_rare_and_their_mass_is_stated(
    guppy: Character, statistics: Statistics, splits: dict[str, list[Row]]
) -> None:
    source = Conversations(guppy)
    for row in splits["test_unseen_say"]:
        assert probability(source.turns[row.topic, row.turn].say, split(row.reply), row.bound_tokens) < RARE
    assert 0 < statistics.removed_mass < 0.06


def test_what_is_held_out_does_not_depend_on_the_seed(guppy: Character) -> None:
    first, second = Conversations(guppy, seed=1), Conversations(guppy, seed=2)
    assert first.splits.held_words == second.splits.held_words
    for a, b in zip(first.splits.turns, second.splits.turns, strict=True):
        assert [ask.template for ask in a.held_asks] == [ask.template for ask in b.held_asks]
    assert [row.prompt for row in first.rows("train", 20)] != [row.prompt for row in second.rows("train", 20)]


def test_surprisals_are_exact(guppy: Character, splits: dict[str, list[Row]]) -> None:
    source = Conversations(guppy)
    for name in ("validation", "test_fresh", *TESTS):
        for row in splits[name][:100]:
            assert row.surprisal is not None
            assert row.surprisal > 0
            assert math.isclose(row.surprisal, source.surprisal(row))
    assert all(row.surprisal is None for row in splits["train"][:100])


def test_a_prompt_determines_its_turn_and_its_bindings(guppy: Character, splits: dict[str, list[Row]]) -> None:
    """The loader proves it for all prompts; this looks at some in the slow way."""
    for row in splits["validation"][:150]:
        tokens: Tokens = split(row.prompt)
        meanings = {
            (turn.topic, turn.name, tuple(sorted(bound)))
            for turn in guppy.turns
            for ask in turn.asks
            for bound in readings(ask.node, tokens)
        }
        assert meanings == {(row.topic, row.turn, tuple(sorted(row.bound_tokens)))}


def test_same_seed_same_bytes(tiny: Character, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_conversations(tiny, tmp_path / name, 500, seed=3)
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_hash_order_does_not_matter(tiny_folder: Path, tmp_path: Path) -> None:
    """Python orders sets by a hash that differs from process to process; no row may depend on it."""
    code = (
        "import sys; from pathlib import Path; from guppylm.data.character import load_character;"
        "from guppylm.data.conversations import write_conversations;"
        "write_conversations(load_character(sys.argv[1]), Path(sys.argv[2]), 300)"
    )
    for seed in ("1", "2"):
        folder = tmp_path / seed
        subprocess.run([sys.executable, "-c", code, str(tiny_folder), str(folder)], check=True, env={"PYTHONHASHSEED": seed})
    for file in sorted((tmp_path / "1").iterdir()):
        assert file.read_bytes() == (tmp_path / "2" / file.name).read_bytes(), file.name


def test_rows_survive_json() -> None:
    row = Row("héllo", "yes.", "t", "u", {"object": "rock"}, 1.5)
    assert Row.from_json(row.to_json()) == row
    for broken in ("{}", "[]", "nonsense", '{"prompt": "x"}'):
        with pytest.raises(ValueError, match="not a row"):
            Row.from_json(broken)


def test_datasets_reads_the_rows(statistics: Statistics, folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset("json", data_files=str(folder / "test_fresh.jsonl"), cache_dir=str(tmp_path))["train"]
    assert loaded.column_names == ["prompt", "reply", "topic", "turn", "bindings", "surprisal"]
    first = json.loads((folder / "test_fresh.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert loaded[0] == first


def test_an_ask_with_two_words_of_one_pool(tmp_path: Path) -> None:
    """A test wants one word in one slot; where the other slot takes it, that draw is given up, not the whole data."""
    topic = """
title = "sums"
[[turn]]
name = "sum"
ask = ["what is {number:other} plus {number}", "add {number:other} to {number}", "{number:other} and {number}",
  "sum {number:other} with {number}", "{number:other} times {number}", "take {number:other} from {number}"]
say = ["{number} and then some.", "about {number}."]
[pools]
number = ["one", "two", "three", "four", "five"]
"""
    sheet = load_character(str(write_character(tmp_path, topics=TOPICS | {"sums": topic})))
    for seed in range(1, 6):
        pairs = Conversations(sheet, seed).tests["test_unseen_pair"]
        sums = [row.bindings for row in pairs if row.turn == "sum"]
        assert sums
        assert all(bound["number"] != bound.get("number:other") for bound in sums)
