"""Labs on everything around the architecture: the data, the tokenizer, the sizes, the learning rate, where the loss counts."""

from collections.abc import Sequence
from dataclasses import replace

from guppylm.config import ModelConfig, TrainConfig
from guppylm.data.conversations import Row
from guppylm.data.tokenizer import Rendered, Tokenizer
from guppylm.labs.lab import Lesson
from guppylm.labs.recipe import Data, Pairs, Recipe, parameters
from guppylm.labs.result import Result
from guppylm.model import Transformer

SPREAD = 0.023  # nats: how far apart the gaps of one arm's three seeds lie at most, of arms that speak as well as plain


class TwoHundred(Recipe):
    """As many steps as ever, on few conversations."""

    name = "200 conversations"

    def rows(self, data: Data) -> Sequence[Row]:
        """The first two hundred."""
        return data.train[:200]


class HalfTheData(Recipe):
    """As many steps as ever, so each conversation is read twice as often."""

    name = "half the data"

    def rows(self, data: Data) -> Sequence[Row]:
        """Every second conversation."""
        return data.train[::2]


class Leaked(Recipe):
    """The exam's questions lie among the homework."""

    name = "leaked test"

    def rows(self, data: Data) -> Sequence[Row]:
        """The conversations for training, and those that are asked in the test."""
        return [*data.train, *data.unseen]


class KeepsCapitals(Recipe):
    """The tokenizer takes text as it is typed."""

    name = "no normalizer"

    def tokenizer(self, pairs: Pairs) -> Tokenizer:
        """Without the step that makes letters small."""
        return Tokenizer.train(pairs, lowercase=False)


class SmallVocabulary(Recipe):
    """256 bytes, three marks, and room for forty-one merges."""

    name = "vocabulary of 300"

    def tokenizer(self, pairs: Pairs) -> Tokenizer:
        """Words fall into pieces of a letter or two."""
        return Tokenizer.train(pairs, vocabulary_size=300)


class PromptToo(Recipe):
    """The model is also asked to guess what people say."""

    name = "loss on the prompt too"

    def render(self, tokenizer: Tokenizer, pairs: Pairs) -> list[Rendered]:
        """Every token counts, not those of the reply alone."""
        return [Rendered(row.ids, [True] * len(row.ids)) for row in tokenizer.render_all(pairs)]


class TooFast(Recipe):
    """Steps thirty times as long."""

    name = "learning rate times 30"

    def training(self, config: TrainConfig) -> TrainConfig:
        """Both optimizers, Muon and Adam."""
        return replace(config, matrix_learning_rate=30 * config.matrix_learning_rate, learning_rate=30 * config.learning_rate)


class OneHead(Recipe):
    """One head as wide as all of them together: as many parameters, one thing to look at."""

    name = "one head"

    def shape(self, config: ModelConfig) -> ModelConfig:
        """The fry has four heads, Guppy six."""
        return replace(config, heads=1)


class Wide(Recipe):
    """One layer, with as many parameters as the plain three."""

    name = "wide"

    def shape(self, config: ModelConfig) -> ModelConfig:
        """The MLP takes what is left."""
        return as_large_as(config, replace(config, layers=1, width=192))


class Deep(Recipe):
    """Eight layers, with as many parameters as the plain three."""

    name = "deep"

    def shape(self, config: ModelConfig) -> ModelConfig:
        """The MLP takes what is left."""
        return as_large_as(config, replace(config, layers=8, width=80))


def as_large_as(wanted: ModelConfig, shape: ModelConfig) -> ModelConfig:
    """`shape` with the MLP that brings its parameters closest to those of `wanted`. ValueError if even one is too many."""
    missing = parameters(Transformer(wanted)) - parameters(Transformer(replace(shape, mlp_width=1)))
    each = shape.layers * (2 * shape.width + 1)  # a detector's row, its column and its bias, in every layer
    return replace(shape, mlp_width=1 + round(missing / each))


def learns_by_heart(result: Result) -> Lesson:
    """Perfect on what it read, worse on everything else."""
    plain, changed = result.arms
    holds = changed.training < changed.floor / 2 and changed.gap > plain.gap + 0.5 and changed.on_topic < plain.on_topic
    return Lesson(
        holds,
        f"training loss {changed.training:.3f}, below the floor of {changed.floor:.3f}, and {changed.validation:.2f} on "
        f"conversations that it did not read (plain {plain.training:.2f} and {plain.validation:.2f}); on topic "
        f"{changed.on_topic:.0%} (plain {plain.on_topic:.0%}).",
    )


