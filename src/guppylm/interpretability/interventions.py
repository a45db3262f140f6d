"""What changes without a part: ablation ("knocking out") and activation patching.

For patching: "Investigating Gender Bias in Language Models Using Causal Mediation Analysis" (Vig et al., 2020).
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from guppylm.interpretability.lens import batch_of_one, blocks_of, hooked, listed, place_of, points, record
from guppylm.model import Block, Transformer


def parts(model: Transformer) -> list[str]:
    """The names that `ablate` knows."""
    names = []
    for n, block in enumerate(blocks_of(model)):
        heads = [f"blocks.{n}.attention.head.{head}" for head in range(block.attention.heads)]
        names += [f"blocks.{n}", f"blocks.{n}.attention", *heads, f"blocks.{n}.mlp"]
    return names


@torch.no_grad()
def ablate(
    model: Transformer, what: str | Sequence[str], how: str = "zero", reference: Sequence[Sequence[int]] = ()
) -> Transformer:
    """A copy of the model in which a part, or several, no longer depends on what is read. The original is untouched.

    `what`: a block ("blocks.2"), half of one ("blocks.2.attention", "blocks.2.mlp") or a head
    ("blocks.2.attention.head.4"). `how`: with "zero" the part adds nothing to the residual stream; with "mean" it always
    adds the mean of what it adds in the original over all tokens of `reference`, rows of ids. Both are written into the
    weights, so the copy is a plain Transformer, which replies and exports as any other. Raises ValueError.
    """
    names, known = [what] if isinstance(what, str) else list(what), parts(model)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"there is no {unknown[0]!r} to ablate; there are {listed(model, known)}")
    if how not in ("zero", "mean"):
        raise ValueError(f'there is no ablation {how!r}; there are "zero" and "mean"')
    if how == "mean" and not reference:
        raise ValueError('"mean" needs reference rows, over which it is taken; give some, or ablate with "zero"')
    means = _means(model, reference) if how == "mean" else {}
    copy = deepcopy(model)
    for name in names:
        number, _, part = name.removeprefix("blocks.").partition(".")
        _silence(blocks_of(copy)[int(number)], part, f"blocks.{number}", means)
    return copy


def _silence(block: Block, part: str, at: str, means: dict[str, Tensor]) -> None:
    """Writes zero or the mean in place of what `part` adds: "" is the whole block."""
    if part in ("", "attention"):
        _always_add(block.attention.output, means.get(f"{at}.attention_added"))
    if part in ("", "mlp"):
        _always_add(block.mlp.output, means.get(f"{at}.mlp_added"))
    if part.startswith("attention.head."):
        head, output = int(part.removeprefix("attention.head.")), block.attention.output
        columns = output.weight.view(output.out_features, block.attention.heads, -1)[:, head]  # a view: (width, head width)
        if means:
            output.bias.add_(columns @ means[f"{at}.attention.mixed"][head])
        columns.zero_()  # a second time this adds nothing, so parts may overlap


def _always_add(output: nn.Linear, value: Tensor | None) -> None:
    output.weight.zero_()
    output.bias.zero_()
    if value is not None:
        output.bias.add_(value)


def _means(model: Transformer, rows: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """What heads mix and half blocks add, averaged over all tokens of all rows: the shapes in `Look` without time."""
    totals: dict[str, Tensor] = {}
    for ids in rows:
        for name, activation in record(model, ids).items():
            if name.endswith((".mixed", "_added")):
                total = activation.sum(-2)
                totals[name] = totals[name] + total if name in totals else total
    return {name: total / sum(map(len, rows)) for name, total in totals.items()}


@torch.no_grad()
def patch(
    model: Transformer,
    ids: Sequence[int],
    other_ids: Sequence[int],
    point: str,
    position: int | None = None,
    other_position: int | None = None,
) -> Tensor:
    """Logits (time, vocabulary) for `ids`, with the activation at one point replaced by the one from reading `other_ids`.

    `point`: a name in `Look.activations`, or "blocks.2.attention.head.4" for what that head mixed. With `position` only that
    token's is replaced, by the one at `other_position` (without it at the same); without, all of them, which needs texts of
    one length. At scores and pattern the position is that of the token that looks, and must be the same. Raises ValueError.
    """
    heads = [part for part in parts(model) if ".head." in part]
    if point not in points(model) and point not in heads:
        raise ValueError(f"there is no point {point!r}; there are {listed(model, [*points(model), *heads])}")
    if position is None or point.endswith((".scores", ".pattern")):
        if len(ids) != len(other_ids):
            raise ValueError(
                f"texts of {len(ids)} and {len(other_ids)} tokens can't be exchanged as a whole at {point}; take texts of one"
                " length, or name a position, at another point than scores or pattern"
            )
        if other_position not in (None, position):
            raise ValueError(f"at {point} the two positions must be the same; leave out other_position")
    name, _, head = point.replace(".head.", ".mixed.head.").partition(".head.")
    taken = record(model, other_ids)[name]
    here = there = slice(None)
    if position is not None:
        place = place_of(position, len(ids))
        other = place_of(position if other_position is None else other_position, len(other_ids))
        here, there = slice(place, place + 1), slice(other, other + 1)

    def replace(at: str, activation: Tensor) -> Tensor | None:
        if at != name:
            return None
        changed = activation.clone()  # time is the last axis but one, everywhere
        if head:
            changed[:, int(head), here] = taken[int(head), there]
        else:
            changed[..., here, :] = taken[..., there, :]
        return changed

    with hooked(model, replace):
        return cast(Tensor, model(batch_of_one(model, ids))[0])
