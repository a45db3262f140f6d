"""Write the function, then see how it does: guppylm exercise embedding-lookup."""

import torch


def embedding_lookup(ids: torch.Tensor, tokens: torch.Tensor, positions: torch.Tensor, past: int) -> torch.Tensor:
    """A vector for each token: what it is, plus where it stands.

    ids         (batch, time), whole numbers: which row of `tokens` each token has
    tokens      (vocabulary, width)
    positions   (context, width): row 0 is for the first token of a text
    past        how many tokens of each text were read in earlier calls
    returns     (batch, time, width)

        x[b, t] = tokens[ids[b, t]] + positions[past + t]

    >>> tokens = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    >>> positions = torch.tensor([[0.0, 0.1], [0.0, 0.2], [0.0, 0.3]])
    >>> embedding_lookup(torch.tensor([[2, 0]]), tokens, positions, 0)
    tensor([[[3.0000, 0.1000],
             [1.0000, 0.2000]]])
    >>> embedding_lookup(torch.tensor([[1]]), tokens, positions, 2)
    tensor([[[2.0000, 0.3000]]])
    """
    raise NotImplementedError
