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
from guppylm.inference.engine import stream
from guppylm.inference.sampling import SamplingConfig
from guppylm.interpretability.lens import Look, attention_patterns, record
from guppylm.model import Transformer

NAMED = 3  # heads that are named for each thing that heads look at


def previous_token_scores(model: Transformer, rows: Sequence[Sequence[int]]) -> Tensor:
    """(layers, heads): the mean share of attention that a token gives to the token before it.

    Over all tokens of `rows` (ids) from the third on: before that, the one before is the first, or there is none. Raises
    ValueError if there is no such token.
    """
    return _mean(_to_previous(attention_patterns(record(model, ids))) for ids in rows)


def first_token_scores(model: Transformer, rows: Sequence[Sequence[int]]) -> Tensor:
    """(layers, heads): the mean share of attention that a token gives to the first one, where heads with nothing to do rest.

    Over the tokens that `previous_token_scores` takes. Raises ValueError if there is none.
    """
    return _mean(_to_first(attention_patterns(record(model, ids))) for ids in rows)


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
    return _mean(_to_word(attention_patterns(record(model, one.ids)), one) for one in copied)


class Named(NamedTuple):
    """Heads by what they look at most, measured in one text."""

    reply: str  # the likeliest one, as a whole; empty where there is nothing to reply to
    heads: dict[str, list[tuple[str, float]]]  # what is looked at -> heads and their shares of attention, strongest first


def named_heads(seen: Look, count: int = NAMED) -> Named:
    """The heads that look most at the previous token, at the first, and at the word that the reply copies.

    The fish says its likeliest reply, or the likeliest end of one, and the shares are taken over the whole. The word is the
    longest that stands in prompt and reply; it must have four letters, since shorter ones come back by chance.
    """
    tokenizer, ids, middle = seen.tokenizer, list(seen.ids), 0
    if tokenizer.answer in ids:
        middle = ids.index(tokenizer.answer)
        ids += stream(seen.model, ids, tokenizer.end, SamplingConfig(temperature=0), seed=0)
    patterns = attention_patterns(record(seen.model, ids[: seen.model.config.context]))
    scores = {}
    if len(ids) > 2:
        scores = {"the previous token": _mean([_to_previous(patterns)]), "the first token": _mean([_to_first(patterns)])}
    prompt, reply = (tokenizer.decode(part) for part in (ids[1:middle], ids[middle + 1 :])) if middle else ("", "")
    word = _longest_shared(prompt, reply)
    for copied in copied_words(tokenizer, [Row(prompt, reply, "", "", {"word": word})]) if word else ():
        if copied.ids == ids[: len(copied.ids)]:  # else the text would be cut into other tokens
            scores[f"{word}, before it is said again"] = _mean([_to_word(patterns, copied)])
    return Named(reply, {what: _strongest(shares, count) for what, shares in scores.items()})


def _strongest(scores: Tensor, count: int) -> list[tuple[str, float]]:
    best = scores.flatten().topk(min(count, scores.numel()))
    places = (divmod(place, scores.shape[1]) for place in best.indices.tolist())
    names = (f"blocks.{layer}.attention.head.{head}" for layer, head in places)
    return list(zip(names, best.values.tolist(), strict=True))


def _longest_shared(prompt: str, reply: str) -> str:
    asked, said = (re.findall(r"[^\W\d_]{4,}", text) for text in (prompt, reply))
    return max((word for word in said if word in asked), key=len, default="")


def _to_previous(patterns: Tensor) -> Tensor:
    return patterns.diagonal(-1, -2, -1)[..., 1:]


def _to_first(patterns: Tensor) -> Tensor:
    return patterns[..., 2:, 0]


def _to_word(patterns: Tensor, copied: Copied) -> Tensor:
    return patterns[:, :, len(copied.ids) - 1, copied.sources].sum(-1, keepdim=True)


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
