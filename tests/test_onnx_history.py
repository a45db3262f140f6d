"""What the ONNX export brings along: weights of 8 bits, earlier weights, and what training met."""

import numpy as np
import pytest
import torch

from guppylm.checkpoint import RunFolder
from guppylm.data.batches import Batches
from guppylm.evaluation.rows import rows_of
from guppylm.export.onnx import divergence
from guppylm.export.onnx_history import add_checkpoints, add_history, spread, thinned, token_counts
from guppylm.export.onnx_seen import hash64, murmur3, sentences
from guppylm.export.onnx_weights import Layout
from guppylm.fish import load


def test_eight_bits_round_to_half_a_step(trained: RunFolder) -> None:
    weights = dict(trained.model().state_dict())
    weights["token_embedding.weight"][5] = 0  # a row of zeros has no scale
    layout = Layout(weights)
    blob = layout.quantised(weights)
    assert len(blob) == layout.q8_bytes < layout.f32_bytes / 3
    for name, back in layout.dequantised(blob).items():
        if back.ndim == 1:
            assert torch.equal(back, weights[name])
        else:
            step = weights[name].abs().amax(1, keepdim=True) / 127
            assert ((back - weights[name]).abs() <= step * 0.5001).all(), name
    with pytest.raises(ValueError, match="bytes where"):
        layout.dequantised(blob[:-1])


def test_divergence_is_zero_from_itself_and_small_for_eight_bits(trained: RunFolder) -> None:
    rows, model, rounded, tokenizer = (
        rows_of(trained, "test_fresh")[:100],
        trained.model(),
        trained.model(),
        trained.tokenizer(),
    )
    tokens = sum(len(tokenizer.encode(row.reply)) + 1 for row in rows)  # and the end of each
    assert divergence(model, model, tokenizer, rows) == (0, tokens)
    layout = Layout(model.state_dict())
    rounded.load_state_dict(layout.dequantised(layout.quantised(model.state_dict())))
    eight_bits, _ = divergence(model, rounded, tokenizer, rows)
    with torch.no_grad():
        rounded.token_embedding.weight += 0.01 * torch.randn(rounded.token_embedding.weight.shape)
    assert 0 < eight_bits < 0.01
    assert eight_bits < divergence(model, rounded, tokenizer, rows)[0]


def test_checkpoints_are_the_runs_own(trained: RunFolder) -> None:
    files: dict[str, bytes] = {}
    told = add_checkpoints(trained, Layout(trained.model().state_dict()), files)
    assert [told[0]["step"], told[-1]["step"], told[-1]["file"]] == [0, 60, "weights.q8"]
    assert len(told) == 4
    assert list(files) == [one["file"] for one in told[:-1]]
    for one in told[:-1]:
        weights = trained.model(f"checkpoints/step_{one['step']:06d}.safetensors").state_dict()
        back = Layout(weights).dequantised(files[one["file"]])
        assert all((back[name] - weights[name]).abs().max() <= weights[name].abs().max() / 200 for name in weights)


def test_between_checkpoints_the_loss_falls_by_like_factors() -> None:
    losses = {step: 8 * 0.5 ** (step / 100) for step in range(1, 1000)}  # halves every hundred steps
    assert spread([0, 10, 300, 320, 660, 990], losses, 4) == [0, 320, 660, 990]
    assert spread([0, 10], losses, 4) == [0, 10]


def test_murmur3_against_published_vectors() -> None:
    """From the test suites of other implementations."""
    vectors = [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\0\0\0\0", 0, 0x2362F9DE),
        (b"test", 0, 0xBA6BD213),
        (b"test", 0x9747B28C, 0x704B81DC),
        (b"Hello, world!", 0x9747B28C, 0x24884CBA),
        (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
        ("ππππππππ".encode(), 0x9747B28C, 0xD58063C1),
    ]
    found = [murmur3(np.frombuffer(data, np.uint8)[None], seed) for data, seed, _ in vectors]
    assert [int(*one) for one in found] == [wanted for *_, wanted in vectors]


def test_what_was_seen_is_what_the_fish_remembers(trained: RunFolder) -> None:
    files: dict[str, bytes] = {}
    told = add_history(trained, trained.tokenizer(), files)["seen"]
    fish, blob = load(trained.path), files["seen.bin"]
    sections = {
        name: np.frombuffer(blob, "<u8", place["count"], place["offset"]).tolist() for name, place in told["sections"].items()
    }
    assert all(hashes == sorted(set(hashes)) for hashes in sections.values())
    rows = rows_of(trained, "test_fresh")[:300]
    remembered = [fish.memory.look_up(row.prompt, row.reply).kind == "remembered" for row in rows]
    assert remembered == [hash64(row.reply.upper()) in sections["replies"] for row in rows]
    assert 0 < sum(remembered) < len(rows)
    train = {(row.prompt, row.reply) for row in rows_of(trained, "train")}
    known = [hash64(f"{row.prompt}\n{row.reply}") in sections["pairs"] for row in rows]
    assert all((row.prompt, row.reply) in train for row, there in zip(rows, known, strict=True) if there)
    assert sentences("a rock. it is approved. 3.5 is") == ["a rock.", "it is approved.", "3.5 is"]
    assert hash64("it is approved.") in sections["sentences"]
    assert [f"{hash64(one['text']):016x}" for one in told["examples"]] == [one["hash"] for one in told["examples"]]


def test_counts_of_one_epoch_are_those_of_its_rows(trained: RunFolder) -> None:
    tokenizer, config = trained.tokenizer(), trained.config()
    rendered = tokenizer.render_all([(row.prompt, row.reply) for row in rows_of(trained, "train")[:300]])
    batches = Batches(rendered, config.train, config.model.context)
    steps = next(n for n in range(1, 100) if len(batches.rows_read(n)) == len(rendered))
    counts = token_counts(batches, steps, config.model.vocabulary_size)
    wanted = tokenizer.count(rendered)
    assert counts == [wanted[token] for token in range(config.model.vocabulary_size)]


def test_the_curve_is_thinned_and_keeps_its_ends() -> None:
    metrics = [{"step": n, "tokens": 9 * n, "loss": 1 / n} for n in range(1, 2001)]
    looks = [{"step": 0, "tokens": 0, "validation_loss": 8.0, "floor": 0.5, "gap": 7.5}]
    thin = thinned([*looks, *metrics])
    steps = [entry["step"] for entry in thin["loss"]]
    assert steps[:3] == [1, 2, 3]
    assert steps[-1] == 2000
    assert 200 < len(steps) <= 300
    assert thin["looks"] == [{"step": 0, "tokens": 0, "loss": 8.0, "gap": 7.5}]
    assert thin["floor"] == 0.5
