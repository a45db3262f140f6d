"""The figures: exact where the answer is known."""

import math

import pytest
import torch

from guppylm.checkpoint import RunFolder
from guppylm.data.character import Character
from guppylm.data.conversations import Conversations, Row, read_rows
from guppylm.data.grammar import join, sample
from guppylm.evaluation.loss import loss_report, row_losses
from guppylm.evaluation.replies import Judge, always_taken_up, holds, on_topic, slot_echo
from guppylm.evaluation.scorecard import evaluate
from guppylm.evaluation.statistics import Share
from guppylm.fish import load


@pytest.fixture(scope="module")
def source(guppy: Character) -> Conversations:
    return Conversations(guppy)


@pytest.fixture(scope="module")
def fresh(source: Conversations) -> list[Row]:
    return [row._replace(surprisal=source.surprisal(row)) for row in source.rows("test_fresh", 300)]


def test_the_grammar_itself_is_on_topic_and_listens(source: Conversations, fresh: list[Row]) -> None:
    from random import Random

    random = Random(9)
    by_prompt = {row.prompt: row for row in fresh}

    def grammar(prompts: list[str]) -> list[str]:
        rows = [by_prompt[prompt] for prompt in prompts]
        return [join(sample(source.turns[r.topic, r.turn].say, random, dict(r.bound_tokens))) for r in rows]

    judge = Judge(source)
    result = on_topic(judge, fresh, grammar)  # type: ignore[arg-type]
    shared = sum(len(judge.sayers(row.reply)) > 1 for row in fresh) / len(fresh)
    assert result.share.value >= 1 - shared - 0.02
    assert shared < 0.02
    assert result.shuffled.value < 0.1
    echo = slot_echo(judge, fresh, grammar)  # type: ignore[arg-type]
    assert echo is not None
    assert echo.value == 1.0
    assert not judge.confusion(fresh, grammar([row.prompt for row in fresh])) or shared > 0


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
    assert card.to_dict()["version"] == 1
    assert sum(share.value for share in card.origins.values()) == pytest.approx(1.0)
    assert card.origins["remembered"].value > 0.5  # a small sheet: its rows hold nearly all that can be said
    assert card.grammar_remembered.value > 0.9
    assert 1 < card.distinct_replies <= 2000
    assert card.in_voice.value > 0.9


def test_a_trained_fish_knows_what_it_was_asked(trained: RunFolder, tiny: Character) -> None:
    """Phrasings that it has seen: far above what the same replies reach when they are dealt to other prompts."""
    fish = load(trained.path)
    rows = list(read_rows(trained.path / "data" / "validation.jsonl"))[:200]
    result = on_topic(Judge(Conversations(tiny)), rows, lambda prompts: fish.reply_to_all(prompts, seed=1))
    assert result.share.value > 0.5
    assert result.shuffled.value < 0.4


def test_shares_have_honest_intervals() -> None:
    share = Share.of([True] * 90 + [False] * 10)
    assert share.value == 0.9
    assert share.low == pytest.approx(0.826, abs=0.001)
    assert share.high == pytest.approx(0.945, abs=0.001)
    assert Share.of([True] * 5).low < 1.0
    with pytest.raises(ValueError, match="nothing"):
        Share.of([])
