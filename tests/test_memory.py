"""Remembered, recombined or invented: known cases, and the speed that a chat needs."""

import math
import time

import pytest

from conftest import Command
from guppylm.checkpoint import RunFolder
from guppylm.config import TrainConfig
from guppylm.data.batches import Batches
from guppylm.data.character import Character
from guppylm.data.conversations import Conversations, Row, read_rows
from guppylm.data.tokenizer import Rendered
from guppylm.evaluation.memory import Memory
from guppylm.evaluation.replies import Judge
from guppylm.fish import load


def row(prompt: str, reply: str, **bindings: str) -> Row:
    return Row(prompt, reply, "things", "gift", bindings)


@pytest.fixture
def memory(tiny: Character) -> Memory:
    rows = [
        row("i got you a rock", "a rock. it is approved.", object="rock"),
        row("here is a rock", "a rock. it is approved.", object="rock"),
        row("look a ship", "the ship may stay, if it is red.", object="ship"),
    ]
    return Memory(rows, Judge(Conversations(tiny)))


def test_what_stands_in_the_rows_is_remembered(memory: Memory) -> None:
    found = memory.look_up("i got you a rock", "a rock. it is approved.")
    assert (found.kind, found.times, found.similarity) == ("remembered", 2, 1.0)
    assert found.nearest.prompt == "i got you a rock"
    assert found.grammar_nats == pytest.approx(math.log(2))  # one of two says, with its word bound
    assert memory.look_up("I got you a ROCK", "A rock. It is approved.").kind == "remembered"


def test_what_the_grammar_can_say_is_recombined(memory: Memory) -> None:
    found = memory.look_up("i got you a ship", "a ship. it is approved.")
    assert (found.kind, found.times) == ("recombined", 0)
    assert found.nearest.reply == "a rock. it is approved."
    assert 0 < found.similarity < 1


def test_anything_else_is_invented(memory: Memory) -> None:
    found = memory.look_up("i got you a ship", "a ship may be approved.")
    assert found.kind == "invented"
    assert found.grammar_nats == math.inf
    assert memory.look_up("what is the internet", "a zebra").grammar_nats is None  # no turn asks that
    assert memory.look_up("what is the internet", "zebras").similarity == 0.0


def test_a_reply_of_another_turn_is_recombined_but_impossible_here(memory: Memory) -> None:
    found = memory.look_up("i got you a ship", "yes. i was full once.")
    assert (found.kind, found.grammar_nats) == ("recombined", math.inf)


def test_nothing_to_remember(tiny: Character) -> None:
    with pytest.raises(ValueError, match="nothing to remember"):
        Memory([], Judge(Conversations(tiny)))


def test_a_fish_remembers_what_its_run_has_read(trained: RunFolder) -> None:
    fish = load(trained.path)
    first = next(iter(read_rows(trained.path / "data" / "train.jsonl")))
    found = fish.remember(first.prompt, first.reply)
    assert found.kind == "remembered"
    assert found.times >= 1
    assert found.grammar_nats is not None
    assert found.model_nats is not None
    assert 0 < found.model_nats < 200
    assert fish.remember(first.prompt, "zebras").kind == "invented"
    with pytest.raises(ValueError, match="at most 129"):
        fish.remember("hello", "word " * 200)


def test_only_rows_that_were_read_are_remembered() -> None:
    rows = [Rendered([1] * 10, [False] * 5 + [True] * 5) for _ in range(40)] + [Rendered([1] * 300, [True] * 300)]
    batches = Batches(rows, TrainConfig(tokens_per_step=100, batches_per_step=2), 128)
    assert batches.rows_read(0) == frozenset()
    planned = [sum(len(batch.ids) for batch in batches[step]) for step in (0, 1)]
    assert len(batches.rows_read(1)) == planned[0]
    assert len(batches.rows_read(2)) == planned[0] + planned[1]
    assert batches.rows_read(1) < batches.rows_read(2)
    assert batches.rows_read(100) == frozenset(range(40))  # the row that fits no context was never read


def test_the_meter_of_the_chat(command: Command, trained: RunFolder) -> None:
    done = command("chat", trained.path, "--prompt", "are you hungry", "--seed", 1, "--meter")
    assert done.returncode == 0, done.stderr
    assert any(kind in done.stdout for kind in ("remembered", "recombined", "invented"))
    assert "the sheet says it" in done.stdout
    assert "he says it 1 in" in done.stdout


def test_the_meter_says_nothing_about_a_prompt_that_was_cut(command: Command, trained: RunFolder) -> None:
    done = command("chat", trained.path, "--prompt", "are you hungry " * 200, "--seed", 1, "--meter")
    assert done.returncode == 0, done.stderr
    assert "too long: the first" in done.stderr
    assert "the sheet says it" not in done.stdout


@pytest.mark.slow
def test_sixty_thousand_rows_are_searched_in_five_milliseconds(guppy: Character) -> None:
    source = Conversations(guppy)
    rows = list(source.rows("train", 60_000))
    memory = Memory(rows, Judge(source))
    new = list(source.rows("test_fresh", 200))
    began = time.perf_counter()
    kinds = [memory.look_up(row.prompt, row.reply).kind for row in new]
    assert (time.perf_counter() - began) / len(new) < 0.005 * 2  # the machine may be busy; bench/memory.py measures
    assert set(kinds) == {"remembered", "recombined"}
