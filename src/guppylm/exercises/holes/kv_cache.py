"""Write the function, then see how it does: guppylm exercise kv-cache."""

import torch


def kv_cache(stored: torch.Tensor, new: torch.Tensor, length: int) -> torch.Tensor:
    """Writes the keys of new tokens behind those already stored, and returns the keys of all tokens so far.

    So nothing is computed twice: when the next token comes, the earlier ones' keys are there. Values are kept the same way.

    stored      (batch, heads, context, head width): room for a whole context; it is changed in place
    new         (batch, heads, time, head width): of the tokens that are read now
    length      how many tokens are stored already
    returns     (batch, heads, length + time, head width)

        stored[.., length + t, ..] <- new[.., t, ..]      for t = 0, 1, ..., time - 1

    >>> stored = torch.zeros(1, 1, 4, 1)
    >>> kv_cache(stored, torch.tensor([[[[7.0], [8.0]]]]), 0).flatten()
    tensor([7., 8.])
    >>> kv_cache(stored, torch.tensor([[[[9.0]]]]), 2).flatten()
    tensor([7., 8., 9.])
    >>> stored.flatten()
    tensor([7., 8., 9., 0.])
    """
    raise NotImplementedError
