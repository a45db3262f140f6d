"""The figures: exact where the answer is known."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import pytest
import torch
from torch import Tensor

from guppylm.checkpoint import RunFolder
from guppylm.data.character import Character
from guppylm.data.conversations import Conversations, Row, read_rows
from guppylm.data.grammar import join, sample
from guppylm.data.tokenizer import Tokenizer
from guppylm.evaluation.comparison import differences
from guppylm.evaluation.loss import loss_report, row_losses
from guppylm.evaluation.memory import Memory
from guppylm.evaluation.replies import Judge, always_taken_up, dealt_out, holds, with_typo
from guppylm.evaluation.scorecard import VERSION, Scorecard, evaluate, score
from guppylm.evaluation.statistics import Share
from guppylm.fish import load
from guppylm.inference.sampling import SamplingConfig


@pytest.fixture(scope="module")
def source(guppy: Character) -> Conversations:
    return Conversations(guppy)


class Pretender:
    """Something that is scored like a fish: it has a way to reply and a probability for each row."""

    def __init__(self, rows: Sequence[Row], answer: Callable[[Row], str], nats: Callable[[Row], float]) -> None:
        self.rows = {key: row for row in rows for key in (row.prompt, row.prompt.upper())}
        self.answer = answer
        self.nats = nats

    def reply_to_all(self, prompts: Sequence[str], seed: int | None, sampling: SamplingConfig | None) -> list[str]:
        """What it says; a prompt with a typing error is answered as the row before it would be."""
        rows = list(self.rows.values())
        return [self.answer(self.rows.get(prompt, rows[number])) for number, prompt in enumerate(prompts)]

    def losses(self, rows: Sequence[Row]) -> Tensor:
        """Summed nats of each row."""
        return torch.tensor([self.nats(row) for row in rows], dtype=torch.float64)


@dataclass
class Stage:
    """What is needed to score: Guppy's own sheet, small tests of it, and rows that were read."""

    source: Conversations
    read: list[Row]
    tests: dict[str, list[Row]]
    tokenizer: Tokenizer
    memory: Memory

    def score(self, answer: Callable[[Row], str], nats: Callable[[Row], float]) -> Scorecard:
        """The scorecard of a pretender."""
        rows = [row for test in self.tests.values() for row in test]
        return score(Pretender(rows, answer, nats), self.tokenizer, self.memory, self.tests, "pretender")


@pytest.fixture(scope="module")
def stage(source: Conversations) -> Stage:
    read = list(source.rows("train", 20_000))
    tests = {name: rows[:300] for name, rows in source.tests.items()} | {"test_fresh": list(source.rows("test_fresh", 600))}
    tests = {name: [row._replace(surprisal=source.surprisal(row)) for row in rows] for name, rows in tests.items()}
    tokenizer = Tokenizer.train([(row.prompt, row.reply) for row in read])
    return Stage(source, read, tests, tokenizer, Memory(read, Judge(source)))


def test_the_grammar_as_a_pretended_model_is_perfect(stage: Stage) -> None:
    random = Random(9)

    def answer(row: Row) -> str:
        return join(sample(stage.source.turns[row.topic, row.turn].say, random, dict(row.bound_tokens)))

    card = stage.score(answer, stage.source.surprisal)
    for loss in card.losses.values():
        assert loss.gap_nats == pytest.approx(0, abs=1e-9)
        assert abs(loss.gap_nats) <= 1.96 * loss.gap_standard_error + 1e-9
    assert card.on_topic["0.7"].value > 0.98  # some few replies suit two turns, and count for neither
    assert card.on_topic["1.0"].value > 0.98
    assert card.on_topic_shuffled["1.0"].value < 0.05
    assert card.uppercase_on_topic.value > 0.98
    for echo in card.slot_echo.values():
        assert echo is not None
        assert echo.value == 1.0
    assert card.origins["invented"].value == 0.0
    apart = card.origins["remembered"].value - card.grammar_remembered.value
    assert abs(apart) < 0.08  # two samples of one distribution
    assert card.in_voice.value == 1.0


