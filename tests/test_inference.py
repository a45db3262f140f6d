"""Filters, draws and replies."""

import math

import pytest
import torch

from guppylm.checkpoint import RunFolder
from guppylm.fish import Fish, load
from guppylm.inference.engine import reply_to_all, stream
from guppylm.inference.sampling import SamplingConfig, draw, filtered, keep_min_p, keep_top_k, keep_top_p

LOGITS = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))


def kept(logits: torch.Tensor) -> list[int]:
    return logits.isfinite().nonzero().flatten().tolist()


def test_filters_keep_what_they_say() -> None:
    assert kept(keep_top_k(LOGITS, 2)) == [0, 1]
    assert kept(keep_top_k(LOGITS, 0)) == kept(keep_top_k(LOGITS, 9)) == [0, 1, 2, 3]
    assert kept(keep_top_p(LOGITS, 0.5)) == [0]
    assert kept(keep_top_p(LOGITS, 0.51)) == [0, 1]
    assert kept(keep_top_p(LOGITS, 1.0)) == [0, 1, 2, 3]
    assert kept(keep_top_p(LOGITS, 1e-9)) == [0]  # something is always left
    assert kept(keep_min_p(LOGITS, 0.25)) == [0, 1, 2]
    assert kept(keep_min_p(LOGITS, 1.0)) == [0]


def test_filters_work_row_by_row() -> None:
    rows = torch.stack([LOGITS, LOGITS.flip(0)])
    assert [kept(row) for row in keep_top_p(rows, 0.7)] == [[0, 1], [2, 3]]
    assert draw(rows, SamplingConfig(temperature=0)).tolist() == [0, 3]


def test_temperature_sharpens_and_flattens() -> None:
    cold = filtered(LOGITS, SamplingConfig(temperature=0.5)).softmax(-1)
    expected = LOGITS.exp() ** 2 / (LOGITS.exp() ** 2).sum()
    assert torch.allclose(cold, expected)
    assert filtered(LOGITS, SamplingConfig(temperature=1.0)).softmax(-1).allclose(LOGITS.exp())


def test_draws_follow_the_distribution() -> None:
    random = torch.Generator().manual_seed(1)
    drawn = draw(LOGITS.expand(20_000, 4), SamplingConfig(temperature=1.0), random).bincount(minlength=4) / 20_000
    for share, p in zip(drawn.tolist(), LOGITS.exp().tolist(), strict=True):
        assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / 20_000)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("temperature", -1.0), ("temperature", math.nan), ("top_k", -1), ("top_p", 2.0), ("top_p", 0.0), ("min_p", 1.5)],
)
def test_impossible_settings_are_refused(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        SamplingConfig(**{setting: value})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fish(trained: RunFolder) -> Fish:
    return load(trained.path)


def test_a_seed_fixes_the_reply(fish: Fish) -> None:
    hot = SamplingConfig(temperature=1.5)
    assert fish.reply("hello", seed=3, sampling=hot) == fish.reply("hello", seed=3, sampling=hot)
    assert len({fish.reply("hello", seed=seed, sampling=hot) for seed in range(8)}) > 1


def test_streaming_gives_the_same_text(fish: Fish) -> None:
    pieces = list(fish.stream("are you hungry", seed=2))
    assert len(pieces) > 1
    assert "".join(pieces) == fish.reply("are you hungry", seed=2)


def test_side_by_side_equals_one_by_one(fish: Fish) -> None:
    greedy = SamplingConfig(temperature=0)
    prompts = ["hello", "are you hungry", "i got you a rock", "goodbye", "hello"] * 3
    together = fish.reply_to_all(prompts, sampling=greedy)
    assert together == [fish.reply(prompt, sampling=greedy) for prompt in prompts]


def test_cached_generation_equals_reading_everything_again(fish: Fish) -> None:
    ids, _ = fish.tokenizer.render_prompt("i got you a castle", 128)
    said = list(stream(fish.model, ids, fish.tokenizer.end, SamplingConfig(temperature=0), None))
    again: list[int] = []
    with torch.inference_mode():
        while (token := int(fish.model(torch.tensor([ids + again]))[0, -1].argmax())) != fish.tokenizer.end:
            again.append(token)
            assert len(again) < 60
    assert said == again


def test_a_reply_ends_where_the_context_ends(fish: Fish) -> None:
    """A model that never says the end token still stops."""
    ids, _ = fish.tokenizer.render_prompt("hello", 128)
    said = list(stream(fish.model, ids, -1, SamplingConfig(temperature=1.0), 1))
    assert len(ids) + len(said) == 129  # the last token drawn has no place to be read from
    assert len(reply_to_all(fish.model, fish.tokenizer, ["hello"], SamplingConfig(temperature=5.0), 1)[0].ids) <= 128


def test_nothing_to_reply_to(fish: Fish) -> None:
    for prompt in ("", "   ", "\n\t"):
        with pytest.raises(ValueError, match="nothing to reply to"):
            fish.reply(prompt)


def test_loading_is_quiet_about_torch_until_needed() -> None:
    import subprocess
    import sys

    code = "import sys, guppylm, guppylm.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
