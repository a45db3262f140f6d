"""Write the function, then see how it does: guppylm exercise causal-mask."""

import torch


def causal_mask(time: int) -> torch.Tensor:
    """What is added to the scores of attention, so that no token looks at one that comes after it.

    returns     (time, time), float32: row i is the token that looks, column j the one that is looked at

        mask[i, j] = 0 where looking is allowed, minus infinity where it is not

    A token may look at itself. Softmax makes a share of exactly zero out of minus infinity.

    >>> causal_mask(2)
    tensor([[0., -inf],
            [0., 0.]])
    """
    raise NotImplementedError
