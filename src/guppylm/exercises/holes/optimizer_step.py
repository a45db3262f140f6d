"""Write the function, then see how it does: guppylm exercise optimizer-step."""

import torch

FIRST, SECOND = 0.9, 0.99  # β₁ and β₂: how much of each running mean is kept at a step
EPSILON = 1e-8


def optimizer_step(
    weights: torch.Tensor, gradient: torch.Tensor, mean: torch.Tensor, square: torch.Tensor, number: int, rate: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One step of Adam: each weight moves against its gradient, scaled by how large its gradients usually are.

    (Guppy's embeddings, gains and biases learn by Adam; the matrices of his blocks by Muon, which is not asked for here.)

    weights, gradient, mean, square   all of one shape, any shape
    mean, square    running means of the gradient and of its square, as they were returned by the step before; zeros at first
    number          of this step: 1, 2, 3, ...
    rate            the learning rate
    returns         the new weights, mean and square

        mean   <- β₁ mean + (1 - β₁) gradient
        square <- β₂ square + (1 - β₂) gradient²
        weights <- weights - rate · m̂ / (√ŝ + epsilon)      with m̂ = mean / (1 - β₁ⁿ) and ŝ = square / (1 - β₂ⁿ), n = number

    The hats are for this step's use; what is returned is the plain mean and square. At the first step each weight moves by the
    rate, however large its gradient:

    >>> zeros = torch.zeros(2)
    >>> optimizer_step(torch.tensor([1.0, 1.0]), torch.tensor([2.0, -0.5]), zeros, zeros, 1, 0.1)
    (tensor([0.9000, 1.1000]), tensor([ 0.2000, -0.0500]), tensor([0.0400, 0.0025]))
    """
    raise NotImplementedError
