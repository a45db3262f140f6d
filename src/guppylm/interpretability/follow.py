"""Why this token and not that one: two texts after which different tokens are likely, and what makes the difference.

Part by part, what one text's reading holds is put into the other's ("Locating and Editing Factual Associations in GPT", Meng
et al., 2022, does the same to larger models), or the part is ablated.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from guppylm.data.tokenizer import Tokenizer
from guppylm.interpretability.interventions import ablate, parts, patch
from guppylm.interpretability.lens import look
from guppylm.model import Transformer


class Case(NamedTuple):
    """Two prompts of as many tokens, and what is said after them."""

    prompt: str
    other: str
    said: str  # of the reply, in both
    right: str  # goes on after `prompt`; of a longer word, its first token is followed
    wrong: str  # goes on after `other`


class Part(NamedTuple):
    """What one head or MLP does for the right token and against the wrong one. A difference is that of their logits."""

    name: str
    direct: float  # its own contribution to the difference
    moved: float  # the share of the way to the other text, if this part alone has read that
    without: tuple[float, float]  # the difference, and the right token's probability, if it adds nothing
    mean: tuple[float, float]  # the same if it always adds its mean


class Followed:
    """A case, followed through a model.

    A share of 0 is the first text's difference between the two logits, 1 the other text's; what goes past the other is more
    than 1, and what goes the wrong way less than 0.
    """

    def __init__(self, model: Transformer, tokenizer: Tokenizer, case: Case, reference: Sequence[Sequence[int]] = ()) -> None:
        """`reference`: rows of ids, over which mean ablations take their mean.

        Raises ValueError if the prompts differ in length, or nothing in what is to be explained.
        """
        self.model, self.case, self.reference = model, case, reference
        self.look, self.other = (look(model, tokenizer, text, case.said) for text in (case.prompt, case.other))
        before, lengths = len(tokenizer.encode(case.said)), (len(self.look.ids), len(self.other.ids))
        if lengths[0] != lengths[1]:
            raise ValueError(f"{case.prompt!r} and {case.other!r} have {lengths[0]} and {lengths[1]} tokens; take as many")
        self.right, self.wrong = (tokenizer.encode(case.said + word)[before] for word in (case.right, case.wrong))
        self.here, self.there = (self.difference(seen.activations["logits"]) for seen in (self.look, self.other))
        if self.here == self.there:
            raise ValueError(f"the two texts make no difference between {case.right!r} and {case.wrong!r}; take other words")

    def difference(self, logits: Tensor) -> float:
        """The right token's logit minus the wrong one's, after the last token of (time, vocabulary)."""
        return float(logits[-1, self.right] - logits[-1, self.wrong])

    def moved(self, point: str, position: int | None = None) -> float:
        """The share that the difference moves if the activation at `point` comes from the other text: see `patch`."""
        patched = self.difference(patch(self.model, self.look.ids, self.other.ids, point, position))
        return (self.here - patched) / (self.here - self.there)

    @cached_property
    def places(self) -> list[int]:
        """The positions from the first token on in which the prompts differ. Before it all activations are the same."""
        pairs = zip(self.look.ids, self.other.ids, strict=True)
        first = next((place for place, (one, other) in enumerate(pairs) if one != other), len(self.look.ids))
        return list(range(first, len(self.look.ids)))

    @cached_property
    def stages(self) -> list[list[float]]:
        """For each stage of the residual stream the share that is moved at each of `places`."""
        return [[self.moved(stage, place) for place in self.places] for stage in self.look.stages]

    def strongest(self, count: int) -> list[Part]:
        """The heads and MLPs whose patch, at all positions, moves the most."""
        names = [part for part in parts(self.model) if ".head." in part or part.endswith(".mlp")]
        moved = {name: self.moved(name if ".head." in name else f"{name}_added") for name in names}
        given = self.look.contributions(-1, self.right, self.wrong)
        chosen = sorted(names, key=lambda name: -abs(moved[name]))[:count]
        return [Part(name, given[name], moved[name], self.ablated(name), self.ablated(name, "mean")) for name in chosen]

    @torch.no_grad()
    def ablated(self, what: str | Sequence[str], how: str = "zero") -> tuple[float, float]:
        """The difference, and the right token's probability, without these parts: see `ablate`."""
        changed = ablate(self.model, what, how, self.reference if how == "mean" else ())
        seen = look(changed, self.look.tokenizer, self.look.ids)
        return self.difference(seen.activations["logits"]), float(seen.probabilities[-1, self.right])
