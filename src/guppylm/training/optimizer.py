"""How a gradient becomes a change of the weights: Muon for the matrices of the blocks, Adam for everything else.

Muon (Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks") keeps a running mean of the
gradients and then makes all directions in that matrix equally strong: a rare lesson moves the weights as far as a
common one. Adam (Kingma & Ba, 2015, "Adam: A Method for Stochastic Optimization") scales every single weight's step by
how large its gradients usually are.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from guppylm.config import TrainConfig
from guppylm.training.workers import ALONE, Workers

ADAM_BETAS = (0.9, 0.99)  # how much of the running means of gradient and squared gradient is kept at each step
ADAM_EPSILON = 1e-8


def orthogonalise(matrices: Tensor, steps: int = 5, precision: torch.dtype = torch.float32) -> Tensor:
    """Brings all singular values of each matrix near 1, its singular vectors kept. (n, rows, columns) to the same.

    Newton–Schulz iteration: an odd polynomial of the matrix, applied again and again, pulls every singular value
    between 0 and 1 towards 1. It needs only matrix products. The coefficients are Muon's: fast rather than exact, so
    values end between about 0.7 and 1.2.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.transpose(-2, -1) if tall else matrices).to(precision)
    x = x / (matrices.flatten(1).norm(dim=1)[:, None, None] + 1e-7).to(precision)  # no singular value above 1
    for _ in range(steps):
        square = x @ x.transpose(-2, -1)
        curve = torch.baddbmm(square, square, square, beta=b, alpha=c)  # b·square + c·square²
        x = torch.baddbmm(x, curve, x, beta=a)  # a·x + curve·x
    return x.transpose(-2, -1) if tall else x


class Optimizer:
    """Updates a model's parameters in place from their gradients. Its whole memory is a dict of named tensors."""

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        matrix_learning_rate: float,
        learning_rate: float,
        momentum: float,
        precision: torch.dtype = torch.float32,
    ) -> None:
        named = dict(parameters)
        self.matrices = {name: p for name, p in named.items() if name.startswith("blocks.") and p.ndim == 2}
        self.others = {name: p for name, p in named.items() if name not in self.matrices}
        self.matrix_learning_rate = matrix_learning_rate
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.precision = precision  # of the Newton–Schulz products; the weights stay as they are
        self.shapes: dict[str, list[str]] = {}  # matrices of one shape are worked on together: "384x768" -> names
        for name, p in self.matrices.items():
            self.shapes.setdefault("x".join(map(str, p.shape)), []).append(name)
        stacks = {shape: torch.stack([self.matrices[name].detach() for name in names]) for shape, names in self.shapes.items()}
        self.state = {f"momentum.{shape}": torch.zeros_like(stack) for shape, stack in stacks.items()}
        self.state |= {f"{name}.{kind}": torch.zeros_like(p) for name, p in self.others.items() for kind in ("mean", "square")}

    @torch.no_grad()
    def step(self, number: int, scale: float, workers: Workers = ALONE) -> None:
        """One update. `number` counts from 1 (Adam's bias correction); `scale` multiplies both learning rates.

        A parameter without a gradient, in a layer that did not run, stays as it is. RuntimeError if none has one.
        """
        matrices = {name: p.grad for name, p in self.matrices.items() if p.grad is not None}
        others = {name: p.grad for name, p in self.others.items() if p.grad is not None}
        if not matrices and not others:
            raise RuntimeError("no parameter has a gradient: call backward() before step()")
        tasks: list[Callable[[], None]] = []
        for shape, every in self.shapes.items():
            names = [name for name in every if name in matrices]  # the layers that run are the first
            size = -(-len(names) // workers.count)
            for at in range(0, len(names), max(1, size)):
                stack = {name: matrices[name] for name in names[at : at + size]}
                velocity = self.state[f"momentum.{shape}"][at : at + len(stack)]
                tasks.append(partial(self._muon, stack, velocity, self.matrix_learning_rate * scale))
        tasks += [partial(self._adam, name, gradient, number, scale) for name, gradient in others.items()]
        workers.share(lambda share: [task() for task in share], tasks)

    @torch.no_grad()  # it holds for one thread only, so each task says so itself
    def _muon(self, gradients: dict[str, Tensor], velocity: Tensor, rate: float) -> None:
        """Moves matrices of one shape; `velocity` is their running mean."""
        stack = torch.stack(list(gradients.values()))
        velocity.lerp_(stack, 1 - self.momentum)
        nudges = stack.lerp_(velocity, self.momentum)  # Nesterov: look where the velocity leads
        directions = orthogonalise(nudges, precision=self.precision)
        rows, columns = directions.shape[1:]
        for name, direction in zip(gradients, directions, strict=True):
            self.matrices[name].sub_(direction, alpha=rate * math.sqrt(max(1, rows / columns)))

    @torch.no_grad()
    def _adam(self, name: str, gradient: Tensor, number: int, scale: float) -> None:
        """Moves one of the other parameters."""
        first, second = ADAM_BETAS
        mean, square = self.state[f"{name}.mean"], self.state[f"{name}.square"]
        mean.lerp_(gradient, 1 - first)
        square.lerp_(gradient.square(), 1 - second)
        unbiased_square = square / (1 - second**number)
        self.others[name].addcdiv_(
            mean, unbiased_square.sqrt_().add_(ADAM_EPSILON), value=-self.learning_rate * scale / (1 - first**number)
        )


def schedule(step: int, config: TrainConfig) -> float:
    """What the learning rates are multiplied by at this step (from 0).

    A short climb and a plateau; from where all layers run a lower plateau, and then straight to zero.
    """
    climb = min(1.0, (step + 1) / (config.warmup_steps + 1))
    if step < config.shallow_steps:
        return climb
    plateau = config.deep_rate if config.shallow_steps else 1.0
    fall = (config.steps - step) / (config.decay * (config.steps - config.shallow_steps))
    return min(climb, plateau * min(1.0, fall))
