"""A context of eight tokens: conversations are cut into windows, to train, to measure and to speak."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from guppylm.config import ModelConfig
from guppylm.data.conversations import Row
from guppylm.data.tokenizer import REPLY_TOKENS, Rendered, Tokenizer
from guppylm.evaluation.loss import reply_tokens, row_losses
from guppylm.inference.engine import generator
from guppylm.inference.sampling import SamplingConfig, draw
from guppylm.labs.recipe import Pairs, Recipe
from guppylm.model import Transformer

CONTEXT = 8


class ShortContext(Recipe):
    """The model never sees more than the last eight tokens."""

    name = "context of 8"

    def shape(self, config: ModelConfig) -> ModelConfig:
        """Positions 0 to 7."""
        return replace(config, context=CONTEXT)

    def render(self, tokenizer: Tokenizer, pairs: Pairs) -> list[Rendered]:
        """Conversations in pieces; each reply token counts in one of them, with five tokens before it or more."""
        return [window for row in tokenizer.render_all(pairs) for window in windows(row, CONTEXT // 2)]

    def losses(self, model: Transformer, tokenizer: Tokenizer, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
        """Each reply token is guessed from the eight before it, or from all if there are fewer."""
        rendered = tokenizer.render_all([(row.prompt, row.reply) for row in rows])
        pieces = [windows(row, 1) for row in rendered]
        owner = torch.tensor([number for number, part in enumerate(pieces) for _ in part])
        losses = row_losses(model, [window for part in pieces for window in part])
        return torch.zeros(len(rows), dtype=torch.float64).index_add(0, owner, losses), reply_tokens(rendered)

    @torch.inference_mode()
    def replies(self, model: Transformer, tokenizer: Tokenizer, prompts: Sequence[str], seed: int) -> list[str]:
        """Prompts are read whole, but only the last eight tokens are seen; windows of one length are answered side by side."""
        random, config = generator(seed, model.token_embedding.weight.device), SamplingConfig()
        read = [[tokenizer.start, *tokenizer.encode(prompt), tokenizer.answer] for prompt in prompts]
        said: list[list[int]] = [[] for _ in prompts]
        speaking = set(range(len(prompts)))
        for _ in range(REPLY_TOKENS):
            seen = {number: (read[number] + said[number])[-CONTEXT:] for number in sorted(speaking)}
            for length in sorted({len(ids) for ids in seen.values()}):
                group = [number for number, ids in seen.items() if len(ids) == length]
                logits = model(torch.tensor([seen[number] for number in group]))[:, -1]
                for number, token in zip(group, draw(logits, config, random).tolist(), strict=True):
                    if token == tokenizer.end:
                        speaking.discard(number)
                    else:
                        said[number].append(token)
        return [tokenizer.decode(ids) for ids in said]


def windows(row: Rendered, stride: int) -> list[Rendered]:
    """The pieces of a conversation that hold reply tokens: eight tokens to read and the one after them, `stride` further each.

    A token counts in the first piece that it is in, so it counts once. Short conversations are one piece.
    """
    pieces = []
    counted = 0  # the tokens before this one have had their turn
    end = min(len(row.ids), CONTEXT + 1)
    while counted < len(row.ids):
        start = max(0, end - CONTEXT - 1)
        counts = [row.is_reply[place] and place >= counted for place in range(start, end)]
        if any(counts):
            pieces.append(Rendered(row.ids[start:end], counts))
        counted, end = end, min(len(row.ids), end + stride)
    return pieces
