"""How an arm of a lab is made. The plain one stands here; a lab changes one method of it, and shows that method."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from guppylm.config import ModelConfig, TrainConfig, preset
from guppylm.data.character import Character
from guppylm.data.conversations import Conversations, Row
from guppylm.data.tokenizer import Rendered, Tokenizer
from guppylm.evaluation.loss import reply_tokens, row_losses
from guppylm.evaluation.replies import Judge
from guppylm.inference.engine import reply_to_all
from guppylm.inference.sampling import SamplingConfig
from guppylm.interpretability.lens import blocks_of
from guppylm.model import Transformer

TOPICS = ("greeting", "decorations", "food", "cat")  # of Guppy's sixty: what a fry learns to talk about in seconds
PROMPTS = ("i got you a new castle", "hi guppy", "are you hungry", "my cat is watching you", "where is your castle")
ROWS, VALIDATION_ROWS = 8_000, 400

Pairs = list[tuple[str, str]]  # (prompt, reply)


@dataclass(frozen=True)
class Data:
    """What all arms of a lab are taught from and judged by. All of it depends on the character and a seed alone."""

    train: list[Row]
    validation: list[Row]  # drawn as the training rows are; they carry their surprisal
    unseen: list[Row]  # asks that no training row holds: test_unseen_ask
    judge: Judge
    prompts: tuple[str, ...]  # to show what an arm says


def prepare(
    character: Character,
    seed: int,
    topics: Sequence[str] = TOPICS,
    prompts: Sequence[str] = PROMPTS,
    rows: int = ROWS,
    validation: int = VALIDATION_ROWS,
) -> Data:
    """Draws the conversations of a part of the character's topics. Raises ValueError if it has none of them."""
    turns = tuple(turn for turn in character.turns if turn.topic in topics)
    if not turns:
        raise ValueError(f"{character.name} has no topic of {', '.join(topics)}; it has {', '.join(character.topics)}")
    source = Conversations(replace(character, turns=turns), seed)
    drawn = source.rows("validation", validation)
    return Data(
        train=list(source.rows("train", rows)),
        validation=[row._replace(surprisal=source.surprisal(row)) for row in drawn],
        unseen=source.tests["test_unseen_ask"][:validation],
        judge=Judge(source),
        prompts=tuple(prompts),
    )


class Recipe:
    """The plain arm: the fry preset, trained as every fish is. Each method is a place where a lab may change something."""

    name = "plain"

    def rows(self, data: Data) -> Sequence[Row]:
        """The conversations to learn from."""
        return data.train

    def tokenizer(self, pairs: Pairs) -> Tokenizer:
        """Learns the tokens from the conversations."""
        return Tokenizer.train(pairs)

    def render(self, tokenizer: Tokenizer, pairs: Pairs) -> list[Rendered]:
        """Conversations as ids, and where the loss counts."""
        return tokenizer.render_all(pairs)

    def shape(self, config: ModelConfig) -> ModelConfig:
        """The size of the model."""
        return config

    def change(self, model: Transformer) -> None:
        """Alters the new model in place."""

    def training(self, config: TrainConfig) -> TrainConfig:
        """How it is trained."""
        return config

    def losses(self, model: Transformer, tokenizer: Tokenizer, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """Each row's summed reply loss in nats, and how many tokens of it count: (rows,) both, float64."""
        rendered = tokenizer.render_all([(row.prompt, row.reply) for row in rows])
        return row_losses(model, rendered), reply_tokens(rendered)

    def replies(self, model: Transformer, tokenizer: Tokenizer, prompts: Sequence[str], seed: int) -> list[str]:
        """What the trained model says to each prompt, at temperature 0.7."""
        return [reply.text for reply in reply_to_all(model, tokenizer, prompts, SamplingConfig(), seed)]

    def model(self, tokenizer: Tokenizer, seed: int) -> Transformer:
        """The untrained model of this arm: plain initialisation, then the change. The global random state stays as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = plain_start(self.shape(replace(preset("fry"), vocabulary_size=tokenizer.rows)))
            self.change(model)
        return model


def plain_start(config: ModelConfig) -> Transformer:
    """A model in which every matrix starts at random.

    Guppy's own start lets each half block add nothing at first, and attention look at all tokens alike: tricks, the first
    of which only works with residuals, so a lab would compare tricks and not parts. All arms of all labs start like this.
    """
    model = Transformer(config)
    for block in blocks_of(model):
        for silent in (block.attention.query, block.attention.output, block.mlp.output):
            nn.init.normal_(silent.weight, std=1 / math.sqrt(silent.in_features))
    return model


def parameters(model: nn.Module) -> int:
    """How many numbers training moves."""
    return sum(p.numel() for p in model.parameters())
