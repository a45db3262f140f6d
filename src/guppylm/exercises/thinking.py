"""Exercises on what a token goes through by itself: LayerNorm and the MLP."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guppylm.config import ModelConfig
from guppylm.exercises.exercise import Case, Exercise, Function, Mistake
from guppylm.exercises.trial import talks
from guppylm.interpretability.lens import blocks_of
from guppylm.model import MLP, Block, Transformer


def _norm_of_the_model(x: Tensor, gain: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    return F.layer_norm(x, gain.shape, gain, bias, epsilon)


def _norm_cases(random: torch.Generator) -> list[Case]:
    def case(name: str, x: Tensor) -> Case:
        gain, bias = torch.randn(x.shape[-1], generator=random), torch.randn(x.shape[-1], generator=random)
        return Case(name, (x, gain, bias, 1e-5))

    return [
        case("two texts of three tokens", torch.randn(2, 3, 8, generator=random) * 5 + 2),
        case("as many tokens as numbers in each", torch.randn(1, 4, 4, generator=random) * 3),
        case("a vector that hardly varies", torch.randn(1, 2, 8, generator=random) * 1e-3),
        case("a vector that does not vary", torch.full((1, 1, 8), 3.0)),
    ]


def _normed(
    x: Tensor, gain: Tensor, bias: Tensor, epsilon: float, axis: Any = -1, correction: int = 0, power: float = 0.5
) -> Tensor:
    mean, variance = x.mean(axis, keepdim=True), x.var(axis, keepdim=True, correction=correction)
    return (x - mean) / (variance + epsilon) ** power * gain + bias


class TheirNorm(nn.Module):
    """A LayerNorm's weights around the learner's function."""

    def __init__(self, ours: nn.LayerNorm, function: Function) -> None:
        super().__init__()
        self.ours = ours
        self.function = function

    def forward(self, x: Tensor) -> Any:
        """(..., width) to the same shape."""
        return self.function(x, self.ours.weight, self.ours.bias, self.ours.eps)


def _put_norm(model: Transformer, theirs: Function) -> None:
    for block in blocks_of(model):
        for name in ("attention_norm", "mlp_norm"):
            block.register_module(name, TheirNorm(getattr(block, name), theirs))
    model.register_module("final_norm", TheirNorm(model.final_norm, theirs))


NORM = Exercise(
    name="layer-norm",
    title="every vector is brought to one size",
    right=_norm_of_the_model,
    cases=_norm_cases,
    mistakes=(
        Mistake(
            "Bessel's correction",
            "torch.var divides by n - 1 unless it is told otherwise: that estimates a whole population from a sample. Is this "
            "a sample?",
            (
                partial(_normed, correction=1),
                lambda x, gain, bias, epsilon: (
                    (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + epsilon) * gain + bias
                ),
            ),
        ),
        Mistake(
            "epsilon outside the root",
            "For a vector that hardly varies it matters what epsilon is added to. Look at the formula: how far does the root "
            "reach?",
            (
                lambda x, gain, bias, epsilon: (
                    (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True, correction=0) + epsilon) * gain + bias
                ),
            ),
        ),
        Mistake(
            "no epsilon",
            "A vector of equal numbers has the variance zero. What do you divide by?",
            (lambda x, gain, bias, epsilon: _normed(x, gain, bias, 0.0),),
        ),
        Mistake(
            "no root",
            "If all numbers were ten times as large, the result should stay as it is. What happens to the variance then?",
            (partial(_normed, power=1.0),),
        ),
        Mistake(
            "the mean stays",
            "Add up one vector of your result, gain and bias aside. What should come out?",
            (
                lambda x, gain, bias, epsilon: x / (x.var(-1, keepdim=True, correction=0) + epsilon).sqrt() * gain + bias,
                lambda x, gain, bias, epsilon: x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt() * gain + bias,
            ),
        ),
        Mistake(
            "over the wrong axis",
            "Each token's vector is normed by itself, whatever its neighbours are. Over which axis is then the mean?",
            tuple(partial(_normed, axis=axis) for axis in (1, 0, (1, 2), (0, 1, 2))),
        ),
        Mistake(
            "gain and bias are not used",
            "All vectors now have one size, whether the next part likes that size or not. Which arguments have you not used?",
            (
                lambda x, gain, bias, epsilon: _normed(x, torch.ones_like(gain), torch.zeros_like(bias), epsilon),
                lambda x, gain, bias, epsilon: _normed(x, gain, torch.zeros_like(bias), epsilon),
                lambda x, gain, bias, epsilon: _normed(x, torch.ones_like(gain), bias, epsilon),
            ),
        ),
    ),
    where=Block.__init__,
    swapped="your LayerNorm in every layer and before the logits",
    trial=talks(_put_norm),
)


def _mlp_of_the_model(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    module = MLP(ModelConfig(width=w1.shape[1], heads=1, mlp_width=w1.shape[0]))
    weights = {"input.weight": w1, "input.bias": b1, "output.weight": w2, "output.bias": b2}
    module.load_state_dict(weights)
    with torch.no_grad():
        return module(x)


def _mlp_cases(random: torch.Generator) -> list[Case]:
    def case(name: str, batch: int, time: int, width: int, mlp_width: int) -> Case:
        shapes = ((batch, time, width), (mlp_width, width), (mlp_width,), (width, mlp_width), (width,))
        return Case(name, tuple(torch.randn(shape, generator=random) for shape in shapes))

    return [
        case("one token", 1, 1, 3, 5),
        case("two texts of three tokens", 2, 3, 4, 8),
        case("as many detectors as numbers", 1, 3, 4, 4),
        case("fewer detectors than numbers", 1, 2, 5, 2),
    ]


def _bent(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, bend: Function = torch.relu) -> Tensor:
    return bend(x @ w1.T + b1) @ w2.T + b2


class TheirMLP(nn.Module):
    """An MLP's weights around the learner's function."""

    def __init__(self, ours: MLP, function: Function) -> None:
        super().__init__()
        self.ours = ours
        self.function = function

    def forward(self, x: Tensor) -> Any:
        """(batch, time, width) to the same shape."""
        first, second = self.ours.input, self.ours.output
        return self.function(x, first.weight, first.bias, second.weight, second.bias)


def _put_mlp(model: Transformer, theirs: Function) -> None:
    for block in blocks_of(model):
        block.register_module("mlp", TheirMLP(block.mlp, theirs))


PERCEPTRON = Exercise(
    name="mlp",
    title="each token is worked on by itself",
    right=_mlp_of_the_model,
    cases=_mlp_cases,
    mistakes=(
        Mistake(
            "nothing bends",
            "Two matrices in a row are one matrix. What stands between them that is not a straight line?",
            (partial(_bent, bend=lambda x: x),),
        ),
        Mistake(
            "the output is bent too",
            "What the MLP adds may push the stream either way. Can yours push it down?",
            (
                lambda x, w1, b1, w2, b2: _bent(x, w1, b1, w2, b2).relu(),
                lambda x, w1, b1, w2, b2: _bent(x, w1, b1, w2, b2, lambda x: x).relu(),
            ),
        ),
        Mistake(
            "the input is bent",
            "A detector weighs all numbers of a vector, negative ones too. Have you thrown some away before it could look?",
            (
                lambda x, w1, b1, w2, b2: _bent(x.relu(), w1, b1, w2, b2, lambda x: x),
                lambda x, w1, b1, w2, b2: _bent(x.relu(), w1, b1, w2, b2),
            ),
        ),
        Mistake(
            "a bias is left out",
            "What comes out for a vector of zeros? With biases it is not zero.",
            (
                lambda x, w1, b1, w2, b2: _bent(x, w1, b1 * 0, w2, b2 * 0),
                lambda x, w1, b1, w2, b2: _bent(x, w1, b1 * 0, w2, b2),
                lambda x, w1, b1, w2, b2: _bent(x, w1, b1, w2, b2 * 0),
            ),
        ),
        Mistake(
            "a bias comes after the bend",
            "The first bias is a detector's threshold: it decides whether it fires. When must it be there?",
            (lambda x, w1, b1, w2, b2: ((x @ w1.T).relu() + b1) @ w2.T + b2,),
        ),
        Mistake(
            "weights not transposed",
            "A linear layer keeps one row for each number that comes out. What has to meet a token's vector, row or column?",
            (
                lambda x, w1, b1, w2, b2: (x @ w1 + b1).relu() @ w2 + b2,
                lambda x, w1, b1, w2, b2: (x @ w1 + b1).relu() @ w2.T + b2,
                lambda x, w1, b1, w2, b2: (x @ w1.T + b1).relu() @ w2 + b2,
            ),
        ),
        Mistake(
            "another bend",
            "It is smooth, and many models have it so. What does ReLU do with numbers below zero?",
            tuple(
                partial(_bent, bend=bend)
                for bend in (F.gelu, partial(F.gelu, approximate="tanh"), F.silu, torch.tanh, torch.sigmoid, F.leaky_relu)
            ),
        ),
        Mistake(
            "the input is added",
            "Somebody else adds what you return to the stream. How often is x in it now?",
            (lambda x, w1, b1, w2, b2: x + _bent(x, w1, b1, w2, b2),),
        ),
    ),
    where=MLP.forward,
    swapped="your MLP in every layer",
    trial=talks(_put_mlp),
)
