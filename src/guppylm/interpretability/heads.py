"""What attention heads do, in figures: each head's mean share of attention in a certain direction.

"In-context Learning and Induction Heads" (Olsson et al., 2022).
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from guppylm.data.conversations import Row
from guppylm.data.tokenizer import Tokenizer
from guppylm.interpretability.lens import attention_patterns, record
from guppylm.model import Transformer


def previous_token_scores(model: Transformer, rows: Sequence[Sequence[int]]) -> Tensor:
    """(layers, heads): the mean share of attention that a token gives to the token before it.

    Over all tokens of `rows` (ids) from the third on: before that, the one before is the first, or there is none. Raises
    ValueError if there is no such token.
    """
    return _mean(attention_patterns(record(model, ids)).diagonal(-1, -2, -1)[..., 1:] for ids in rows)


def first_token_scores(model: Transformer, rows: Sequence[Sequence[int]]) -> Tensor:
    """(layers, heads): the mean share of attention that a token gives to the first one, where heads with nothing to do rest.

    Over the tokens that `previous_token_scores` takes. Raises ValueError if there is none.
    """
    return _mean(attention_patterns(record(model, ids))[..., 2:, 0] for ids in rows)


class Copied(NamedTuple):
    """A place where a reply takes up a word of its prompt."""

    ids: list[int]  # the conversation as far as it has been read when the word is due
    sources: list[int]  # the places of the word's tokens in the prompt


def copied_words(tokenizer: Tokenizer, rows: Iterable[Row]) -> list[Copied]:
    """Where replies first take up a word that their prompt bound."""
    found = []
    for row in rows:
        for word in row.bindings.values():
            asked, said = (_spelled(tokenizer, text, word) for text in (row.prompt, row.reply))
            if asked and said:
                prompt = [tokenizer.start, *tokenizer.encode(row.prompt), tokenizer.answer]
                found.append(Copied(prompt + tokenizer.encode(row.reply)[: said[0]], [1 + place for place in asked]))
    return found


def copying_scores(model: Transformer, copied: Sequence[Copied]) -> Tensor:
    """(layers, heads): the mean share of attention that goes to a word of the prompt just before the reply repeats it.

    The token that looks is the last one read, which has to predict the first token of the word; the shares of all tokens of
    the word count together. A head that looks everywhere alike would score their number / tokens read. Raises ValueError if
    `copied` is empty.
    """
    return _mean(attention_patterns(record(model, ids))[:, :, -1, at].sum(-1, keepdim=True) for ids, at in copied)


def _mean(found: Iterable[Tensor]) -> Tensor:
    """(layers, heads) from pieces of (layers, heads, tokens)."""
    pieces = [piece for piece in found if piece.shape[-1]]
    if not pieces:
        raise ValueError("there is nothing to score; give rows of three tokens or more, and for copying some that copy a word")
    return torch.cat(pieces, dim=-1).mean(-1)


def _spelled(tokenizer: Tokenizer, text: str, word: str) -> list[int]:
    """The places of the tokens of `text` that spell `word`, or a part of it, wherever it stands."""
    spans = [match.span() for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text)]
    offsets = tokenizer.bpe.encode(text, add_special_tokens=False).offsets  # in characters; a space belongs to its token
    return [at for at, (start, end) in enumerate(offsets) if any(start < last and first < end for first, last in spans)]
