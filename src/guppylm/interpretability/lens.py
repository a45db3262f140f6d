"""The lens: every activation of the model while it reads a text, and what each part says about the next token.

Activations have the names of their points in the module tree, and the shapes of model.py without the batch.

"interpreting GPT: the logit lens" (nostalgebraist, 2020); "A Mathematical Framework for Transformer Circuits" (Elhage et
al., 2021).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from guppylm.data.tokenizer import Tokenizer
from guppylm.model import Block, Point, Transformer


class Guess(NamedTuple):
    """A possible next token."""

    token: int
    text: str
    probability: float


@dataclass(frozen=True, eq=False)
class Look:
    """What the model held while it read `ids`. Some of it is computed later from the weights, so these must stay as they are.

    `activations`, in the order in which they arise (N is a layer, counted from 0):

        tokens, positions, embedded             (time, width)
        blocks.N.attention.q, .k, .v, .mixed    (heads, time, head width)
        blocks.N.attention.scores, .pattern     (heads, time, time looked at)
        blocks.N.mlp.before, .fired             (time, mlp width)
        blocks.N.attention_added, .mlp_added    (time, width)
        blocks.N.residual_middle, .residual     (time, width)
        logits                                  (time, vocabulary)
    """

    model: Transformer = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)
    ids: tuple[int, ...]
    activations: Mapping[str, Tensor] = field(repr=False)

    @cached_property
    def texts(self) -> list[str]:
        """The tokens that were read, in readable form."""
        return [self.text(number) for number in self.ids]

    def text(self, token: int) -> str:
        """Any token in readable form; [4095] for an id that no token has."""
        return self.tokenizer.token_text(token) or f"[{token}]"

    @property
    def attention(self) -> Tensor:
        """(layers, heads, time, time looked at): shares of attention; each row sums to one."""
        return attention_patterns(self.activations)

    @property
    def stages(self) -> list[str]:
        """Where the residual stream can be read: after the embeddings and after each half block."""
        halves = ("residual_middle", "residual")
        return ["embedded", *(f"blocks.{n}.{half}" for n in range(self.model.config.layers) for half in halves)]

    @property
    def residuals(self) -> Tensor:
        """(stages, time, width): the residual stream."""
        return torch.stack([self.activations[stage] for stage in self.stages])

    @cached_property
    def lens(self) -> Tensor:
        """(stages, time, vocabulary): the logits if the model ended at that stage. The last ones are the model's own."""
        with torch.no_grad():
            normed = self.model.final_norm(self.residuals)  # each with its own mean and variance
            return normed @ self.model.token_embedding.weight.T

    @property
    def probabilities(self) -> Tensor:
        """(time, vocabulary): how likely the model thinks each token to come next."""
        return self.activations["logits"].softmax(-1)

    def guesses(self, position: int = -1, count: int = 5, stage: int = -1) -> list[Guess]:
        """The likeliest next tokens after the one at `position`, likeliest first, as seen at that stage of the lens."""
        shares = self.lens[stage, place_of(position, len(self.ids))].softmax(-1)
        best = shares.topk(min(count, len(shares)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [Guess(token, self.text(token), probability) for token, probability in pairs]

    @cached_property
    def added(self) -> dict[str, Tensor]:
        """Every vector that was added to the residual stream, by the part that added it: (time, width).

        Their sum is where the stream ends. A head's is what it mixed, through its columns of the output matrix; the bias
        that the heads of a layer share stands apart.
        """
        vectors = {name: self.activations[name] for name in ("tokens", "positions")}
        with torch.no_grad():
            for n, block in enumerate(blocks_of(self.model)):
                output, mixed = block.attention.output, self.activations[f"blocks.{n}.attention.mixed"]
                columns = output.weight.view(output.out_features, block.attention.heads, -1)  # (width, heads, head width)
                for head, added in enumerate(torch.einsum("htd,whd->htw", mixed, columns)):
                    vectors[f"blocks.{n}.attention.head.{head}"] = added
                vectors[f"blocks.{n}.attention.output.bias"] = output.bias.expand(len(self.ids), -1)
                vectors[f"blocks.{n}.mlp"] = self.activations[f"blocks.{n}.mlp_added"]
        return vectors

    @torch.no_grad()
    def contributions(self, position: int, token: int, against: int | None = None) -> dict[str, float]:
        """What each part of `added` gave directly to the logit of `token` after `position`. The sum is that logit.

        The final LayerNorm is linear once its variance is known, and that is the whole stream's at this position; its bias
        is a part of its own, final_norm.bias. With `against`, another token, what each part gave to `token` more than to
        that one: often the clearer figure, since what all logits gain alike changes no probability. Raises ValueError.
        """
        norm, place, end = self.model.final_norm, place_of(position, len(self.ids)), self.activations[self.stages[-1]]
        direction = self._spelled(token) if against is None else self._spelled(token) - self._spelled(against)
        scaled = direction * norm.weight  # (width)
        spread = (end[place].var(correction=0) + norm.eps).sqrt()
        felt = (scaled - scaled.mean()) / spread  # taking the mean out of this takes it out of every part
        shares = {name: float(vectors[place] @ felt) for name, vectors in self.added.items()}
        return shares | {"final_norm.bias": float(norm.bias @ direction)}

    def _spelled(self, token: int) -> Tensor:
        """The token's row of the tied matrix: the direction in the stream that raises its logit. (width)."""
        if not 0 <= token < self.model.config.vocabulary_size:
            raise ValueError(f"there is no token {token}; they go from 0 to {self.model.config.vocabulary_size - 1}")
        return self.model.token_embedding.weight[token]


def look(model: Transformer, tokenizer: Tokenizer, what: str | Sequence[int], reply: str = "") -> Look:
    """Reads a text and keeps all that happens inside.

    `what` is a text, read as a person's message up to where the fish begins to answer, or ids, read as they are; `reply`
    is what the fish has said so far. Raises ValueError if there is nothing to read, or more than the context holds.
    """
    asked = tokenizer.render_prompt(what, model.config.context)[0] if isinstance(what, str) else what
    ids = tuple(int(token) for token in (*asked, *tokenizer.encode(reply)))
    return Look(model, tokenizer, ids, record(model, ids))


@torch.no_grad()
def record(model: Transformer, ids: Sequence[int]) -> dict[str, Tensor]:
    """Every activation while the model reads `ids`, by name; shapes as in `Look`. Raises ValueError."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, activation: Tensor) -> None:
        seen[name] = activation if name == "positions" else activation[0]  # these alone come without a batch

    with hooked(model, keep):
        model(batch_of_one(model, ids))
    return seen


@contextmanager
def hooked(model: Transformer, hook: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """In its `with` block, hook(name, activation) is called at every point; what it returns, if anything, goes on instead."""
    handles = [
        point.register_forward_hook(lambda _, __, activation, name=name: hook(name, activation))
        for name, point in points(model).items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def points(model: Transformer) -> dict[str, nn.Module]:
    """Every named point of the model."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Point)}


def attention_patterns(activations: Mapping[str, Tensor]) -> Tensor:
    """(layers, heads, time, time looked at)."""
    return torch.stack([activation for name, activation in activations.items() if name.endswith(".pattern")])


def blocks_of(model: Transformer) -> list[Block]:
    """The layers, with their type."""
    return cast(list[Block], list(model.blocks))


def batch_of_one(model: Transformer, ids: Sequence[int]) -> Tensor:
    """The ids as the model takes them: (1, time). Raises ValueError for what it can't read."""
    size, context = model.config.vocabulary_size, model.config.context
    if not 1 <= len(ids) <= context:
        raise ValueError(f"{len(ids)} tokens can't be read at once; this model reads 1 to {context}")
    unknown = [token for token in ids if not 0 <= token < size]
    if unknown:
        raise ValueError(f"there is no token {unknown[0]}; they go from 0 to {size - 1}")
    return torch.tensor([list(ids)], device=model.token_embedding.weight.device)


def place_of(position: int, time: int) -> int:
    """A position counted from the beginning; -1 is the last of `time`. Raises ValueError."""
    if not -time <= position < time:
        raise ValueError(f"there is no position {position}; with {time} tokens they go from 0 to {time - 1}")
    return position % time


def listed(model: Transformer, names: Sequence[str]) -> str:
    """Names to choose from, for an error; layers and heads are not spelled out one by one."""
    short = [re.sub(r"head\.\d+", "head.H", re.sub(r"blocks\.\d+", "blocks.N", name)) for name in names]
    last = f"N up to {model.config.layers - 1}, H up to {model.config.heads - 1}"
    return f"{', '.join(dict.fromkeys(short))} ({last})"