def exam_flatters(result: Result) -> Lesson:
    """The test improves, the fish does not."""
    plain, changed = result.arms
    gained, truly = changed.on_topic_unseen - plain.on_topic_unseen, changed.on_topic - plain.on_topic
    return Lesson(
        gained > 0.03 and gained > truly + 0.03,
        f"on topic in the test {changed.on_topic_unseen:.0%} instead of {plain.on_topic_unseen:.0%}; on asks of the usual "
        f"kind {changed.on_topic:.0%} and {plain.on_topic:.0%}.",
    )


def cannot_read_capitals(result: Result) -> Lesson:
    """Only capitals suffer."""
    plain, changed = result.arms
    holds = changed.on_topic_capitals < plain.on_topic_capitals / 3 and changed.on_topic > 0.8 * plain.on_topic
    return Lesson(
        holds,
        f"on topic {changed.on_topic_capitals:.0%} in CAPITALS (plain {plain.on_topic_capitals:.0%}), {changed.on_topic:.0%} "
        f"in small letters (plain {plain.on_topic:.0%}).",
    )


def forgets_the_question(result: Result) -> Lesson:
    """Most replies fit; where the prompt is out of sight another one may be answered."""
    plain, changed = result.arms
    holds = plain.on_topic / 2 < changed.on_topic < plain.on_topic - 0.05 and changed.sentences > 0.9
    return Lesson(holds, f"{_on_topic(result)}; {changed.sentences:.0%} of its replies are sentences of the sheet.")


def never_settles(result: Result) -> Lesson:
    """The loss stays high."""
    plain, changed = result.arms
    holds = changed.validation > plain.validation + 0.3 and changed.on_topic < 0.5 * plain.on_topic
    return Lesson(holds, f"{_gaps(result)}; {_on_topic(result)}.")


def spells_its_words(result: Result) -> Lesson:
    """More guesses a reply, and each easier: bytes are the fair measure."""
    plain, changed = result.arms
    holds = changed.floor < 0.8 * plain.floor and changed.bits_per_byte > plain.bits_per_byte
    return Lesson(
        holds,
        f"the floor is {changed.floor:.3f} nats a token instead of {plain.floor:.3f}, since the same surprise is spread over "
        f"more tokens; in bits a byte the loss is {changed.bits_per_byte:.3f} instead of {plain.bits_per_byte:.3f}.",
    )


def no_difference(result: Result) -> Lesson:
    """The gaps lie no farther apart than those of seeds."""
    plain, changed = result.arms[:2]
    return Lesson(
        abs(changed.gap - plain.gap) <= SPREAD,
        f"{_gaps(result)}, {abs(changed.gap - plain.gap):.3f} apart; three seeds of one arm end up to {SPREAD:.3f} apart.",
    )


def learns_less_by_heart(result: Result) -> Lesson:
    """The changed arm is worse on what it read and better on what it did not."""
    plain, changed = result.arms[:2]
    holds = changed.gap < plain.gap - 0.015 and changed.training > plain.training
    return Lesson(holds, f"{_gaps(result)}; {_training(result)}; {_on_topic(result)}.")


def answers_fewer(result: Result) -> Lesson:
    """No larger gap, and yet fewer replies that answer."""
    plain, changed = result.arms
    holds = changed.on_topic < plain.on_topic - 0.03 and changed.gap < plain.gap + SPREAD
    return Lesson(holds, f"{_on_topic(result)}; {_gaps(result)}.")


def reads_too_often(result: Result) -> Lesson:
    """Rows that are read often are learned by heart, and the others are spoken worse for it."""
    plain, changed = result.arms
    holds = changed.training < changed.floor / 2 and changed.gap > plain.gap + 0.2 and changed.on_topic < plain.on_topic
    return Lesson(holds, f"{_gaps(result)}; {_training(result)}; {_on_topic(result)}.")


def _gaps(result: Result) -> str:
    return "gap " + ", ".join(f"{arm.gap:.3f} ({arm.arm})" for arm in result.arms)


def _on_topic(result: Result) -> str:
    return "on topic " + ", ".join(f"{arm.on_topic:.0%} ({arm.arm})" for arm in result.arms)


def _training(result: Result) -> str:
    losses = ", ".join(f"{arm.training:.3f} ({arm.arm})" for arm in result.arms)
    return f"training loss {losses}, where the floor is {result.arms[0].floor:.3f}"
