"""Write the function, then see how it does: guppylm exercise mlp."""

import torch


def mlp(x: torch.Tensor, w1: torch.Tensor, b1: torch.Tensor, w2: torch.Tensor, b2: torch.Tensor) -> torch.Tensor:
    """A row of detectors, and what each adds when it fires.

    x           (batch, time, width)
    w1, b1      (mlp width, width) and (mlp width): a row for each detector, and its threshold
    w2, b2      (width, mlp width) and (width): a column for what each detector adds, and what is always added
    returns     (batch, time, width): what the residual stream is to be changed by

        mlp(x) = W₂ ReLU(W₁ x + b₁) + b₂      for the vector x of each token;  ReLU(z) = max(0, z)

    Here the first detector fires (2 - 1 - 0.5), the second does not (1 - 2):

    >>> x = torch.tensor([[[2.0, 1.0]]])
    >>> w1, b1 = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), torch.tensor([-0.5, 0.0])
    >>> w2, b2 = torch.tensor([[10.0, 0.0], [20.0, 7.0]]), torch.tensor([0.0, 1.0])
    >>> mlp(x, w1, b1, w2, b2)
    tensor([[[ 5., 11.]]])
    """
    raise NotImplementedError
