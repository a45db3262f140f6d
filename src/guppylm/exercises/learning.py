"""Exercises on learning: how wrong a guess was, and how a gradient moves the weights."""

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guppylm.evaluation.loss import reply_nats
from guppylm.exercises.exercise import Case, Exercise, Function, Mistake, Said
from guppylm.exercises.trial import STEPS, both_taught
from guppylm.fish import Fish
from guppylm.training.optimizer import ADAM_BETAS, ADAM_EPSILON, Optimizer


def _loss_of_the_model(logits: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    return F.cross_entropy(logits[counts], targets[counts])


def with_gradient(loss: Function, logits: Tensor, targets: Tensor, counts: Tensor) -> dict[str, Any]:
    """The loss, and its gradient at the logits; None for that if the loss has none or is no number to learn from."""
    logits = logits.requires_grad_()
    value, gradient = loss(logits, targets, counts), None
    if isinstance(value, Tensor) and value.ndim == 0 and value.requires_grad and bool(value.isfinite()):
        gradient = torch.autograd.grad(value, logits)[0]
    return {"the loss": value.detach() if isinstance(value, Tensor) else value, "its gradient at the logits": gradient}


def _loss_cases(random: torch.Generator) -> list[Case]:
    def case(name: str, counts: list[list[int]], size: float = 1.0, shift: float = 0.0) -> Case:
        shape = (len(counts), len(counts[0]))
        logits = (torch.randn(*shape, 7, generator=random) * size * 8).round() / 8 + shift  # eighths: exact also near 1,000
        return Case(name, (logits, torch.randint(7, shape, generator=random), torch.tensor(counts).bool()))

    return [
        case("every token counts", [[1, 1, 1, 1]]),
        case("a prompt that does not count", [[0, 0, 1, 1, 1]]),
        case("two texts, one of them padded", [[0, 1, 1, 1, 1], [0, 1, 1, 0, 0]]),
        case("one token counts", [[0, 0, 1], [0, 0, 0]]),
        case("large logits", [[0, 1, 1], [1, 1, 0]], shift=1000.0),
        case("logits far apart", [[0, 1, 1], [1, 1, 0]], 100.0),
    ]


def _nats(logits: Tensor, targets: Tensor, axis: int = -1) -> Tensor:
    """Each place's loss: (batch, time)."""
    return -logits.log_softmax(axis).gather(-1, targets[..., None])[..., 0]


def _probability(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.softmax(-1).gather(-1, targets[..., None])[..., 0]


def _unguarded(logits: Tensor, targets: Tensor) -> Tensor:
    large = logits.exp()
    return -(large / large.sum(-1, keepdim=True)).log().gather(-1, targets[..., None])[..., 0]


def _unguarded_difference(logits: Tensor, targets: Tensor) -> Tensor:
    return logits.exp().sum(-1).log() - logits.gather(-1, targets[..., None])[..., 0]


def _loss_trial(fish: Fish, theirs: Function) -> list[Said]:
    return both_taught(fish, (_loss_of_the_model, adam_of_the_fish), (theirs, adam_of_the_fish))


LOSS = Exercise(
    name="cross-entropy",
    title="how surprised the model was by what came next",
    right=_loss_of_the_model,
    cases=_loss_cases,
    mistakes=(
        Mistake(
            "mean over padding",
            "Prompt and padding are in your mean. Which places did the fish have to guess, and how many are they?",
            (
                lambda logits, targets, counts: _nats(logits, targets).mean(),
                lambda logits, targets, counts: (_nats(logits, targets) * counts).mean(),
                lambda logits, targets, counts: (_nats(logits, targets) * counts).sum() / counts.shape[1],
            ),
        ),
        Mistake(
            "the exponential overflows",
            "e to the 89th does not fit a float. The loss does not change if the same number is taken off all logits of a "
            "place: which one helps?",
            tuple(
                partial(lambda logits, targets, counts, nats: nats(logits, targets)[counts].mean(), nats=nats)
                for nats in (_unguarded, _unguarded_difference)
            ),
        ),
        Mistake(
            "the logarithm of zero",
            "A very unlikely token has a probability that a float rounds to zero, and then the loss is infinite. Simplify "
            "log(softmax) on paper before you compute it.",
            (lambda logits, targets, counts: -_probability(logits, targets)[counts].log().mean(),),
        ),
        Mistake(
            "a small number under the logarithm",
            "What is added there hides how large a surprise was, and its gradient. Simplify log(softmax) on paper instead.",
            tuple(
                partial(
                    lambda logits, targets, counts, small: -(_probability(logits, targets)[counts] + small).log().mean(),
                    small=small,
                )
                for small in (1e-12, 1e-10, 1e-9, 1e-8, 1e-7)
            ),
        ),
        Mistake(
            "the sum, not the mean",
            "A long reply should not weigh more than a short one only for its length. What do you divide by?",
            (lambda logits, targets, counts: _nats(logits, targets)[counts].sum(),),
        ),
        Mistake(
            "a mean of means",
            "Each text has one vote in yours, however many tokens it counts. Who should have a vote?",
            (
                lambda logits, targets, counts: ((_nats(logits, targets) * counts).sum(1) / counts.sum(1)).mean(),
                lambda logits, targets, counts: ((_nats(logits, targets) * counts).sum(1) / counts.sum(1).clamp(min=1)).mean(),
            ),
        ),
        Mistake(
            "bits",
            "Right, in another unit: a bit is ln 2 of a nat. Which logarithm belongs to e?",
            (lambda logits, targets, counts: _nats(logits, targets)[counts].mean() / math.log(2),),
        ),
        Mistake(
            "the sign",
            "The logarithm of a probability is below zero. Training makes the loss small: would yours make the guess better?",
            (lambda logits, targets, counts: -_nats(logits, targets)[counts].mean(),),
        ),
        Mistake(
            "shifted once more",
            "targets[i, t] is already the token after the one that was read at t. What have you done to it?",
            (lambda logits, targets, counts: _nats(logits[:, :-1], targets[:, 1:])[counts[:, 1:]].mean(),),
        ),
        Mistake(
            "softmax over the wrong axis",
            "At each place the probabilities of all tokens sum to one. Which axis holds the tokens?",
            (lambda logits, targets, counts: _nats(logits, targets, 1)[counts].mean(),),
        ),
        Mistake(
            "no gradient",
            "The number is right, and nobody can learn from it: it no longer knows what it was computed from. Where did it "
            "leave torch?",
            (lambda logits, targets, counts: _loss_of_the_model(logits, targets, counts).detach(),),
        ),
    ),
    where=reply_nats,
    swapped=f"your loss teaches a copy of it a new line in {STEPS} steps",
    trial=_loss_trial,
    drive=with_gradient,
    in_place=True,  # requires_grad is no change
)


def adam_of_the_fish(
    weights: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, number: int, rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of our optimizer for a parameter that is no matrix of a block: those are Adam's."""
    p = nn.Parameter(weights.clone())
    p.grad = gradient
    ours = Optimizer([("p", p)], matrix_learning_rate=0.0, learning_rate=rate, momentum=0.0)
    ours.state["p.mean"].copy_(mean)
    ours.state["p.square"].copy_(square)
    ours.step(number, 1.0)
    return p.detach(), ours.state["p.mean"], ours.state["p.square"]


def _adam_cases(random: torch.Generator) -> list[Case]:
    def case(name: str, number: int, size: float = 1.0) -> Case:
        weights, gradient, mean = (torch.randn(3, 2, generator=random) for _ in range(3))
        square = torch.rand(3, 2, generator=random)
        if number == 1:
            mean, square = torch.zeros(3, 2), torch.zeros(3, 2)
        return Case(name, (weights, gradient * size, mean * size, square * size**2, number, 0.1))

    return [
        case("the first step", 1),
        case("the second step", 2),
        case("the fortieth step", 40),
        case("a small gradient", 5, 1e-4),
        Case("no gradient at all", (torch.ones(2), torch.zeros(2), torch.zeros(2), torch.zeros(2), 1, 0.1)),
    ]


def _adam(
    weights: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    number: int,
    rate: float,
    betas: tuple[float, float] = ADAM_BETAS,
    correct: tuple[bool, bool] = (True, True),
    late: int = 0,
    size: Function = lambda square: square.sqrt() + ADAM_EPSILON,
    keep_corrected: bool = False,
    squared: Function = torch.square,
) -> tuple[Tensor, Tensor, Tensor]:
    mean = betas[0] * mean + (1 - betas[0]) * gradient
    square = betas[1] * square + (1 - betas[1]) * squared(gradient)
    corrected = [
        value / (1 - beta ** (number - late)) if wanted and number > late else value / 0 if wanted else value
        for value, beta, wanted in zip((mean, square), betas, correct, strict=True)
    ]
    weights = weights - rate * corrected[0] / size(corrected[1])
    return (weights, corrected[0], corrected[1]) if keep_corrected else (weights, mean, square)


def _swapped(weights: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, number: int, rate: float) -> Any:
    return _adam(weights, gradient, mean, square, number, rate, betas=(ADAM_BETAS[1], ADAM_BETAS[0]))


def _adam_trial(fish: Fish, theirs: Function) -> list[Said]:
    return both_taught(fish, (_loss_of_the_model, adam_of_the_fish), (_loss_of_the_model, theirs))


ADAM = Exercise(
    name="optimizer-step",
    title="a gradient moves the weights: one step of Adam",
    right=adam_of_the_fish,
    cases=_adam_cases,
    mistakes=(
        Mistake(
            "no bias correction",
            "Both means begin at zero. How large is your mean after the first step, and how large was the gradient?",
            (partial(_adam, correct=(False, False)),),
        ),
        Mistake(
            "only one mean is corrected",
            "There are two running means, and both begin at zero.",
            (partial(_adam, correct=(True, False)), partial(_adam, correct=(False, True))),
        ),
        Mistake(
            "steps counted from zero",
            "After the first step a share of 1 - β is in the mean. What does your correction divide by then?",
            (partial(_adam, late=1), partial(_adam, late=-1)),
        ),
        Mistake(
            "epsilon under the root",
            "With small gradients your step is too short. What does the formula add epsilon to?",
            (partial(_adam, size=lambda square: (square + ADAM_EPSILON).sqrt()),),
        ),
        Mistake(
            "no epsilon",
            "A weight whose gradient was always zero: what do you divide by?",
            (partial(_adam, size=torch.sqrt),),
        ),
        Mistake(
            "no root",
            "If all gradients were ten times as large, Adam's step should stay as it is. What happens to their squares?",
            (partial(_adam, size=lambda square: square + ADAM_EPSILON),),
        ),
        Mistake(
            "uphill",
            "The gradient points to where the loss grows.",
            (lambda weights, gradient, mean, square, number, rate: _adam(weights, gradient, mean, square, number, -rate),),
        ),
        Mistake(
            "the betas are exchanged",
            "One mean is to follow quickly and one slowly. Which one has the larger β?",
            (_swapped,),
        ),
        Mistake(
            "the gradient is not squared",
            "Ups and downs cancel in a mean of gradients. What should not cancel in the second one?",
            (partial(_adam, squared=lambda gradient: gradient),),
        ),
        Mistake(
            "the corrected means are kept",
            "The correction is for this step's use. What happens to it at the next step if it is stored?",
            (partial(_adam, keep_corrected=True),),
        ),
    ),
    where=Optimizer.step,
    swapped=f"{STEPS} of your steps teach a copy of it a new line",
    trial=_adam_trial,
    in_place=True,
)