def test_a_uniform_model_is_as_far_from_perfect_as_it_can_be_without_lying(stage: Stage) -> None:
    size = stage.tokenizer.size

    def nats(row: Row) -> float:
        return sum(stage.tokenizer.render(row.prompt, row.reply).is_reply) * math.log(size)

    card = stage.score(lambda row: "water the of", nats)
    for loss in card.losses.values():
        assert loss.loss_nats == pytest.approx(math.log(size))
        assert loss.gap_nats == pytest.approx(math.log(size) - loss.floor_nats)
    assert card.on_topic["0.7"].value == 0.0
    assert card.origins["invented"].value == 1.0
    assert card.distinct_replies == 1
    assert {answered for _, answered, _ in card.confusion} == {"none"}


def test_a_model_that_only_recites_is_found_out(stage: Stage) -> None:
    """It knows the rows that it read by heart, a little of everything else: it repeats, and new replies surprise it."""
    by_turn: dict[tuple[str, str], list[str]] = {}
    for row in stage.read:
        by_turn.setdefault((row.topic, row.turn), []).append(row.reply)
    size, wild = stage.tokenizer.size, 0.01

    def nats(row: Row) -> float:
        known = by_turn[row.topic, row.turn]
        guess = sum(stage.tokenizer.render(row.prompt, row.reply).is_reply) * math.log(size)
        return -math.log((1 - wild) * known.count(row.reply) / len(known) + wild * math.exp(-guess))

    card = stage.score(lambda row: by_turn[row.topic, row.turn][0], nats)
    assert card.origins["remembered"].value == 1.0
    assert card.grammar_remembered.value < 0.9
    assert card.losses["test_unseen_say"].gap_nats > 3
    assert card.losses["test_unseen_say"].gap_nats > 1.5 * card.losses["test_fresh"].gap_nats


def test_runs_are_compared_with_the_first(stage: Stage) -> None:
    """The grammar against one that says nothing right: every figure differs beyond chance, and none from itself."""
    random = Random(9)
    good = stage.score(
        lambda row: join(sample(stage.source.turns[row.topic, row.turn].say, random, dict(row.bound_tokens))),
        stage.source.surprisal,
    )
    bad = stage.score(lambda row: "water the of", lambda row: stage.source.surprisal(row) + 9 * random.random())
    table = differences([good, bad, good])
    assert {"gap, test_fresh", "on_topic, temperature 0.7", "slot_echo, test_fresh", "invented"} <= table.keys()
    for name in ("gap, test_fresh", "on_topic, temperature 0.7", "slot_echo, test_fresh", "invented"):
        (_, none), (_, to_bad), (figure, to_itself) = table[name]
        assert none is None
        assert figure is not None
        assert to_bad is not None
        assert to_bad.beyond_chance
        assert to_itself is not None
        assert to_itself.value == 0
        assert not to_itself.beyond_chance


def test_typing_errors_are_small_and_leave_the_first_letter() -> None:
    random = Random(1)
    for prompt in ("i got you a new castle", "hello guppy", "what is the meaning of life?"):
        for _ in range(50):
            wrong = with_typo(prompt, random)
            changed = [(a, b) for a, b in zip(prompt.split(), wrong.split(), strict=True) if a != b]
            assert len(changed) <= 1  # none where the swapped letters are the same
            assert all(a[0] == b[0] and abs(len(a) - len(b)) <= 1 for a, b in changed)
    assert with_typo("hi", random) == "hi"


def test_a_reply_of_another_turn_or_with_another_word_is_off_topic(source: Conversations) -> None:
    judge = Judge(source)
    row = Row("i got you a new castle", "", "decorations", "new object", {"object": "castle"})
    assert judge.is_on_topic(row, "a castle. i looked at both sides. it is approved.")
    assert not judge.is_on_topic(row, "a rock. i looked at both sides. it is approved.")
    assert not judge.is_on_topic(row, "food. i checked twice.")
    assert not judge.is_on_topic(row, "a castle. it is approved.")
    assert judge.echo_slots(row) == ["object"]


def test_always_taken_up(source: Conversations) -> None:
    by_name = {turn.turn.name: always_taken_up(turn.say) for turn in source.splits.turns}
    assert by_name["new object"] == {"object"}
    assert by_name["favorite food"] == frozenset()
    assert holds(("the", "old", "boot"), ("old", "boot"))
    assert not holds(("old", "the", "boot"), ("old", "boot"))


