"""The transformer as it is built today: rotary positions, RMSNorm and SwiGLU in place of learned positions, LayerNorm, ReLU.

"RoFormer" (Su et al., 2021); "Root Mean Square Layer Normalization" (Zhang & Sennrich, 2019); "GLU Variants Improve
Transformer" (Shazeer, 2020).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guppylm.interpretability.lens import blocks_of
from guppylm.labs.recipe import Recipe, parameters
from guppylm.model import Attention, KeyValueCache, Point, Transformer

SLOWEST = 10_000.0  # the slowest pair of numbers turns once in about 2π times so many places


def rotate(x: Tensor, past: int) -> Tensor:
    """Turns each vector by an angle that grows with its place, so that a product of two depends on how far apart they stand.

    (batch, heads, time, head width) to the same shape. The halves of a vector are the two coordinates of its pairs.
    """
    half = x.shape[-1] // 2
    speeds = SLOWEST ** (-torch.arange(half, device=x.device) / half)
    angles = torch.arange(past, past + x.shape[2], device=x.device)[:, None] * speeds  # (time, half)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * angles.cos() - second * angles.sin(), first * angles.sin() + second * angles.cos()], dim=-1)


class RotaryAttention(nn.Module):
    """The plain attention's own matrices, with queries and keys turned by their places."""

    def __init__(self, plain: Attention) -> None:
        super().__init__()
        self.heads, self.mask = plain.heads, plain.mask
        self.query, self.key, self.value, self.output = plain.query, plain.key, plain.value, plain.output

    def forward(self, x: Tensor, layer: int, cache: KeyValueCache | None) -> Tensor:
        """(batch, time, width) to the same shape."""
        past = 0 if cache is None else cache.length
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        q, k = rotate(q, past), rotate(k, past)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]) + self.mask[past : past + q.shape[2], : k.shape[2]]
        return self.output((torch.softmax(scores, dim=-1) @ v).transpose(1, 2).flatten(2))


class SwiGLU(nn.Module):
    """An MLP whose detectors come in twos: one says what, the other how much of it. No biases."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.input = nn.Linear(width, hidden, bias=False)
        self.output = nn.Linear(hidden, width, bias=False)
        for part in (self.gate, self.input, self.output):
            nn.init.normal_(part.weight, std=1 / math.sqrt(part.in_features))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same shape."""
        return self.output(F.silu(self.gate(x)) * self.input(x))


class NoTable(nn.Module):
    """In place of the position embedding."""

    def forward(self, places: Tensor) -> Tensor:
        """(time) to zeros (time, 1), which change nothing where they are added."""
        return torch.zeros(len(places), 1, device=places.device)


class Modern(Recipe):
    """Rotary positions, RMSNorm, SwiGLU; the width of the SwiGLU is what the plain parameters leave."""

    name = "modern"

    def change(self, model: Transformer) -> None:
        """Part by part."""
        plain, width = parameters(model), model.config.width
        model.register_module("position_embedding", NoTable())
        model.register_module("final_norm", nn.RMSNorm(width))
        for block in blocks_of(model):
            block.register_module("attention", RotaryAttention(block.attention))
            block.register_module("attention_norm", nn.RMSNorm(width))
            block.register_module("mlp_norm", nn.RMSNorm(width))
            block.register_module("mlp", Point())
        hidden = round((plain - parameters(model)) / (3 * width * model.config.layers))
        for block in blocks_of(model):
            block.register_module("mlp", SwiGLU(width, hidden))
