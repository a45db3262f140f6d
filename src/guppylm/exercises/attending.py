"""Exercises on attention: the causal mask, and attention itself."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from guppylm.config import ModelConfig
from guppylm.exercises.exercise import Case, Exercise, Function, Mistake
from guppylm.exercises.trial import talks
from guppylm.interpretability.lens import blocks_of
from guppylm.model import Attention, KeyValueCache, Transformer

INF = math.inf


def _mask_of_the_model(time: int) -> Tensor:
    return Attention(ModelConfig(context=time, width=1, heads=1)).mask


def _hidden(time: int, hidden: Tensor, value: float = -INF) -> Tensor:
    return torch.zeros(time, time).masked_fill(hidden, value)


def _triangle(time: int, diagonal: int = 0) -> Tensor:
    return torch.ones(time, time, dtype=torch.bool).tril(diagonal)


def _put_mask(model: Transformer, theirs: Function) -> None:
    for block in blocks_of(model):
        block.attention.mask = theirs(model.config.context)


MASK = Exercise(
    name="causal-mask",
    title="no token may look at those behind it",
    right=_mask_of_the_model,
    cases=lambda _: [Case(f"{time} tokens" if time > 1 else "one token", (time,)) for time in (1, 2, 3, 6)],
    mistakes=(
        Mistake(
            "transposed",
            "Row i is the token that looks, column j the one looked at. Which of them comes later where you hide?",
            (lambda time: _hidden(time, _triangle(time, -1)),),
        ),
        Mistake(
            "a token can't see itself",
            "What does the first token look at, if not at itself? Softmax of nothing but minus infinity is no number.",
            (lambda time: _hidden(time, ~_triangle(time, -1)),),
        ),
        Mistake(
            "one place of the future is seen",
            "Look at your first row: how many tokens has the first one read?",
            (lambda time: _hidden(time, ~_triangle(time, 1)),),
        ),
        Mistake(
            "hidden and seen exchanged",
            "The mask is added to scores. What must be added where nothing is to change?",
            (lambda time: _hidden(time, _triangle(time)),),
        ),
        Mistake(
            "ones and zeros",
            "The mask is added before the softmax. Which number, added to a score, makes its share zero?",
            (
                lambda time: _triangle(time).float(),
                lambda time: (~_triangle(time)).float(),
                lambda time: _triangle(time).long(),
                lambda time: _triangle(time),
                lambda time: ~_triangle(time),
            ),
        ),
        Mistake(
            "zero times infinity",
            "Your entries are not numbers. What is 0 · ∞? Choose between two values rather than multiply.",
            (
                lambda time: (~_triangle(time)).float() * -INF,
                lambda time: torch.full((time, time), -INF) * (1 - _triangle(time).float()),
            ),
        ),
        Mistake(
            "a large number instead of infinity",
            "However low a score it is, a larger one can fall below it. Which number is below all others?",
            tuple(
                partial(lambda time, low: _hidden(time, ~_triangle(time), low), low=low)
                for low in (-1e4, -1e9, -1e10, -1e20, torch.finfo(torch.float32).min)
            ),
        ),
    ),
    where=Attention.__init__,
    swapped="your mask in every layer",
    trial=talks(_put_mask),
)


def _attention_of_the_model(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """What the model's own module mixes, when its points pass on these queries, keys and values."""
    batch, heads, time, head_width = q.shape
    module = Attention(ModelConfig(context=k.shape[2], width=heads * head_width, heads=heads))
    module.mask = mask
    for point, value in ((module.q, q), (module.k, k), (module.v, v)):
        point.register_forward_hook(partial(lambda *_, value: value, value=value))
    mixed: list[Tensor] = []
    module.mixed.register_forward_hook(lambda _, __, output: mixed.append(output))
    module(torch.zeros(batch, time, heads * head_width), 0, None)
    return mixed[0]


def _attention_cases(random: torch.Generator) -> list[Case]:
    def case(name: str, batch: int, heads: int, past: int, time: int, size: float = 1.0) -> Case:
        q = torch.randn(batch, heads, time, 4, generator=random) * size
        k, v = (torch.randn(batch, heads, past + time, 4, generator=random) for _ in range(2))
        return Case(name, (q, k, v, _mask_of_the_model(past + time)[past:]))

    return [
        case("one token", 1, 1, 0, 1),
        case("five tokens", 1, 1, 0, 5),
        case("two texts, three heads, five tokens", 2, 3, 0, 5),
        case("as many heads as tokens", 1, 4, 0, 4),
        case("one new token after four", 1, 2, 4, 1),
        case("two new tokens after three", 2, 2, 3, 2),
        case("large scores", 1, 2, 0, 4, 300.0),
    ]


