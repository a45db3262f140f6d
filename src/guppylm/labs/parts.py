"""The core labs: take one part out of the transformer, train the rest, and hear what it says.

Each works on a plain Transformer that was just made. `Silence` in place of a point makes a part add nothing: its weights
stay where they are, get no gradient, and never move.
"""

from torch import Tensor, nn

from guppylm.interpretability.lens import blocks_of
from guppylm.labs.lab import Lesson
from guppylm.labs.recipe import Recipe
from guppylm.labs.result import Result
from guppylm.model import Block, KeyValueCache, Point, Transformer


class Silence(Point):
    """A point that lets nothing through."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros like `x`."""
        return x * 0


class NoMask(Recipe):
    """Every token may look at those behind it too: at the answers."""

    name = "no mask"

    def change(self, model: Transformer) -> None:
        """Where the mask held minus infinity, it now holds nothing."""
        for block in blocks_of(model):
            block.attention.mask.zero_()


class NoPositions(Recipe):
    """No token is told at which place it stands."""

    name = "no positions"

    def change(self, model: Transformer) -> None:
        """The position's vector never reaches the stream."""
        model.positions = Silence()


class NoAttention(Recipe):
    """No token hears of any other."""

    name = "no attention"

    def change(self, model: Transformer) -> None:
        """What attention adds is dropped."""
        for block in blocks_of(model):
            block.attention_added = Silence()


class NoMLP(Recipe):
    """Tokens exchange, but none is worked on by itself."""

    name = "no mlp"

    def change(self, model: Transformer) -> None:
        """What the MLP adds is dropped."""
        for block in blocks_of(model):
            block.mlp_added = Silence()


class Bare(nn.Module):
    """A block that replaces what it is given, where the plain one adds to it; and nothing keeps its numbers in range."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.attention, self.mlp = block.attention, block.mlp

    def forward(self, x: Tensor, layer: int, cache: KeyValueCache | None) -> Tensor:
        """(batch, time, width) to the same shape."""
        return self.mlp(self.attention(x, layer, cache))


class NoNormNoResidual(Recipe):
    """The same attention and the same MLPs, one behind the other."""

    name = "no norm, no residual"

    def change(self, model: Transformer) -> None:
        """Bare blocks, and no LayerNorm at the end either."""
        model.blocks = nn.ModuleList(Bare(block) for block in blocks_of(model))
        model.register_module("final_norm", nn.Identity())


def learns_to_peek(result: Result) -> Lesson:
    """A loss below the floor, and no speech."""
    plain, changed = result.arms
    holds = changed.training < changed.floor / 2 and changed.sentences < 0.2 < 0.6 < plain.sentences
    return Lesson(
        holds,
        f"training loss {changed.training:.3f}, below the floor of {changed.floor:.3f}, which no honest reader can pass. "
        f"But of its replies {changed.sentences:.0%} are sentences (plain {plain.sentences:.0%}).",
    )


def order_is_not_lost(result: Result) -> Lesson:
    """It talks without positions."""
    plain, changed = result.arms
    holds = changed.sentences > 0.5 * plain.sentences and changed.on_topic > 0.5 * plain.on_topic
    return Lesson(
        holds,
        f"gap {changed.gap:.3f} nats without positions, {plain.gap:.3f} with them; on topic {changed.on_topic:.0%} and "
        f"{plain.on_topic:.0%}. It still talks.",
    )


def does_not_hear(result: Result) -> Lesson:
    """Replies that have nothing to do with their prompts."""
    plain, changed = result.arms
    holds = changed.on_topic < 0.1 < 0.4 < plain.on_topic and changed.validation > plain.validation + 1
    return Lesson(
        holds,
        f"on topic {changed.on_topic:.0%} (plain {plain.on_topic:.0%}); {changed.validation:.2f} nats a token "
        f"(plain {plain.validation:.2f}).",
    )


def talks_without_thinking(result: Result) -> Lesson:
    """A little worse, and far from broken."""
    plain, changed = result.arms
    holds = changed.gap > plain.gap and changed.on_topic > 0.5 * plain.on_topic
    return Lesson(
        holds,
        f"gap {changed.gap:.3f} nats without MLP, {plain.gap:.3f} with it; on topic {changed.on_topic:.0%} and "
        f"{plain.on_topic:.0%}.",
    )


def learns_slowly(result: Result) -> Lesson:
    """Far behind after as many steps."""
    plain, changed = result.arms
    holds = changed.validation > 1.5 * plain.validation and changed.on_topic < 0.4 * plain.on_topic
    return Lesson(
        holds,
        f"after as many steps {changed.validation:.2f} nats a token (plain {plain.validation:.2f}, floor {plain.floor:.2f}); "
        f"on topic {changed.on_topic:.0%} (plain {plain.on_topic:.0%}).",
    )
