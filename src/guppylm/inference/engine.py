"""Replies, token by token: the prompt is read once, then each new token is drawn and fed back through the KV cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from guppylm.data.tokenizer import Tokenizer
from guppylm.inference.sampling import SamplingConfig, draw
from guppylm.model import KeyValueCache, Transformer

BATCH = 128  # prompts that are answered side by side


@dataclass
class Reply:
    """A reply and the tokens it is made of. `ended` is false if the context was full before the model was done."""

    ids: list[int] = field(default_factory=list)
    text: str = ""
    ended: bool = False


def generator(seed: int | None, device: torch.device) -> torch.Generator:
    """A random stream of its own; None seeds it from the operating system."""
    random = torch.Generator(device=device)
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)
    return random


@torch.inference_mode()
def stream(model: Transformer, ids: Sequence[int], end: int, config: SamplingConfig, seed: int | None) -> Iterator[int]:
    """The ids of one reply to the rendered prompt `ids`, as they are drawn, without the end token."""
    device = model.token_embedding.weight.device
    random = generator(seed, device)
    cache = KeyValueCache(model.config, 1, model.token_embedding.weight)
    new = torch.tensor([list(ids)], device=device)
    while True:
        token = int(draw(model(new, cache)[0, -1], config, random))
        if token == end:
            return
        yield token
        if cache.length == model.config.context:
            return
        new = torch.tensor([[token]], device=device)


def stream_text(
    model: Transformer, tokenizer: Tokenizer, ids: Sequence[int], config: SamplingConfig, seed: int | None
) -> Iterator[str]:
    """The same as text. A piece is held back while it ends in the middle of a character."""
    said: list[int] = []
    shown = ""
    for token in stream(model, ids, tokenizer.end, config, seed):
        said.append(token)
        text = tokenizer.decode(said)
        if not text.endswith("\ufffd"):
            yield text[len(shown) :]
            shown = text
    rest = tokenizer.decode(said)[len(shown) :]
    if rest:
        yield rest


@torch.inference_mode()
def reply_to_all(
    model: Transformer, tokenizer: Tokenizer, prompts: Sequence[str], config: SamplingConfig, seed: int | None
) -> list[Reply]:
    """A reply to each prompt: many at once, since all of them can use a weight while it is at hand."""
    random = generator(seed, model.token_embedding.weight.device)
    rendered = [tokenizer.render_prompt(prompt, model.config.context)[0] for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda number: len(rendered[number]))
    replies = [Reply() for _ in prompts]
    for first in range(0, len(order), BATCH):
        group = order[first : first + BATCH]
        written = _side_by_side(model, [rendered[number] for number in group], tokenizer.end, config, random)
        for number, row in zip(group, written, strict=True):
            said = row[len(rendered[number]) :]
            ended = tokenizer.end in said
            said = said[: said.index(tokenizer.end)] if ended else said
            replies[number] = Reply(said, tokenizer.decode(said), ended)
    return replies


def _side_by_side(
    model: Transformer, prompts: list[list[int]], end: int, config: SamplingConfig, random: torch.Generator
) -> list[list[int]]:
    """Each prompt with its reply; what stands behind the end token is to be ignored.

    All rows read as far as the shortest prompt goes, and then take one token at a time, so that they stay equally long: a
    row whose prompt goes on takes the prompt's next token, the others draw theirs.
    """
    device = model.token_embedding.weight.device
    width = max(map(len, prompts))
    told = torch.tensor([ids + [-1] * (width - len(ids)) for ids in prompts], device=device)
    lengths = torch.tensor([len(ids) for ids in prompts], device=device)
    written = told[:, : int(lengths.min())]
    cache = KeyValueCache(model.config, len(prompts), model.token_embedding.weight)
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    new = written
    while not bool(ended.all()) and cache.length < model.config.context:
        last = torch.zeros_like(new, dtype=torch.bool)
        last[:, -1] = True
        token = draw(model(new, cache, last), config, random)
        at = written.shape[1]
        if at < width:
            token = torch.where(at < lengths, told[:, at], token)
        ended |= (token == end) & (at >= lengths)
        new = token[:, None]
        written = torch.cat((written, new), dim=1)
    return written.tolist()
