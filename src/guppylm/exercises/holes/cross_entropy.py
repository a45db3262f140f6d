"""Write the function, then see how it does: guppylm exercise cross-entropy."""

import torch


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """How surprised the model was by what came next: the mean over the places that count, in nats.

    logits      (batch, time, vocabulary): a score for every token that might come next
    targets     (batch, time), whole numbers: the token that did come next
    counts      (batch, time), bool: true where it is part of a reply, false for the prompt and for padding
    returns     one number, a tensor without axes, through which the gradient flows back

        loss = mean of -ln(softmax(logits)[target])      over the places where `counts` is true

    Logits of 1,000 and more must do no harm: note that ln(softmax(z)[i]) = zᵢ - ln Σ exp(zⱼ).

    Two tokens equally likely at the first place, ln 2; the second place does not count:

    >>> logits = torch.tensor([[[1.0, 1.0], [5.0, 0.0]]])
    >>> cross_entropy(logits, torch.tensor([[0, 1]]), torch.tensor([[True, False]]))
    tensor(0.6931)
    """
    raise NotImplementedError