def _scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])


def _transposed(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (_scores(q, k) + mask.T).softmax(-1) @ v


def _unguarded(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    large = (_scores(q, k) + mask).exp()
    return large / large.sum(-1, keepdim=True) @ v


def _axis(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, axis: int) -> Tensor:
    return (_scores(q, k) + mask).softmax(axis) @ v


class TheirAttention(nn.Module):
    """The model's attention around the learner's function."""

    def __init__(self, ours: Attention, attention: Function) -> None:
        super().__init__()
        self.ours = ours
        self.attention = attention

    def forward(self, x: Tensor, layer: int, cache: KeyValueCache | None) -> Tensor:
        """(batch, time, width) to the same shape."""
        ours, past = self.ours, 0 if cache is None else cache.length
        q, k, v = (linear(x).unflatten(-1, (ours.heads, -1)).transpose(1, 2) for linear in (ours.query, ours.key, ours.value))
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        mixed = self.attention(q, k, v, ours.mask[past : past + q.shape[2], : k.shape[2]])
        return ours.output(mixed.transpose(1, 2).flatten(2))


def _put_attention(model: Transformer, theirs: Function) -> None:
    for block in blocks_of(model):
        block.register_module("attention", TheirAttention(block.attention, theirs))


ATTENTION = Exercise(
    name="attention",
    title="each token takes something over from those before it",
    right=_attention_of_the_model,
    cases=_attention_cases,
    mistakes=(
        Mistake(
            "no scale",
            "A dot product of long vectors is a large number, and softmax of large numbers sees only the largest. What keeps "
            "the scores in range?",
            (lambda q, k, v, mask: (q @ k.transpose(-2, -1) + mask).softmax(-1) @ v,),
        ),
        Mistake(
            "the scale without its root",
            "The spread of a sum of n random numbers does not grow like n. How does it grow?",
            (lambda q, k, v, mask: (q @ k.transpose(-2, -1) / q.shape[-1] + mask).softmax(-1) @ v,),
        ),
        Mistake(
            "scaled by another axis",
            "The dot product sums over one axis of q. Is the length that you take the length of that one?",
            (
                lambda q, k, v, mask: (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-2]) + mask).softmax(-1) @ v,
                lambda q, k, v, mask: (q @ k.transpose(-2, -1) / math.sqrt(k.shape[-2]) + mask).softmax(-1) @ v,
                lambda q, k, v, mask: (q @ k.transpose(-2, -1) / math.sqrt(q.shape[1] * q.shape[3]) + mask).softmax(-1) @ v,
            ),
        ),
        Mistake(
            "the mask is not used",
            "Your tokens see the future. Which argument have you not used?",
            (lambda q, k, v, mask: _scores(q, k).softmax(-1) @ v,),
        ),
        Mistake(
            "the mask comes after the softmax",
            "Add up a row of your shares: hidden tokens have taken some of the whole. When must they be hidden, so that the "
            "rest sums to one?",
            (
                lambda q, k, v, mask: (_scores(q, k).softmax(-1) + mask) @ v,
                lambda q, k, v, mask: (_scores(q, k).softmax(-1) * (mask == 0)) @ v,
                lambda q, k, v, mask: _scores(q, k).softmax(-1).masked_fill(mask == 0, 0.0) @ v,
            ),
        ),
        Mistake(
            "the mask is transposed",
            "Row i of the mask belongs to the token that looks. Which axis of your scores does that one have?",
            (_transposed,),
        ),
        Mistake(
            "softmax over the wrong axis",
            "One query spends its whole attention, one, over all that it looks at. Which axis holds those?",
            tuple(partial(_axis, axis=axis) for axis in (-2, 1, 0)),
        ),
        Mistake(
            "queries and keys exchanged",
            "Entry (i, j) is how well the query of i meets the key of j. Which of the two gives the rows?",
            (lambda q, k, v, mask: (_scores(k, q) + mask).softmax(-1) @ v,),
        ),
        Mistake(
            "keys are taken over, not values",
            "The key says what a token has to offer. What does it give?",
            (lambda q, k, v, mask: (_scores(q, k) + mask).softmax(-1) @ k,),
        ),
        Mistake(
            "the exponential overflows",
            "e to the 89th does not fit a float. Softmax does not change if the same number is taken off all scores of a row: "
            "which one helps?",
            (_unguarded,),
        ),
    ),
    where=Attention.forward,
    swapped="your attention in every layer",
    trial=talks(_put_attention),
)
