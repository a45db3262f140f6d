"""From logits to the next token: pure functions. Each takes logits (..., vocabulary) and returns logits of that shape.

A filter sets the logits of the tokens that it forbids to minus infinity, so filters can be chained; the last step draws.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is chosen. The defaults draw from all tokens, a little more surely than the model is."""

    temperature: float = 0.7  # below 1 the likely gets likelier; 0 always takes the likeliest
    top_k: int = 0  # keep the k likeliest; 0 keeps all
    top_p: float = 1.0  # keep the likeliest that together have this probability (nucleus sampling)
    min_p: float = 0.0  # keep those at least this fraction as likely as the likeliest

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature is {self.temperature}; it must be 0 or more (0: always the likeliest token)")
        if self.top_k < 0:
            raise ValueError(f"top-k is {self.top_k}; it must be 0 (off) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top-p is {self.top_p}; it must be above 0 and at most 1 (off)")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min-p is {self.min_p}; it must be between 0 (off) and 1")


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Only the k largest logits stay (Fan et al., 2018, "Hierarchical Neural Story Generation")."""
    if k <= 0 or k >= logits.shape[-1]:
        return logits
    smallest_kept = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < smallest_kept, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """The smallest set of likeliest tokens whose probabilities reach p (Holtzman et al., 2020, "The Curious Case ...")."""
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    shares = ordered.softmax(-1)
    before = shares.cumsum(-1) - shares  # probability of all that are likelier
    dropped = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, before >= p)
    return logits.masked_fill(dropped, -math.inf)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Tokens at least p times as likely as the likeliest one (Nguyen et al., 2024, "Min-p Sampling")."""
    if p <= 0:
        return logits
    return logits.masked_fill(logits < logits.max(dim=-1, keepdim=True).values + math.log(p), -math.inf)


def filtered(logits: Tensor, config: SamplingConfig) -> Tensor:
    """Logits after temperature (above 0) and all filters; their softmax is what is drawn from."""
    logits = logits.float() / config.temperature
    return keep_min_p(keep_top_p(keep_top_k(logits, config.top_k), config.top_p), config.min_p)


def draw(logits: Tensor, config: SamplingConfig, random: torch.Generator | None = None) -> Tensor:
    """The next token's ids (...) for logits (..., vocabulary)."""
    if config.temperature == 0:
        return logits.argmax(-1)
    shares = filtered(logits, config).softmax(-1)
    flat = (
        torch.multinomial(shares.flatten(0, -2), 1, generator=random)
        if shares.ndim > 1
        else torch.multinomial(shares, 1, generator=random)
    )
    return flat.view(logits.shape[:-1])
