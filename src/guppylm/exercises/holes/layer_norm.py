"""Write the function, then see how it does: guppylm exercise layer-norm."""

import torch


def layer_norm(x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Each token's vector, brought to mean 0 and variance 1, then stretched and shifted.

    x           (batch, time, width)
    gain, bias  (width)
    epsilon     a small number, so that nothing is divided by zero
    returns     (batch, time, width)

        y = (x - mean) / √(variance + epsilon) · gain + bias

    Mean and variance are those of one token's `width` numbers; the variance is the mean of their squared distances from
    the mean.

    >>> x = torch.tensor([[[1.0, 3.0], [10.0, 30.0]]])
    >>> layer_norm(x, torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]), 0.0)
    tensor([[[-1.,  7.],
             [-1.,  7.]]])
    """
    raise NotImplementedError
