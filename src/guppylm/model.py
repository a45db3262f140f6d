"""The whole model: a decoder-only transformer. Token ids go in, a score for every possible next token comes out.

It is GPT-2's architecture with ReLU and a narrower MLP. Shapes are written as (batch, time, ...): `batch` texts side by
side, `time` tokens each. Every `Point` passes its input on unchanged: it only gives an activation a name in the module
tree, so that a hook placed there can read or replace it.

"Attention Is All You Need" (Vaswani et al., 2017); "Language Models are Unsupervised Multitask Learners" (Radford et
al., 2019).
"""

import math

import torch
from torch import Tensor, nn

from guppylm.config import ModelConfig

Point = nn.Identity


class KeyValueCache:
    """The keys and values of the tokens read so far, so that a new token costs one column and not the whole square."""

    def __init__(self, config: ModelConfig, batch: int, like: Tensor) -> None:
        shape = (config.layers, 2, batch, config.heads, config.context, config.width // config.heads)
        self.entries = torch.empty(shape, dtype=like.dtype, device=like.device)  # nothing is read before it is written
        self.length = 0  # tokens read so far

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Stores this layer's new keys and values; returns those of all tokens. (batch, heads, time, head width)."""
        end = self.length + keys.shape[2]
        self.entries[layer, 0, :, :, self.length : end] = keys
        self.entries[layer, 1, :, :, self.length : end] = values
        return self.entries[layer, 0, :, :, :end], self.entries[layer, 1, :, :, :end]


class Attention(nn.Module):
    """Each token looks at those before it and takes something over from each, in `heads` independent ways."""

    mask: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)  # what am I looking for?
        self.key = nn.Linear(config.width, config.width)  # what do I have to offer?
        self.value = nn.Linear(config.width, config.width)  # what do I give to those who look at me?
        self.output = nn.Linear(config.width, config.width)
        allowed = torch.ones(config.context, config.context).tril()  # row i may look at columns 0 to i
        self.register_buffer("mask", torch.zeros_like(allowed).masked_fill(allowed == 0, -math.inf), persistent=False)
        self.q, self.k, self.v = Point(), Point(), Point()  # (batch, heads, time, head width)
        self.scores = Point()  # (batch, heads, time, time looked at), masked
        self.pattern = Point()  # the same, each row a share of attention that sums to one
        self.mixed = Point()  # (batch, heads, time, head width): what each head takes over

    def forward(self, x: Tensor, layer: int, cache: KeyValueCache | None) -> Tensor:
        """(batch, time, width) to the same shape."""
        q = self.q(self._split_heads(self.query(x)))
        k = self.k(self._split_heads(self.key(x)))
        v = self.v(self._split_heads(self.value(x)))
        past = 0
        if cache is not None:
            past = cache.length
            k, v = cache.extend(layer, k, v)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # large where a query meets its key
        scores = self.scores(scores + self.mask[past : past + q.shape[2], : k.shape[2]])  # the future is hidden
        pattern = self.pattern(torch.softmax(scores, dim=-1))
        mixed = self.mixed(pattern @ v)
        return self.output(mixed.transpose(1, 2).flatten(2))  # the heads' vectors side by side

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)  # (batch, heads, time, head width)


class MLP(nn.Module):
    """Each token is worked on by itself: a row of detectors, and what each adds when it fires."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.input = nn.Linear(config.width, config.mlp_width)
        self.output = nn.Linear(config.mlp_width, config.width)
        self.before = Point()  # (batch, time, mlp width)
        self.fired = Point()  # the same after ReLU: zero where a detector saw nothing

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same shape."""
        return self.output(self.fired(torch.relu(self.before(self.input(x)))))


class Block(nn.Module):
    """One layer: tokens exchange (attention), then think (MLP). Both add to the residual stream; neither replaces it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.mlp_norm = nn.LayerNorm(config.width)
        self.mlp = MLP(config)
        self.attention_added, self.mlp_added = Point(), Point()  # (batch, time, width): what each half adds
        self.residual_middle, self.residual = Point(), Point()  # the stream after each of them

    def forward(self, x: Tensor, layer: int, cache: KeyValueCache | None) -> Tensor:
        """(batch, time, width) to the same shape."""
        x = self.residual_middle(x + self.attention_added(self.attention(self.attention_norm(x), layer, cache)))
        return self.residual(x + self.mlp_added(self.mlp(self.mlp_norm(x))))


class Transformer(nn.Module):
    """The language model. The matrix that turns ids into vectors also turns vectors into scores: the two are tied."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.position_embedding = nn.Embedding(config.context, config.width)
        self.tokens, self.positions, self.embedded = Point(), Point(), Point()  # (batch, time, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(config.width)
        self.logits = Point()  # (batch, time, vocabulary)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        """Small random weights; what a half block adds starts at zero, so that every block begins as a plain wire.

        Queries start at zero too: attention begins by looking at all tokens alike.
        """
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=1 / math.sqrt(module.in_features))
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, Attention | MLP):
            nn.init.zeros_(module.output.weight)
        if isinstance(module, Attention):
            nn.init.zeros_(module.query.weight)

    def forward(self, ids: Tensor, cache: KeyValueCache | None = None, only: Tensor | None = None) -> Tensor:
        """Logits (batch, time, vocabulary) for the token after each of `ids` (batch, time).

        With `cache`, `ids` continue what it holds. With `only`, a mask like `ids`, logits are computed for the places
        where it is true: (places, vocabulary). Raises IndexError for more tokens than the context.
        """
        past = cache.length if cache is not None else 0
        if past + ids.shape[1] > self.config.context:
            raise IndexError(f"{past + ids.shape[1]} tokens do not fit the context of {self.config.context}")
        places = torch.arange(past, past + ids.shape[1], device=ids.device)
        x = self.embedded(self.tokens(self.token_embedding(ids)) + self.positions(self.position_embedding(places)))
        for layer, block in enumerate(self.blocks):
            x = block(x, layer, cache)
        if cache is not None:
            cache.length += ids.shape[1]
        x = self.final_norm(x if only is None else x[only])
        return self.logits(x @ self.token_embedding.weight.T)
