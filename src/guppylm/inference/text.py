"""Text that goes on: no reply begins or ends, so it is as long as somebody wants it."""

from collections.abc import Iterator, Sequence

import torch

from guppylm.data.tokenizer import Tokenizer
from guppylm.inference.engine import generator
from guppylm.inference.sampling import SamplingConfig, draw
from guppylm.model import KeyValueCache, Transformer

TOKENS = 200  # that a beginning is continued by


@torch.inference_mode()
def continue_text(
    model: Transformer, tokenizer: Tokenizer, ids: Sequence[int], config: SamplingConfig, seed: int | None, tokens: int
) -> Iterator[str]:
    """So many tokens after `ids`, as text, in pieces; a piece is held back while it ends in the middle of a character.

    When the context is full, the model reads its later half again and goes on from there: its positions are learned, so
    they can't slide.
    """
    device = model.token_embedding.weight.device
    random = generator(seed, device)
    whole, held_back = list(ids), list[int]()
    cache = KeyValueCache(model.config, 1, model.token_embedding.weight)
    new = whole
    for _ in range(tokens):
        if cache.length + len(new) > model.config.context:
            cache = KeyValueCache(model.config, 1, model.token_embedding.weight)
            new = whole[-max(1, model.config.context // 2) :]
        token = int(draw(model(torch.tensor([new], device=device), cache)[0, -1], config, random))
        whole.append(token)
        new = [token]
        held_back.append(token)
        piece = tokenizer.decode(held_back)
        if not piece.endswith("\ufffd"):
            yield piece
            held_back = []
    if held_back:
        yield tokenizer.decode(held_back)
