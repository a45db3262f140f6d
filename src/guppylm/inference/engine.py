"""Replies, token by token: the prompt is read once, then each new token is drawn and fed back through the KV cache."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

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
    """A reply to each prompt. Prompts of one length are read and answered side by side, so nothing is padded."""
    device = model.token_embedding.weight.device
    random = generator(seed, device)
    rendered = [tokenizer.render_prompt(prompt, model.config.context)[0] for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda number: len(rendered[number]))
    replies = [Reply() for _ in prompts]
    while order:
        length = len(rendered[order[0]])
        group = [number for number in order[:BATCH] if len(rendered[number]) == length]
        order = order[len(group) :]
        ids = torch.tensor([rendered[number] for number in group], device=device)
        for number, said in zip(group, _reply_side_by_side(model, ids, tokenizer.end, config, random), strict=True):
            ended = tokenizer.end in said
            said = said[: said.index(tokenizer.end)] if ended else said
            replies[number] = Reply(said, tokenizer.decode(said), ended)
    return replies


def _reply_side_by_side(
    model: Transformer, ids: Tensor, end: int, config: SamplingConfig, random: torch.Generator
) -> list[list[int]]:
    """Draws until every row of `ids` (rows, time) has ended; what a row says after its end is to be ignored."""
    cache = KeyValueCache(model.config, ids.shape[0], model.token_embedding.weight)
    logits = model(ids, cache)[:, -1]
    said: list[Tensor] = []
    ended = torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)
    while True:
        token = draw(logits, config, random)
        said.append(token)
        ended |= token == end
        if bool(ended.all()) or cache.length == model.config.context:
            return torch.stack(said, dim=1).tolist()
        logits = model(token[:, None], cache)[:, -1]
