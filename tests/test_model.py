"""Facts about the transformer."""

import math
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from guppylm.config import PRESETS, ModelConfig
from guppylm.export.huggingface import gpt2_config, to_gpt2
from guppylm.model import Block, KeyValueCache, Point, Transformer
from guppylm.training.run import new_model

TINY = ModelConfig(vocabulary_size=50, context=16, layers=2, width=8, heads=2, mlp_width=12)


@pytest.fixture
def model() -> Transformer:
    """Random weights everywhere: nothing that a test looks at is zero by initialisation."""
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocabulary_size=200, context=32, layers=3, width=48, heads=4, mlp_width=64)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return model


def blocks(model: Transformer) -> list[Block]:
    return cast(list[Block], list(model.blocks))


def some_ids(model: Transformer, rows: int = 2, time: int = 20) -> Tensor:
    return torch.randint(0, model.config.vocabulary_size, (rows, time), generator=torch.Generator().manual_seed(1))


def test_guppy_has_8_726_016_parameters() -> None:
    count = {name: sum(p.numel() for p in Transformer(config).parameters()) for name, config in PRESETS.items()}
    assert count["guppy"] == 8_726_016
    assert 0.8e6 < count["fry"] < 1.2e6
    assert 25e6 < count["koi"] < 35e6


def test_untrained_it_is_as_unsure_as_a_die_with_4096_sides() -> None:
    model = new_model(ModelConfig(), seed=1)
    ids = some_ids(model, 4, 32)
    loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    assert abs(loss.item() - math.log(4096)) < 0.3


def test_a_later_token_never_changes_an_earlier_logit(model: Transformer) -> None:
    ids = some_ids(model)
    changed = ids.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % model.config.vocabulary_size
    before, after = model(ids), model(changed)
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.equal(before[:, 12:], after[:, 12:])


def test_attention_rows_sum_to_one_and_never_look_ahead(model: Transformer) -> None:
    patterns: list[Tensor] = []
    for block in blocks(model):
        block.attention.pattern.register_forward_hook(lambda _, __, out: patterns.append(out))
    model(some_ids(model))
    for pattern in patterns:
        assert torch.allclose(pattern.sum(-1), torch.ones(pattern.shape[:-1]))
        assert not pattern.triu(1).any()
    assert len(patterns) == model.config.layers


@pytest.mark.parametrize("cuts", [[20], [1] * 20, [7, 1, 1, 11], [19, 1]])
def test_with_cache_equals_without(model: Transformer, cuts: list[int]) -> None:
    ids = some_ids(model)
    cache = KeyValueCache(model.config, 2, model.token_embedding.weight)
    pieces = [model(piece, cache) for piece in torch.split(ids, cuts, dim=1)]
    assert torch.allclose(torch.cat(pieces, dim=1), model(ids), atol=1e-5)


def test_attention_equals_scaled_dot_product_attention(model: Transformer) -> None:
    seen: dict[str, Tensor] = {}
    attention = blocks(model)[1].attention
    for name in ("q", "k", "v", "mixed"):
        getattr(attention, name).register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    model(some_ids(model))
    expected = F.scaled_dot_product_attention(seen["q"], seen["k"], seen["v"], is_causal=True)
    assert torch.allclose(seen["mixed"], expected, atol=1e-5)


def test_only_computes_the_same_logits(model: Transformer) -> None:
    ids = some_ids(model)
    only = torch.rand(ids.shape, generator=torch.Generator().manual_seed(2)) < 0.3
    assert torch.allclose(model(ids, only=only), model(ids)[only], atol=1e-6)


def test_gradients_by_finite_differences() -> None:
    torch.manual_seed(0)
    model = Transformer(TINY).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    ids = torch.randint(0, 50, (2, 6), generator=torch.Generator().manual_seed(3))

    def loss() -> Tensor:
        return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    loss().backward()  # type: ignore[no-untyped-call]
    step = 1e-6
    with torch.no_grad():
        for name, p in model.named_parameters():
            assert p.grad is not None, name
            flat, gradient = p.view(-1), p.grad.view(-1)
            for place in torch.randperm(flat.numel(), generator=torch.Generator().manual_seed(4))[:5].tolist():
                before = float(flat[place])
                flat[place] = before + step
                above = float(loss())
                flat[place] = before - step
                below = float(loss())
                flat[place] = before
                assert math.isclose((above - below) / (2 * step), float(gradient[place]), rel_tol=1e-5, abs_tol=1e-8), name


def test_equals_gpt2_of_transformers() -> None:
    """The same weights in Hugging Face's GPT2LMHeadModel give the same logits."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = Transformer(ModelConfig()).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.05)
    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(**gpt2_config(model.config))).eval()
    renamed = to_gpt2(model.state_dict(), model.config.layers)
    missing, unexpected = theirs.load_state_dict(renamed, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    theirs.tie_weights()
    ids = some_ids(model, 2, 100)
    assert torch.allclose(theirs(ids).logits, model(ids), atol=1e-4)


def test_every_point_is_reached_and_shaped_as_it_says(model: Transformer) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    points = {name: module for name, module in model.named_modules() if isinstance(module, Point)}
    for name, point in points.items():
        point.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: tuple(out.shape)}))
    model(some_ids(model))
    assert shapes.keys() == points.keys()
    assert shapes["embedded"] == (2, 20, 48)
    assert shapes["logits"] == (2, 20, 200)
    for layer in range(3):
        at = f"blocks.{layer}"
        assert shapes[f"{at}.attention.q"] == shapes[f"{at}.attention.mixed"] == (2, 4, 20, 12)
        assert shapes[f"{at}.attention.scores"] == shapes[f"{at}.attention.pattern"] == (2, 4, 20, 20)
        assert shapes[f"{at}.mlp.fired"] == (2, 20, 64)
        assert shapes[f"{at}.residual"] == shapes[f"{at}.attention_added"] == (2, 20, 48)


def test_a_block_begins_as_a_plain_wire() -> None:
    model = new_model(TINY, 1)
    seen: dict[str, Tensor] = {}
    model.embedded.register_forward_hook(lambda _, __, out: seen.update(start=out))
    blocks(model)[-1].residual.register_forward_hook(lambda _, __, out: seen.update(end=out))
    model(some_ids(model, 1, 8))
    assert torch.equal(seen["start"], seen["end"])


def test_more_tokens_than_the_context_are_refused(model: Transformer) -> None:
    with pytest.raises(IndexError, match="33 tokens do not fit the context of 32"):
        model(some_ids(model, 1, 33))


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="heads"):
        ModelConfig(width=10, heads=3)
    with pytest.raises(ValueError, match="layers is 0"):
        ModelConfig(layers=0)
