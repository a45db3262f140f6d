"""Rows of tokens to tensors. Rows of like length share a tensor, so hardly a token is padding.

But a step that reads rows of one length only learns something else than the next one: so each step reads several such
batches, from the shortest rows to the longest.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from guppylm.config import TrainConfig
from guppylm.data.tokenizer import Rendered

Plan = list[list[npt.NDArray[np.int64]]]  # for each step, the row numbers of each of its batches


class Batch(NamedTuple):
    """What the model reads, what it should have said next, and where that counts. All (rows, time)."""

    ids: Tensor
    targets: Tensor  # targets[i, t] is the token after ids[i, t]
    counts: Tensor  # bool: true where the target is part of a reply

    def weights(self, first: float) -> Tensor:
        """What each place that counts weighs in the loss, row by row: `first` where a reply begins, 1 elsewhere. (places,)."""
        begins = self.counts.clone()
        begins[:, 1:] &= ~self.counts[:, :-1]
        return 1 + (first - 1) * begins[self.counts].float()

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


class Steps(Protocol):
    """What each step of a training reads."""

    def __getitem__(self, step: int) -> list[Batch]:
        """The batches of this step."""


class Batches:
    """What each step of a training reads: step number `step` is a function of the rows, the seed and `step` alone."""

    def __init__(self, rows: Sequence[Rendered], config: TrainConfig, context: int) -> None:
        """A step reads about `config.tokens_per_step` tokens. Raises ValueError if no row fits the context."""
        self.numbers = [number for number, row in enumerate(rows) if len(row.ids) <= context + 1]  # of the rows that fit
        if not self.numbers:
            raise ValueError("no conversation fits the context; make the context larger or the conversations shorter")
        self.rows = rows = [rows[number] for number in self.numbers]
        self.tokens_per_batch = max(1, config.tokens_per_step // config.batches_per_step)
        self.batches_per_step = config.batches_per_step
        self.seed = config.seed
        self.lengths = np.array([len(row.ids) for row in rows])
        self._epoch = -1
        self._plan: Plan = []
        self._first = 0  # the step that the planned epoch begins with

    def __getitem__(self, step: int) -> list[Batch]:
        """The batches of this step. Steps may be asked for in any order; going forward is fast."""
        if step < self._first:
            self._epoch, self._plan, self._first = -1, [], 0
        while step >= self._first + len(self._plan):
            self._first += len(self._plan)
            self._epoch += 1
            self._plan = self._plan_epoch(self._epoch)
        return [collate([self.rows[number] for number in numbers]) for numbers in self._plan[step - self._first]]

    def rows_read(self, steps: int) -> frozenset[int]:
        """The numbers of the rows, as they were given, that the first `steps` steps read."""
        read: set[int] = set()
        epoch = 0
        while steps > 0 and len(read) < len(self.rows):
            plan = self._plan_epoch(epoch)
            read.update(self.numbers[place] for step in plan[:steps] for batch in step for place in batch.tolist())
            steps -= len(plan)
            epoch += 1
        return frozenset(read)

    def _plan_epoch(self, epoch: int) -> Plan:
        """Row numbers of each step's batches: all rows, sorted by length, are cut into batches; a step takes one from each
        part of that order, drawn at random.
        """
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.rows))
        order = order[np.argsort(self.lengths[order], kind="stable")]
        tokens = np.cumsum(self.lengths[order])
        ends = np.flatnonzero(np.diff(tokens // self.tokens_per_batch)) + 1  # a batch ends where a full budget is passed
        batches = np.split(order, ends)
        drawn = [random.permutation(places) for places in np.array_split(np.arange(len(batches)), self.batches_per_step)]
        steps = [[batches[place] for place in places if place >= 0] for places in zip_longest(*drawn, fillvalue=-1)]
        return [steps[number] for number in random.permutation(len(steps))]


def collate(rows: Sequence[Rendered]) -> Batch:
    """One batch of these rows, the shorter ones padded at their end, where the causal mask keeps padding unseen."""
    width = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    counts = torch.zeros(len(rows), width, dtype=torch.bool)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = torch.tensor(row.ids)
        counts[place, : len(row.ids)] = torch.tensor(row.is_reply)
    return Batch(ids[:, :-1], ids[:, 1:], counts[:, 1:])


def in_order(rows: Sequence[Rendered], tokens_per_batch: int) -> list[tuple[list[int], Batch]]:
    """All rows once, for evaluation: (row numbers, batch), rows of like length together."""
    order = sorted(range(len(rows)), key=lambda number: len(rows[number].ids))
    batches: list[tuple[list[int], Batch]] = []
    chosen: list[int] = []
    for number in order:
        if chosen and (len(chosen) + 1) * len(rows[number].ids) > tokens_per_batch:
            batches.append((chosen, collate([rows[n] for n in chosen])))
            chosen = []
        chosen.append(number)
    if chosen:
        batches.append((chosen, collate([rows[n] for n in chosen])))
    return batches
