"""How far from perfect: the loss on replies, the floor that no model can pass, and the gap between the two.

The floor is the replies' own surprisal under the grammar that made them. It is known exactly, because a prompt
determines its turn and its bindings. A model's cross-entropy is that floor plus its distance from perfect.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from guppylm.data.batches import Batch, in_order
from guppylm.data.conversations import Row
from guppylm.data.tokenizer import Rendered, Tokenizer
from guppylm.model import Transformer

TOKENS_PER_BATCH = 8192


@dataclass(frozen=True)
class LossReport:
    """Means over all reply tokens of some rows, each reply's end token included. Nats unless said."""

    loss_nats: float
    floor_nats: float
    gap_nats: float  # loss - floor
    gap_standard_error: float  # over rows
    bits_per_byte: float  # the loss over the bytes of the replies, so that tokenizers can be compared
    rows: int
    tokens: int

    @staticmethod
    def of(rows: Sequence[Row], losses: Tensor, tokens: Tensor) -> "LossReport":
        """The figures, given each row's summed loss and the number of its reply tokens: (rows,), float64.

        Raises ValueError for rows that don't carry their surprisal.
        """
        if not rows or any(row.surprisal is None for row in rows):
            raise ValueError("the gap needs rows that carry their surprisal: those of validation and of the tests")
        floors = torch.tensor([row.surprisal for row in rows], dtype=torch.float64)
        total = float(tokens.sum())
        gap = float((losses - floors).sum()) / total
        residuals = (losses - floors) - gap * tokens  # a ratio of means: its error by linearisation
        return LossReport(
            loss_nats=float(losses.sum()) / total,
            floor_nats=float(floors.sum()) / total,
            gap_nats=gap,
            gap_standard_error=float(residuals.pow(2).sum().sqrt()) / total,
            bits_per_byte=float(losses.sum()) / math.log(2) / sum(len(row.reply.encode()) for row in rows),
            rows=len(rows),
            tokens=int(total),
        )


@dataclass(frozen=True)
class Loss:
    """The same means where no grammar made the text, so that nobody knows its floor."""

    loss_nats: float
    bits_per_byte: float
    rows: int
    tokens: int

    @staticmethod
    def of(losses: Tensor, tokens: Tensor, counted_bytes: Sequence[int]) -> "Loss":
        """The figures, given each row's summed loss, the number of its tokens that count, and their bytes: (rows,)."""
        total, nats = float(tokens.sum()), float(losses.sum())
        return Loss(nats / total, nats / math.log(2) / sum(counted_bytes), len(losses), int(total))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Inside, matrix products run in that precision; sums, norms and the weights stay in float32."""
    return torch.autocast(device.type, getattr(torch, precision), enabled=precision != "float32", cache_enabled=False)


def reply_nats(model: Transformer, batch: Batch, precision: str) -> Tensor:
    """The cross-entropy of each of the batch's reply tokens, row by row: (tokens,), in nats. Their mean is the loss."""
    with autocast(batch.ids.device, precision):
        logits = model(batch.ids, only=batch.counts)
    return F.cross_entropy(logits.float(), batch.targets[batch.counts], reduction="none")


@torch.inference_mode()
def row_losses(model: Transformer, rendered: Sequence[Rendered], precision: str = "float32") -> Tensor:
    """Each row's summed loss over its reply tokens, in nats: (rows,), float64."""
    device = model.token_embedding.weight.device
    sums = torch.zeros(len(rendered), dtype=torch.float64)
    for numbers, batch in in_order(rendered, TOKENS_PER_BATCH):
        there = batch.to(device)
        losses = reply_nats(model, there, precision)
        place = there.counts.nonzero()[:, 0].cpu()  # the row in the batch that each loss belongs to
        sums[numbers] = torch.zeros(len(numbers), dtype=torch.float64).index_add(0, place, losses.double().cpu())
    return sums


def reply_tokens(rendered: Sequence[Rendered]) -> Tensor:
    """How many tokens of each row count: (rows,), float64."""
    return torch.tensor([sum(row.is_reply) for row in rendered], dtype=torch.float64)


def loss_report(model: Transformer, tokenizer: Tokenizer, rows: Sequence[Row], precision: str = "float32") -> LossReport:
    """A model's figures for rows that carry their surprisal (those of validation and the tests). Else ValueError."""
    rendered = tokenizer.render_all([(row.prompt, row.reply) for row in rows])
    return LossReport.of(rows, row_losses(model, rendered, precision), reply_tokens(rendered))


def plain_loss(
    model: Transformer, rendered: Sequence[Rendered], counted_bytes: Sequence[int], precision: str = "float32"
) -> Loss:
    """A model's figures where the floor is unknown; `counted_bytes` are those of what counts in each row or window."""
    return Loss.of(row_losses(model, rendered, precision), reply_tokens(rendered), counted_bytes)
