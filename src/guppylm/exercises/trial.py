"""The learner's function inside a trained fish: does it still say what it says with ours?"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from guppylm.data.batches import collate
from guppylm.exercises.exercise import Function, Said
from guppylm.fish import Fish
from guppylm.inference.sampling import SamplingConfig
from guppylm.model import Transformer

CASTLE = "i got you a new castle"
GREEDY = SamplingConfig(temperature=0)  # always the likeliest token: two models that compute the same say the same
LESSON = "a new castle. the snail gets the stairs."  # what a copy of the fish learns to say
STEPS, RATE = 6, 3e-4


class Counted:
    """A function that knows how often it was called."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, *inputs: Any) -> Any:
        """Calls it."""
        self.calls += 1
        return self.function(*inputs)


def with_model(fish: Fish, model: Transformer) -> Fish:
    """The same fish with another model."""
    return Fish(model, fish.tokenizer, fish.run)


def talks(install: Callable[[Transformer, Function], None]) -> Callable[[Fish, Function], list[Said]]:
    """A trial in which `install` puts the learner's function into a copy of the model, and both copies talk."""

    def trial(fish: Fish, theirs: Function) -> list[Said]:
        model = deepcopy(fish.model)
        install(model, theirs)
        return [compared(fish, with_model(fish, model))]

    return trial


def compared(ours: Fish, theirs: Fish, seed: int | None = None, sampling: SamplingConfig = GREEDY) -> Said:
    """What both say to the castle."""
    return Said(CASTLE, ours.reply(CASTLE, seed, sampling), theirs.reply(CASTLE, seed, sampling))


def both_taught(fish: Fish, with_ours: tuple[Function, Function], with_theirs: tuple[Function, Function]) -> list[Said]:
    """What the fish says before it is taught, and after it was with (loss, step) of ours and of theirs."""
    ours, theirs = taught(fish, *with_ours), taught(fish, *with_theirs)
    return [compared(ours, theirs)._replace(before=fish.reply(CASTLE, sampling=GREEDY))]


def taught(fish: Fish, loss: Function, step: Function) -> Fish:
    """A copy of the fish after a few steps on one new reply to the castle.

    `loss(logits, targets, counts)` and `step(weights, gradient, mean, square, number, rate)` are those of the exercises.
    """
    model = deepcopy(fish.model)
    batch = collate([fish.tokenizer.render(CASTLE, LESSON)])
    parameters = list(model.parameters())
    state: list[Sequence[Tensor]] = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    for number in range(1, STEPS + 1):
        gradients = torch.autograd.grad(loss(model(batch.ids), batch.targets, batch.counts), parameters)
        with torch.no_grad():
            for place, (p, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                weights, *state[place] = step(p.detach().clone(), gradient, *state[place], number, RATE)
                p.copy_(weights)
    return with_model(fish, model)