def test_row_losses_equal_the_plain_computation(trained: RunFolder) -> None:
    fish = load(trained.path)
    rows = list(read_rows(trained.path / "data" / "validation.jsonl"))[:40]
    rendered = fish.tokenizer.render_all([(row.prompt, row.reply) for row in rows])
    for one, loss in zip(rendered, row_losses(fish.model, rendered).tolist(), strict=True):
        with torch.inference_mode():
            logs = fish.model(torch.tensor([one.ids])).log_softmax(-1)[0]
        places = [t for t, counts in enumerate(one.is_reply) if counts]
        assert math.isclose(loss, -sum(float(logs[t - 1, one.ids[t]]) for t in places), rel_tol=1e-4)


def test_loss_is_floor_plus_gap_and_the_floor_is_the_rows_surprisal(trained: RunFolder) -> None:
    fish = load(trained.path)
    rows = list(read_rows(trained.path / "data" / "test_fresh.jsonl"))[:300]
    report = loss_report(fish.model, fish.tokenizer, rows)
    assert math.isclose(report.loss_nats, report.floor_nats + report.gap_nats)
    assert math.isclose(report.floor_nats * report.tokens, sum(row.surprisal or 0 for row in rows))
    assert report.gap_nats > 0
    size = sum(len(row.reply.encode()) for row in rows)
    assert math.isclose(report.bits_per_byte * size * math.log(2), report.loss_nats * report.tokens)
    with pytest.raises(ValueError, match="surprisal"):
        loss_report(fish.model, fish.tokenizer, [row._replace(surprisal=None) for row in rows])


def test_the_scorecard_of_a_tiny_fish(trained: RunFolder) -> None:
    fish = load(trained.path)
    card = evaluate(fish)
    assert card.losses["test_fresh"].gap_nats < 1.0
    assert set(card.on_topic) == {"0.7", "1.0"}
    assert card.slot_echo["test_fresh"] is not None
    assert card.to_dict()["losses"]["test_fresh"]["rows"] == 2000
    assert card.to_dict()["version"] == VERSION
    assert json.loads(json.dumps(card.to_dict())) == json.loads(
        json.dumps(evaluate(fish).to_dict() | {"tokens_per_second": card.tokens_per_second})
    )
    assert sum(share.value for share in card.origins.values()) == pytest.approx(1.0)
    assert card.origins["remembered"].value > 0.5  # a small sheet: its rows hold nearly all that can be said
    assert card.grammar_remembered.value > 0.9
    assert 1 < card.distinct_replies <= 2000
    assert card.in_voice.value > 0.9
    assert card.uppercase_on_topic == card.on_topic["0.7"]  # the tokenizer's own normaliser
    assert card.typo_on_topic.value <= card.on_topic["0.7"].value + 0.05
    assert card.tokens_per_second is not None
    assert card.tokens_per_second > 10
    assert {topic.topic for topic in card.topics} == {"things", "hunger"} or len(card.topics) >= 1
    excess = [row.nats - row.floor_nats for row in card.surprising]
    assert excess == sorted(excess, reverse=True)


def test_a_trained_fish_knows_what_it_was_asked(trained: RunFolder, tiny: Character) -> None:
    """Phrasings that it has seen: far above what the same replies reach when they are dealt to other prompts."""
    fish = load(trained.path)
    rows = list(read_rows(trained.path / "data" / "validation.jsonl"))[:200]
    judge = Judge(Conversations(tiny))
    replies = fish.reply_to_all([row.prompt for row in rows], seed=1)
    assert Share.of(judge.on_topic(rows, replies)).value > 0.5
    assert Share.of(judge.on_topic(rows, dealt_out(replies))).value < 0.4


def test_shares_have_honest_intervals() -> None:
    share = Share.of([True] * 90 + [False] * 10)
    assert share.value == 0.9
    assert share.low == pytest.approx(0.826, abs=0.001)
    assert share.high == pytest.approx(0.945, abs=0.001)
    assert Share.of([True] * 5).low < 1.0
    with pytest.raises(ValueError, match="nothing"):
        Share.of([])
