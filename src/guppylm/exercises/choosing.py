"""The exercise on sampling: from logits to the probabilities that the next token is drawn from."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from guppylm.exercises.exercise import Case, Exercise, Function, Mistake, Said
from guppylm.exercises.trial import CASTLE, with_model
from guppylm.fish import Fish
from guppylm.inference.sampling import SamplingConfig, filtered

DRAWN = SamplingConfig(temperature=0.8, top_p=0.9)
AS_IT_IS = SamplingConfig(temperature=1.0)  # draw from the probabilities that come


def _probabilities_of_the_fish(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    return filtered(logits, SamplingConfig(temperature, top_p=top_p)).softmax(-1)


def _cases(random: torch.Generator) -> list[Case]:
    def case(name: str, temperature: float, top_p: float, size: float = 1.5) -> Case:
        return Case(name, (torch.randn(12, generator=random) * size, temperature, top_p))

    return [
        case("temperature 1, nothing cut", 1.0, 1.0),
        case("temperature 0.5, nothing cut", 0.5, 1.0),
        case("temperature 2, nothing cut", 2.0, 1.0),
        case("temperature 1, top-p 0.6", 1.0, 0.6),
        case("temperature 0.5, top-p 0.8", 0.5, 0.8),
        case("temperature 2, top-p 0.7", 2.0, 0.7),
        case("top-p so small that one token stays", 1.0, 0.001),
        case("large logits", 1.0, 0.9, 400.0),
    ]


def _cut(shares: Tensor, top_p: float, strict: bool = False, descending: bool = True) -> Tensor:
    """Zero for what top-p drops, by the sum of what is likelier; with `strict` the token that crosses top_p goes too."""
    ordered, order = shares.sort(descending=descending)
    total = ordered.cumsum(-1)
    dropped = total > top_p + 1e-6 if strict else (total - ordered >= top_p) & (top_p < 1)
    return shares.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), 0.0)


def _normalised(shares: Tensor) -> Tensor:
    return shares / shares.sum()


def _in_order_of_size(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    return _probabilities_of_the_fish(logits, temperature, top_p).sort(descending=True).values


def _cut_first(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    kept = _cut(logits.softmax(-1), top_p) > 0
    return (logits / temperature).masked_fill(~kept, -torch.inf).softmax(-1)


def _logits_set_to_zero(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    kept = _cut((logits / temperature).softmax(-1), top_p) > 0
    return (logits / temperature).masked_fill(~kept, 0.0).softmax(-1)


def _unguarded(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    large = (logits / temperature).exp()
    return _normalised(_cut(large / large.sum(), top_p))


def _trial(fish: Fish, theirs: Function) -> list[Said]:
    def greedy(*_: Any) -> Any:
        return logarithms(1.0, 1e-6)

    def drawn(*_: Any) -> Any:
        return logarithms(DRAWN.temperature, DRAWN.top_p)

    read: list[Tensor] = []

    def logarithms(temperature: float, top_p: float) -> Tensor:
        """In place of the logits; a softmax makes probabilities of them again."""
        logits = read.pop()
        return theirs(logits[0, -1], temperature, top_p).log()[None, None]

    said = []
    for hook, sampling, seeds in ((greedy, SamplingConfig(temperature=0), (None,)), (drawn, DRAWN, (1, 2))):
        model = deepcopy(fish.model)
        model.logits.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
        model.logits.register_forward_hook(hook)
        for seed in seeds:
            ours = fish.reply(CASTLE, seed, sampling)
            said.append(Said(CASTLE, ours, with_model(fish, model).reply(CASTLE, seed, AS_IT_IS)))
    return said


SAMPLING = Exercise(
    name="sampling",
    title="temperature and top-p: which tokens may come, and how often",
    right=_probabilities_of_the_fish,
    cases=_cases,
    mistakes=(
        Mistake(
            "multiplied by the temperature",
            "A low temperature should make the likely likelier. What does yours do?",
            (lambda logits, temperature, top_p: _probabilities_of_the_fish(logits * temperature, 1.0, top_p),),
        ),
        Mistake(
            "no temperature",
            "Probabilities divided by a number and normalised again are what they were. What must be divided, and when?",
            (lambda logits, temperature, top_p: _probabilities_of_the_fish(logits, 1.0, top_p),),
        ),
        Mistake(
            "probabilities divided by the temperature",
            "Your probabilities do not sum to one. What should be divided instead of them?",
            (
                lambda logits, temperature, top_p: _probabilities_of_the_fish(logits, 1.0, top_p) / temperature,
                lambda logits, temperature, top_p: _normalised(_cut(logits.softmax(-1) / temperature, top_p)),
            ),
        ),
        Mistake(
            "top-p before the temperature",
            "Temperature changes the probabilities that top-p adds up. Which of the two has to come first?",
            (_cut_first,),
        ),
        Mistake(
            "the token that reaches top-p is dropped",
            "What stays must reach top-p. And what is left if the likeliest token alone is above it?",
            (
                lambda logits, temperature, top_p: _normalised(_cut((logits / temperature).softmax(-1), top_p, strict=True)),
                lambda logits, temperature, top_p: (
                    (logits / temperature)
                    .masked_fill(_cut((logits / temperature).softmax(-1), top_p, strict=True) == 0, -torch.inf)
                    .softmax(-1)
                ),
            ),
        ),
        Mistake(
            "not normalised after the cut",
            "Add up what is left. One of the tokens has to come: what must the sum be?",
            (lambda logits, temperature, top_p: _cut((logits / temperature).softmax(-1), top_p),),
        ),
        Mistake(
            "left in order of size",
            "Place 0 of the result belongs to token 0. Where has the sorting put it?",
            (_in_order_of_size,),
        ),
        Mistake(
            "the unlikeliest are kept",
            "The sum has to begin with the likeliest token. Which way did you sort?",
            (
                lambda logits, temperature, top_p: _normalised(
                    _cut((logits / temperature).softmax(-1), top_p, descending=False)
                ),
            ),
        ),
        Mistake(
            "a logit of zero is not impossible",
            "e to the power of zero is one. Which logit has the probability zero?",
            (_logits_set_to_zero,),
        ),
        Mistake(
            "the exponential overflows",
            "e to the 89th does not fit a float. Softmax does not change if the same number is taken off all logits: which "
            "one helps?",
            (_unguarded,),
        ),
    ),
    where=filtered,
    swapped="your probabilities choose every token: the likeliest, then two draws with temperature 0.8 and top-p 0.9",
    trial=_trial,
)
