"""Looking inside: what the lens shows adds up to what the model says, and an ablation does what it claims and no more."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from guppylm.config import ModelConfig
from guppylm.data.conversations import Row
from guppylm.data.tokenizer import Tokenizer
from guppylm.interpretability.heads import copied_words, copying_scores, first_token_scores, previous_token_scores
from guppylm.interpretability.interventions import ablate, parts, patch
from guppylm.interpretability.lens import Look, blocks_of, hooked, look, points, record
from guppylm.model import Transformer

TEXT, OTHER = "i got you a new castle", "i got you a new rock"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    words = " ".join(["i got you a new castle", "i got you a new rock"] * 20)
    return Tokenizer.train([(words, "a castle. a rock. it is approved.")] * 20, vocabulary_size=290)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Transformer:
    """Random weights everywhere, large enough that attention is uneven. Tests must not change it."""
    torch.manual_seed(0)
    config = ModelConfig(vocabulary_size=tokenizer.rows, context=64, layers=3, width=24, heads=4, mlp_width=32)
    model = Transformer(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model


@pytest.fixture(scope="module")
def seen(model: Transformer, tokenizer: Tokenizer) -> Look:
    return look(model, tokenizer, TEXT)


@pytest.fixture(scope="module")
def rows(tokenizer: Tokenizer) -> list[list[int]]:
    return [tokenizer.render(prompt, "a castle. it is approved.").ids for prompt in (TEXT, OTHER, "hi")]


def plain(model: Transformer, ids: tuple[int, ...] | list[int]) -> Tensor:
    with torch.no_grad():
        return model(torch.tensor([ids]))[0]


def test_looking_changes_nothing(model: Transformer, seen: Look) -> None:
    assert torch.equal(seen.activations["logits"], plain(model, seen.ids))
    assert seen.activations.keys() == points(model).keys()
    assert not any(point._forward_hooks for point in points(model).values())


def test_shapes_are_those_that_the_docstring_gives(model: Transformer, seen: Look) -> None:
    time = len(seen.ids)
    for name, shape in {
        **dict.fromkeys(("tokens", "positions", "embedded"), (time, 24)),
        **{f"blocks.2.attention.{name}": (4, time, 6) for name in ("q", "k", "v", "mixed")},
        **{f"blocks.2.attention.{name}": (4, time, time) for name in ("scores", "pattern")},
        **{f"blocks.2.mlp.{name}": (time, 32) for name in ("before", "fired")},
        **{f"blocks.2.{name}": (time, 24) for name in ("attention_added", "mlp_added", "residual_middle", "residual")},
        "logits": (time, model.config.vocabulary_size),
    }.items():
        assert tuple(seen.activations[name].shape) == shape, name
    assert seen.attention.shape == (3, 4, time, time)
    assert seen.residuals.shape == (7, time, 24)
    assert seen.lens.shape == (7, time, model.config.vocabulary_size)


def test_a_text_is_read_as_a_prompt_and_ids_as_they_are(model: Transformer, tokenizer: Tokenizer, seen: Look) -> None:
    assert list(seen.ids) == tokenizer.render_prompt(TEXT, 64)[0]
    assert seen.texts[0] == "<|im_start|>user␤"
    assert "".join(seen.texts[1:-1]).replace("␣", " ") == TEXT
    assert look(model, tokenizer, [3, 4, 5]).ids == (3, 4, 5)
    longer = look(model, tokenizer, TEXT, reply="a castle")
    assert longer.ids == (*seen.ids, *tokenizer.encode("a castle"))
    assert torch.allclose(longer.attention[:, :, : len(seen.ids), : len(seen.ids)], seen.attention, atol=1e-6)


def test_attention_rows_sum_to_one_and_never_look_ahead(seen: Look) -> None:
    assert torch.allclose(seen.attention.sum(-1), torch.ones(seen.attention.shape[:-1]))
    assert not seen.attention.triu(1).any()


def test_the_stream_is_the_sum_of_what_was_added(seen: Look) -> None:
    assert torch.allclose(sum(seen.added.values(), torch.zeros(())), seen.residuals[-1], atol=1e-5)


def test_heads_and_their_bias_are_what_attention_adds(model: Transformer, seen: Look) -> None:
    for n in range(3):
        heads = [vectors for name, vectors in seen.added.items() if name.startswith(f"blocks.{n}.attention.")]
        assert len(heads) == 4 + 1
        assert torch.allclose(torch.stack(heads).sum(0), seen.activations[f"blocks.{n}.attention_added"], atol=1e-5)


def test_contributions_add_up_to_the_logit(model: Transformer, tokenizer: Tokenizer, seen: Look) -> None:
    exact = look(deepcopy(model).double(), tokenizer, TEXT)
    for view, tolerance in ((seen, 1e-5), (exact, 1e-12)):
        logits = view.activations["logits"]
        for position in (0, 4, -1):
            for token in (5, 77, int(logits[position].argmax())):
                shares = view.contributions(position, token)
                size = sum(map(abs, shares.values()))  # that much is added and taken away
                assert abs(sum(shares.values()) - float(logits[position, token])) < tolerance * size
                more = view.contributions(position, token, against=9)
                difference = float(logits[position, token] - logits[position, 9])
                assert abs(sum(more.values()) - difference) < tolerance * max(size, sum(map(abs, more.values())))


def test_contributions_name_each_part_once(seen: Look, model: Transformer) -> None:
    names = set(seen.contributions(-1, 5))
    assert names == {*seen.added, "final_norm.bias"}
    assert {part for part in parts(model) if part.endswith("mlp") or ".head." in part} <= names
    assert set(names) - set(parts(model)) <= {"tokens", "positions", *dict(model.named_parameters())}


def test_the_last_stage_of_the_lens_is_the_model(seen: Look) -> None:
    assert seen.stages[-1] == "blocks.2.residual"
    assert torch.allclose(seen.lens[-1], seen.activations["logits"], rtol=1e-5, atol=1e-5)


def test_the_lens_after_a_layer_is_the_model_without_the_later_ones(model: Transformer, seen: Look) -> None:
    short = ablate(model, ["blocks.1", "blocks.2"])
    at = seen.stages.index("blocks.0.residual")
    assert torch.allclose(seen.lens[at], plain(short, seen.ids), rtol=1e-5, atol=1e-5)


def test_guesses_are_the_likeliest_tokens(seen: Look) -> None:
    guesses = seen.guesses(count=5)
    shares = seen.probabilities[-1]
    assert [guess.probability for guess in guesses] == pytest.approx(sorted(shares.tolist(), reverse=True)[:5], rel=1e-5)
    assert guesses[0].token == int(shares.argmax())
    assert guesses[0].text == seen.text(guesses[0].token)
    assert seen.text(seen.model.config.vocabulary_size - 1).startswith("[")  # a row that no token has


def test_a_hook_may_replace_an_activation(model: Transformer, seen: Look) -> None:
    silent = ablate(model, "blocks.1.mlp")
    with hooked(model, lambda name, x: torch.zeros_like(x) if name == "blocks.1.mlp_added" else None):
        assert torch.equal(plain(model, seen.ids), plain(silent, seen.ids))
    assert not torch.equal(plain(model, seen.ids), plain(silent, seen.ids))


def test_ablating_nothing_changes_nothing(model: Transformer, seen: Look) -> None:
    assert torch.equal(plain(ablate(model, ()), seen.ids), plain(model, seen.ids))


@pytest.mark.parametrize("how", ["zero", "mean"])
def test_ablation_leaves_the_original_alone(model: Transformer, rows: list[list[int]], how: str) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    copy = ablate(model, parts(model), how, rows)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert copy.state_dict().keys() == before.keys()


def test_a_head_without_its_columns_adds_nothing(model: Transformer, tokenizer: Tokenizer, seen: Look) -> None:
    by_hand = deepcopy(model)
    with torch.no_grad():
        blocks_of(by_hand)[1].attention.output.weight[:, 2 * 6 : 3 * 6] = 0
    copy = ablate(model, "blocks.1.attention.head.2")
    assert torch.equal(plain(copy, seen.ids), plain(by_hand, seen.ids))
    added = look(copy, tokenizer, TEXT).added
    assert not added["blocks.1.attention.head.2"].any()


def test_a_block_without_its_halves_is_a_plain_wire(model: Transformer, tokenizer: Tokenizer) -> None:
    activations = look(ablate(model, "blocks.1"), tokenizer, TEXT).activations
    assert torch.equal(activations["blocks.0.residual"], activations["blocks.1.residual"])
    halves = look(ablate(model, ["blocks.1.mlp", "blocks.1.attention"]), tokenizer, TEXT)
    assert torch.equal(halves.activations["logits"], activations["logits"])


def test_mean_ablation_adds_the_mean_over_the_reference(model: Transformer, seen: Look, rows: list[list[int]]) -> None:
    def mean(name: str) -> Tensor:
        return torch.cat([record(model, ids)[name] for ids in rows], dim=-2).mean(-2)

    for half in ("attention", "mlp"):
        added = record(ablate(model, f"blocks.1.{half}", "mean", rows), seen.ids)[f"blocks.1.{half}_added"]
        assert torch.allclose(added, mean(f"blocks.1.{half}_added").expand_as(added), atol=1e-5)
    copy = ablate(model, "blocks.1.attention.head.3", "mean", rows)
    name, head = "blocks.1.attention.mixed", mean("blocks.1.attention.mixed")[3]

    def replace(at: str, mixed: Tensor) -> Tensor | None:
        return torch.cat([mixed[:, :3], head.expand_as(mixed[:, 3:])], dim=1) if at == name else None

    with hooked(model, replace):
        expected = plain(model, seen.ids)
    assert torch.allclose(plain(copy, seen.ids), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(plain(model, seen.ids), expected, rtol=1e-2, atol=1e-2)


def test_overlapping_parts_and_their_order_make_no_difference(model: Transformer, seen: Look, rows: list[list[int]]) -> None:
    half, head = "blocks.1.attention", "blocks.1.attention.head.0"
    for how in ("zero", "mean"):
        expected = plain(ablate(model, half, how, rows), seen.ids)
        for names in ([half, head], [head, half], [head, head, half]):
            assert torch.equal(plain(ablate(model, names, how, rows), seen.ids), expected)


def test_patching_a_text_into_itself_changes_nothing(model: Transformer, seen: Look) -> None:
    heads = [part for part in parts(model) if ".head." in part]
    for point in (*points(model), *heads):
        for position in (None, 3, -1):
            assert torch.equal(patch(model, seen.ids, seen.ids, point, position), plain(model, seen.ids)), point


def test_patching_the_whole_stream_makes_it_the_other_text(model: Transformer, tokenizer: Tokenizer, seen: Look) -> None:
    other = tokenizer.render_prompt(OTHER, 64)[0]
    position = -1 if len(other) != len(seen.ids) else None
    patched = patch(model, seen.ids, other, "blocks.2.residual", position)
    assert torch.allclose(patched[-1], plain(model, other)[-1], atol=1e-6)
    assert not torch.allclose(patched[-1], plain(model, seen.ids)[-1], atol=1e-2)


def test_a_patch_acts_from_its_position_on(model: Transformer, seen: Look) -> None:
    other = [*seen.ids[:2], *reversed(seen.ids[2:])]
    before = plain(model, seen.ids)
    for point in ("tokens", "blocks.0.attention.pattern", "blocks.0.attention.head.1", "blocks.1.mlp.fired"):
        after = patch(model, seen.ids, other, point, 4)
        assert torch.equal(after[:4], before[:4]), point
        assert not torch.equal(after[4], before[4]), point


def test_patching_a_head_exchanges_what_it_mixed(model: Transformer, seen: Look) -> None:
    other = [*seen.ids[:2], *reversed(seen.ids[2:])]
    whole = patch(model, seen.ids, other, "blocks.1.attention.mixed")
    by_hand = record(model, other)["blocks.1.attention.mixed"]

    def replace(at: str, mixed: Tensor) -> Tensor | None:
        return by_hand[None] if at == "blocks.1.attention.mixed" else None

    with hooked(model, replace):
        assert torch.equal(whole, plain(model, seen.ids))
    assert not torch.equal(whole, patch(model, seen.ids, other, "blocks.1.attention.head.1"))


def steered(model: Transformer, distance: int | None) -> Transformer:
    """A copy in which every head of layer 0 looks so many tokens back, or (None) at the first one, by its mask alone."""
    copy = deepcopy(model)
    attention = blocks_of(copy)[0].attention
    time = torch.arange(model.config.context)
    target = torch.zeros_like(time) if distance is None else (time - distance).clamp(min=0)
    attention.mask = torch.full_like(attention.mask, -torch.inf)
    attention.mask[time, target] = 0
    return copy


def test_head_scores_find_heads_that_are_known(model: Transformer, rows: list[list[int]]) -> None:
    ones, zeros = torch.ones(4), torch.zeros(4)
    assert torch.allclose(previous_token_scores(steered(model, 1), rows)[0], ones)
    assert torch.allclose(first_token_scores(steered(model, 1), rows)[0], zeros)
    assert torch.allclose(first_token_scores(steered(model, None), rows)[0], ones)
    assert torch.allclose(previous_token_scores(steered(model, None), rows)[0], zeros)


def test_copying_scores_find_a_head_that_looks_at_the_word(model: Transformer, tokenizer: Tokenizer) -> None:
    row = Row("i got you a castle today", "a castle. it is approved.", "things", "gift", {"object": "castle"})
    silent = row._replace(reply="it is approved.")
    part = row._replace(prompt="castles are fine", bindings={"object": "castle"})
    [found] = copied_words(tokenizer, [row, silent, part])
    prompt = tokenizer.encode(row.prompt)
    assert found.ids == [tokenizer.start, *prompt, tokenizer.answer, *tokenizer.encode("a")]
    assert tokenizer.decode([found.ids[place] for place in found.sources]) == " castle"
    distance = len(found.ids) - 1 - found.sources[0]
    assert torch.allclose(copying_scores(steered(model, distance), [found])[0], torch.ones(4))
    assert torch.allclose(copying_scores(steered(model, 1), [found])[0], torch.zeros(4))


def test_errors_say_what_there_is(model: Transformer, tokenizer: Tokenizer, seen: Look) -> None:
    for wrong in ("blocks.9", "blocks.0.attention.head.4", "mlp", "", "blocks.0.mlp.fired"):
        with pytest.raises(ValueError, match=r"blocks\.N\.attention\.head\.H, blocks\.N\.mlp \(N up to 2, H up to 3\)"):
            ablate(model, wrong)
    with pytest.raises(ValueError, match='there are "zero" and "mean"'):
        ablate(model, "blocks.1", "median")
    with pytest.raises(ValueError, match="reference"):
        ablate(model, "blocks.1", "mean")
    with pytest.raises(ValueError, match=r"blocks\.N\.attention\.pattern.*logits.*head\.H"):
        patch(model, seen.ids, seen.ids, "blocks.1.attention")
    with pytest.raises(ValueError, match="name a position"):
        patch(model, seen.ids, seen.ids[:-1], "embedded")
    with pytest.raises(ValueError, match="of one length"):
        patch(model, seen.ids, seen.ids[:-1], "blocks.0.attention.pattern", 2)
    with pytest.raises(ValueError, match="leave out other_position"):
        patch(model, seen.ids, seen.ids, "blocks.0.attention.pattern", 2, 3)
    with pytest.raises(ValueError, match="no position 99"):
        seen.contributions(99, 5)
    with pytest.raises(ValueError, match="no token -1"):
        seen.contributions(0, -1)
    with pytest.raises(ValueError, match="65 tokens can't be read at once; this model reads 1 to 64"):
        look(model, tokenizer, [5] * 65)
    with pytest.raises(ValueError, match="no token 9999"):
        look(model, tokenizer, [9999])
    with pytest.raises(ValueError, match="nothing to score"):
        previous_token_scores(model, [[5, 6]])
