"""The rungs of the ladder: what they compute is what the package computes, or what a hand can."""

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from guppylm.config import ModelConfig
from guppylm.data.tokenizer import Rendered
from guppylm.guess import PairCounts
from guppylm.model import Transformer

LADDER = Path(__file__).parent.parent / "ladder"
TINY = ModelConfig(vocabulary_size=20, context=8, layers=2, width=8, heads=2, mlp_width=16)
IDS = [3, 17, 0, 3, 9, 12, 19, 5]
IS_REPLY = [False, False, False, True, False, True, True, True]


def rung(name: str) -> ModuleType:
    """A file of ladder/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"ladder_{name}", LADDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


scalar, count = rung("scalar"), rung("count")


@pytest.fixture
def model() -> Transformer:
    """Random weights everywhere, in float64."""
    torch.manual_seed(0)
    model = Transformer(TINY).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return model


def as_matrix(tensor: Tensor) -> Tensor:
    return tensor.detach().view(-1, tensor.shape[-1])  # a vector as a matrix of one row


def twin(model: Transformer) -> Any:
    """The scalar transformer with the model's weights."""
    small = scalar.Transformer(TINY.vocabulary_size, TINY.context, TINY.layers, TINY.width, TINY.heads, TINY.mlp_width)
    weights = {name: as_matrix(p).tolist() for name, p in model.named_parameters()}
    shapes = {name: (len(rows), len(rows[0])) for name, rows in small.parameters.items()}
    assert shapes == {name: (len(rows), len(rows[0])) for name, rows in weights.items()}
    small.parameters = {name: [[scalar.Value(x) for x in row] for row in rows] for name, rows in weights.items()}
    return small


def test_scalar_and_model_give_the_same_logits_loss_and_gradients(model: Transformer) -> None:
    small = twin(model)
    ids, counts = torch.tensor([IDS]), torch.tensor(IS_REPLY[1:])
    logits = [[value.data for value in row] for row in small.forward(IDS)]
    assert torch.allclose(torch.tensor(logits, dtype=torch.float64), model(ids)[0], rtol=0, atol=1e-10)

    loss = F.cross_entropy(model(ids[:, :-1])[0][counts], ids[0, 1:][counts])
    loss.backward()  # type: ignore[no-untyped-call]
    own = small.loss(IDS, IS_REPLY)
    own.backward()
    assert own.data == pytest.approx(loss.item(), abs=1e-10)
    for name, p in model.named_parameters():
        assert p.grad is not None
        grads = [[value.grad for value in row] for row in small.parameters[name]]
        assert torch.allclose(torch.tensor(grads, dtype=torch.float64), as_matrix(p.grad), rtol=0, atol=1e-10), name
        if "key.bias" not in name:  # it adds the same to all scores of a row, which changes no share
            assert p.grad.abs().max() > 1e-4, name


def test_scalar_a_later_token_never_changes_an_earlier_logit(model: Transformer) -> None:
    small = twin(model)
    before, after = small.forward(IDS), small.forward([*IDS[:5], 1, 2, 3])
    for place, (row, other) in enumerate(zip(before, after, strict=True)):
        assert ([value.data for value in row] == [value.data for value in other]) == (place < 5)


def test_scalar_a_value_used_twice_gets_both_gradients() -> None:
    x, y = scalar.Value(3.0), scalar.Value(2.0)
    z = x * x + x * y  # dz/dx = 2x + y, dz/dy = x
    z.backward()
    assert (z.data, x.grad, y.grad) == (15.0, 8.0, 3.0)


def test_scalar_untrained_it_is_as_unsure_as_a_fair_die_and_learns() -> None:
    small = scalar.Transformer(20, 8, 1, 8, 2, 16, seed=1)
    optimizer = scalar.Adam(small.numbers(), 0.02)
    losses = []
    for _ in range(25):
        loss = small.loss(IDS, IS_REPLY)
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
    assert losses[0] == pytest.approx(math.log(20), abs=0.1)
    assert losses[-1] < 1.0


@pytest.mark.slow
def test_scalar_as_a_script_learns_to_listen_in_a_minute() -> None:
    done = subprocess.run([sys.executable, LADDER / "scalar.py"], capture_output=True, timeout=90)
    said = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert "i got you a castle <reply> a castle . it is approved . <end>" in said
    assert "i got you a rock <reply> a rock . it is approved . <end>" in said


ROW = ([0, 1, 2, 1, 2], [False, False, True, True, True])  # pairs that count: 1 2, 2 1, 1 2


def test_counts_equal_those_of_a_hand() -> None:
    pairs = count.PairCounts(4, k=0.5)
    pairs.fit([ROW])
    assert pairs.probability(1, 2) == (2 + 0.5) / (2 + 4 * 0.5)
    assert pairs.probability(1, 0) == 0.5 / (2 + 4 * 0.5)
    assert pairs.probability(0, 1) == 0.25  # that pair ends in the prompt: nothing is known
    expected = -(math.log(2.5 / 4) * 2 + math.log(1.5 / 3)) / 3
    assert pairs.loss([ROW]) == pytest.approx(expected)
    for before in range(4):
        assert sum(pairs.probabilities(before)) == pytest.approx(1)
    with pytest.raises(ValueError, match="at least one token"):
        pairs.loss([([0, 1], [False, False])])


def test_unfitted_counts_are_a_fair_die() -> None:
    assert count.PairCounts(50).loss([ROW]) == pytest.approx(math.log(50))


def test_samples_follow_the_counts() -> None:
    pairs = count.PairCounts(4, k=1e-12)
    pairs.fit([([0, 1, 2, 3], [True] * 4)] * 3 + [([0, 2, 3], [True] * 3)])
    said = [tuple(pairs.sample(0, 3, random)) for random in map(Random, range(400))]
    assert set(said) == {(1, 2), (2,)}
    assert said.count((1, 2)) == pytest.approx(300, abs=45)
    assert pairs.sample(0, 99, Random(1), most=2) in ([1, 2], [2, 3])


def test_the_package_counts_the_same() -> None:
    random = Random(1)
    rows = [[random.randrange(12) for _ in range(9)] for _ in range(20)]
    masks = [[place > 3 for place in range(9)] for _ in rows]
    slow, fast = count.PairCounts(12), PairCounts([Rendered(*row) for row in zip(rows, masks, strict=True)], [1] * 20, 12)
    slow.fit(zip(rows, masks, strict=True))
    for before in range(12):
        assert np.allclose(fast.after(before), slow.probabilities(before))
    twice = PairCounts([Rendered(rows[0], masks[0])], [2], 12)
    slow = count.PairCounts(12)
    slow.fit([(rows[0], masks[0])] * 2)
    assert np.allclose(twice.after(rows[0][4]), slow.probabilities(rows[0][4]))


def run_count(*arguments: object) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([sys.executable, LADDER / "count.py", *map(str, arguments)], capture_output=True)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_count_as_a_script(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows = [{"prompt": "hi", "reply": "hello. it's food."}, {"prompt": "are you there", "reply": "hello. it's me."}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = run_count(file, file)
    assert done.returncode == 0, done.stderr
    assert "13 words" in done.stdout  # ten of the rows, <reply>, <end> and <unknown>
    assert "hello . it 's" in done.stdout


@pytest.mark.parametrize("content", [None, "no json\n", "[1]\n", '{"prompt": "hi"}\n', ""])
def test_count_on_bad_files_says_what_it_needs(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "rows.jsonl"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    for done in (run_count(file, file), run_count()):
        assert done.returncode == 1
        assert "guppylm data --out data" in done.stderr
        assert "Traceback" not in done.stderr
