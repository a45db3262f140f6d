"""Write the function, then see how it does: guppylm exercise attention."""

import torch


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What each token takes over from those that it looks at, in several heads at once.

    q           (batch, heads, time, head width): what each token is looking for
    k, v        (batch, heads, time looked at, head width): what each has to offer, and what it gives
    mask        (time, time looked at): 0 where looking is allowed, minus infinity where it is not
    returns     (batch, heads, time, head width)

        attention = softmax(q kᵀ / √(head width) + mask) v

    The softmax turns each token's scores into shares, which sum to one over what it looks at. Scores can be large.

    Two tokens, one head of width 1. The first sees itself alone; the second has the scores 0 and ln 3, so the shares 1/4 and
    3/4, and takes over 1/4 · 0 + 3/4 · 8.

    >>> q, v = torch.tensor([[[[1.0], [1.0]]]]), torch.tensor([[[[0.0], [8.0]]]])
    >>> k = torch.tensor([[[[1.0], [3.0]]]]).log()
    >>> mask = torch.tensor([[0.0, -torch.inf], [0.0, 0.0]])
    >>> attention(q, k, v, mask).round(decimals=3)
    tensor([[[[0.],
              [6.]]]])
    """
    raise NotImplementedError
