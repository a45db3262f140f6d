"""The exercise on the KV cache."""

from typing import Any

import torch
from torch import Tensor

from guppylm.config import ModelConfig
from guppylm.exercises.exercise import Case, Exercise, Function, Mistake
from guppylm.exercises.trial import talks
from guppylm.interpretability.lens import blocks_of
from guppylm.model import KeyValueCache, Transformer


def _cache_of_the_model(stored: Tensor, new: Tensor, length: int) -> Tensor:
    """KeyValueCache.extend, in a cache of one layer whose keys are `stored`."""
    batch, heads, context, head_width = stored.shape
    config = ModelConfig(context=context, layers=1, width=heads * head_width, heads=heads)
    cache = KeyValueCache(config, batch, stored)
    cache.entries[0, 0], cache.length = stored, length
    keys, _ = cache.extend(0, new, new)
    stored.copy_(cache.entries[0, 0])
    return keys


def _read_in_pieces(extend: Function, pieces: list[Tensor], context: int) -> dict[str, Any]:
    """What comes back after each piece of one text."""
    batch, heads, _, head_width = pieces[0].shape
    stored, length, results = torch.zeros(batch, heads, context, head_width), 0, {}
    for number, piece in enumerate(pieces, 1):
        result = extend(stored, piece.clone(), length)
        results[f"call {number}"] = result.clone() if isinstance(result, Tensor) else result  # a later one may write into it
        length += piece.shape[2]
    return results


def _cache_cases(random: torch.Generator) -> list[Case]:
    def case(name: str, context: int, *lengths: int, batch: int = 1, heads: int = 2) -> Case:
        return Case(name, ([torch.randn(batch, heads, length, 3, generator=random) for length in lengths], context))

    return [
        case("a prompt of four", 8, 4),
        case("a prompt of three, then token by token", 8, 3, 1, 1),
        case("two texts, in pieces of two", 9, 2, 2, 2, batch=2),
        case("until the context is full", 5, 2, 2, 1),
    ]


def _cache_fault(stored: Tensor, new: Tensor, start: int, end: int) -> Tensor:
    stored[:, :, start : start + new.shape[2]] = new
    return stored[:, :, :end]


class TheirCache:
    """The engine's cache, in which the learner's function stores."""

    def __init__(self, ours: KeyValueCache, extend: Function) -> None:
        self.ours = ours
        self.length = ours.length
        self.their_extend = extend

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """As KeyValueCache.extend."""
        of_keys, of_values = self.ours.entries[layer]
        return self.their_extend(of_keys, keys, self.length), self.their_extend(of_values, values, self.length)


def _put_cache(model: Transformer, theirs: Function) -> None:
    def replace(_: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x, layer, cache = inputs
        return x, layer, cache and TheirCache(cache, theirs)

    for block in blocks_of(model):
        block.register_forward_pre_hook(replace)


CACHE = Exercise(
    name="kv-cache",
    title="what was computed for earlier tokens is kept",
    right=_cache_of_the_model,
    cases=_cache_cases,
    mistakes=(
        Mistake(
            "one place too far",
            "`length` tokens are stored, and the first of them is at place 0. At which place is the first free one?",
            (
                lambda stored, new, length: _cache_fault(stored, new, length + 1, length + new.shape[2]),
                lambda stored, new, length: _cache_fault(stored, new, length + 1, length + 1 + new.shape[2]),
            ),
        ),
        Mistake(
            "one place too early",
            "The last token that was stored is gone after the next one. At which place is the first free one?",
            (
                lambda stored, new, length: _cache_fault(stored, new, max(0, length - 1), max(0, length - 1) + new.shape[2]),
                lambda stored, new, length: _cache_fault(stored, new, max(0, length - 1), length + new.shape[2]),
                lambda stored, new, length: _cache_fault(stored, new, length - 1, length + new.shape[2]),
                lambda stored, new, length: _cache_fault(stored, new, length - 1, length - 1 + new.shape[2]),
            ),
        ),
        Mistake(
            "always written at the start",
            "The second piece lands on top of the first. Which argument says where to go on?",
            (lambda stored, new, length: _cache_fault(stored, new, 0, length + new.shape[2]),),
        ),
        Mistake(
            "the whole buffer comes back",
            "Places that hold no token yet hold zeros, and a zero key gets its share of attention too. How many places count?",
            (lambda stored, new, length: _cache_fault(stored, new, length, stored.shape[2]),),
        ),
        Mistake(
            "the newest tokens are missing from what comes back",
            "A token may look at itself. Up to which place must the result reach?",
            (
                lambda stored, new, length: _cache_fault(stored, new, length, length),
                lambda stored, new, length: _cache_fault(stored, new, length, length + new.shape[2] - 1),
            ),
        ),
        Mistake(
            "only the new ones come back",
            "The new token is to look at the old ones. Where are their keys?",
            (lambda stored, new, length: new,),
        ),
        Mistake(
            "nothing is stored",
            "The first result is right, and the next call does not know of it. What must still hold when you are gone?",
            (lambda stored, new, length: torch.cat([stored[:, :, :length], new], 2),),
        ),
    ),
    where=KeyValueCache.extend,
    swapped="your cache for keys and values, in every layer",
    trial=talks(_put_cache),
    drive=_read_in_pieces,
    in_place=True,
)
