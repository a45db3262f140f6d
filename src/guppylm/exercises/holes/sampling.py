"""Write the function, then see how it does: guppylm exercise sampling."""

import torch


def sampling(logits: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """The probabilities that the next token is drawn from.

    logits      (vocabulary): a score for each token
    temperature above 0: below 1 the likely gets likelier, above 1 all get more alike
    top_p       above 0, at most 1: only the likeliest tokens stay, as few as reach this probability together
    returns     (vocabulary): probabilities, which sum to one; zero for each token that was dropped

        p = softmax(logits / temperature)
        keep the smallest set of likeliest tokens whose p sum to top_p or more, and divide by that sum

    The likeliest token always stays. Logits can be large.

    With p = (1/5, 1/2, 3/10) the second and the third together reach 0.6:

    >>> sampling(torch.tensor([0.2, 0.5, 0.3]).log(), 1.0, 0.6)
    tensor([0.0000, 0.6250, 0.3750])
    """
    raise NotImplementedError
