"""Exercises on what the model reads: merging tokens, and looking up their vectors."""

import json
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer as BPETokenizer
from tokenizers import models
from torch import Tensor

from guppylm.data.tokenizer import Tokenizer, clean
from guppylm.exercises.exercise import Case, Exercise, Function, Mistake, Said
from guppylm.exercises.trial import compared, talks
from guppylm.fish import Fish
from guppylm.model import Transformer

Tokens = list[str]
Pair = tuple[str, str]


def merged_by_tokenizers(tokens: Tokens, pair: Pair) -> Tokens:
    """The same by the library that trains and runs our tokenizer; each token is one letter of a private alphabet there."""
    alphabet = sorted({*tokens, *pair})
    letter = {token: chr(0xE000 + number) for number, token in enumerate(alphabet)}
    first, second = letter[pair[0]], letter[pair[1]]
    spelled = {letter[token]: token for token in alphabet} | {first + second: pair[0] + pair[1]}
    bpe = BPETokenizer(models.BPE({key: number for number, key in enumerate(spelled)}, [(first, second)]))
    return [spelled[token] for token in bpe.encode("".join(letter[token] for token in tokens)).tokens]


def _merge_cases(_: torch.Generator) -> list[Case]:
    return [
        Case("one place", (["c", "a", "s", "t", "l", "e"], ("s", "t"))),
        Case("two places", (["t", "h", "e", " ", "t", "h", "e", "n"], ("t", "h"))),
        Case("at the very end", (["n", "e", "w"], ("e", "w"))),
        Case("three of a kind", (["a", "a", "a", "b"], ("a", "a"))),
        Case("halves that are long already", (["ca", "st", "le", "st", "ca"], ("ca", "st"))),
        Case("the pair the other way round", (["b", "a", "b"], ("a", "b"))),
        Case("a longer token that ends like the first half", (["bubb", "b", "l"], ("b", "b"))),
        Case("nothing to merge", (["f", "i", "s", "h"], ("x", "y"))),
        Case("no tokens", ([], ("a", "b"))),
    ]


def _first_only(tokens: Tokens, pair: Pair) -> Tokens:
    for i in range(len(tokens) - 1):
        if (tokens[i], tokens[i + 1]) == pair:
            return [*tokens[:i], "".join(pair), *tokens[i + 2 :]]
    return tokens


def _second_half_stays(tokens: Tokens, pair: Pair) -> Tokens:
    return ["".join(pair) if tuple(tokens[i : i + 2]) == pair else tokens[i] for i in range(len(tokens))]


def _last_is_lost(tokens: Tokens, pair: Pair) -> Tokens:
    merged, i = [], 0
    while i < len(tokens) - 1:
        found = (tokens[i], tokens[i + 1]) == pair
        merged.append("".join(pair) if found else tokens[i])
        i += 2 if found else 1
    return merged


def _from_the_right(tokens: Tokens, pair: Pair) -> Tokens:
    backwards = merged_by_tokenizers(tokens[::-1], (pair[1], pair[0]))
    return ["".join(pair) if token == pair[1] + pair[0] else token for token in backwards[::-1]]


def _either_order(tokens: Tokens, pair: Pair) -> Tokens:
    merged, i = [], 0
    while i < len(tokens):
        found = tuple(tokens[i : i + 2]) in (pair, pair[::-1])
        merged.append("".join(pair) if found else tokens[i])
        i += 2 if found else 1
    return merged


def _either_order_as_it_stands(tokens: Tokens, pair: Pair) -> Tokens:
    merged, i = [], 0
    while i < len(tokens):
        found = tuple(tokens[i : i + 2]) in (pair, pair[::-1])
        merged.append("".join(tokens[i : i + 2]) if found else tokens[i])
        i += 2 if found else 1
    return merged


def _as_text(tokens: Tokens, pair: Pair) -> Tokens:
    return " ".join(tokens).replace(" ".join(pair), "".join(pair)).split(" ")


def _as_text_by_lines(tokens: Tokens, pair: Pair) -> Tokens:
    return "\n".join(tokens).replace("\n".join(pair), "".join(pair)).split("\n") if tokens else []


class TheirTokenizer(Tokenizer):
    """The fish's tokenizer, except that the learner's function does every merge."""

    def __init__(self, bpe: BPETokenizer, merge: Function) -> None:
        super().__init__(bpe)
        self.merge = merge
        self.merges = [tuple(pair) for pair in json.loads(self.to_json())["model"]["merges"]]

    def encode(self, text: str) -> list[int]:
        """Every word starts as its bytes; then all merges, in the order in which they were learnt."""
        bpe: Any = self.bpe
        ids = []
        for word, _ in bpe.pre_tokenizer.pre_tokenize_str(bpe.normalizer.normalize_str(clean(text))):
            tokens = list(word)
            for pair in self.merges:
                tokens = self.merge(tokens, pair)
            ids += [bpe.token_to_id(token) for token in tokens]
        return ids


def _merge_trial(fish: Fish, theirs: Function) -> list[Said]:
    return [compared(fish, Fish(fish.model, TheirTokenizer(fish.tokenizer.bpe, theirs), fish.run))]


MERGE = Exercise(
    name="bpe-merge",
    title="two tokens that stand side by side become one",
    right=merged_by_tokenizers,
    cases=_merge_cases,
    mistakes=(
        Mistake("only the first place is merged", "What if the pair stands in the text twice?", (_first_only,)),
        Mistake(
            "the second half stays",
            "A merge takes two tokens and leaves one. Where does your reading go on after it?",
            (_second_half_stays,),
        ),
        Mistake(
            "the last token is lost",
            "You look at pairs, and the last token begins none. Who takes it over into the result?",
            (_last_is_lost,),
        ),
        Mistake("merged from the right", "Try three of a kind by hand: which two of them meet first?", (_from_the_right,)),
        Mistake(
            "merged in either order",
            "“ab” and “ba” are spelled differently. Which of the two does the pair speak of?",
            (_either_order, _either_order_as_it_stands),
        ),
        Mistake(
            "searched in the joined text",
            "In joined text a longer token may end, or begin, just like half of the pair. Compare whole tokens.",
            (_as_text, _as_text_by_lines),
        ),
    ),
    where=Tokenizer.train,
    swapped="your merges make its tokens",
    trial=_merge_trial,
)


def _looked_up(ids: Tensor, tokens: Tensor, positions: Tensor, past: int) -> Tensor:
    return F.embedding(ids, tokens) + F.embedding(torch.arange(past, past + ids.shape[1]), positions)


def _lookup_cases(random: torch.Generator) -> list[Case]:
    tokens, positions = torch.randn(50, 4, generator=random), torch.randn(6, 4, generator=random)

    def case(name: str, batch: int, time: int, past: int) -> Case:
        return Case(name, (torch.randint(50, (batch, time), generator=random), tokens, positions, past))

    return [
        case("one text of five tokens", 1, 5, 0),
        case("three texts of three tokens", 3, 3, 0),
        case("two texts that fill the context", 2, 6, 0),
        case("one new token after four", 1, 1, 4),
        case("two new tokens after three", 2, 2, 3),
        Case("the same token four times", (torch.full((1, 4), 7), tokens, positions, 0)),
    ]


def _put_lookup(model: Transformer, theirs: Function) -> None:
    read: dict[str, Any] = {}

    def note(_: Any, inputs: tuple[Any, ...]) -> None:
        cache = inputs[1] if len(inputs) > 1 else None
        read.update(ids=inputs[0], past=0 if cache is None else cache.length)

    def replace(*_: Any) -> Any:
        return theirs(read["ids"], model.token_embedding.weight, model.position_embedding.weight, read["past"])

    model.register_forward_pre_hook(note)
    model.embedded.register_forward_hook(replace)


LOOKUP = Exercise(
    name="embedding-lookup",
    title="ids become vectors: what each token is, and where it stands",
    right=_looked_up,
    cases=_lookup_cases,
    mistakes=(
        Mistake(
            "no positions",
            "“the snail eats you” and “you eat the snail” would look alike. What tells a token where it stands?",
            (lambda ids, tokens, positions, past: tokens[ids],),
        ),
        Mistake(
            "the tokens already read are not counted",
            "A token that comes after four others stands at place 4. Which argument knows of them?",
            (lambda ids, tokens, positions, past: tokens[ids] + positions[: ids.shape[1]],),
        ),
        Mistake(
            "places counted from one",
            "The first token of a text stands at the table's first row. Which number does that row have?",
            (lambda ids, tokens, positions, past: tokens[ids] + positions[torch.arange(past, past + ids.shape[1]) + 1],),
        ),
        Mistake(
            "places counted over the texts",
            "Two texts side by side both begin at place 0. Which axis is time?",
            (lambda ids, tokens, positions, past: tokens[ids] + positions[torch.arange(past, past + ids.shape[0])][:, None],),
        ),
        Mistake(
            "multiplied",
            "Two vectors are to be kept in one, so that either can be read out again. Which operation does the formula name?",
            (lambda ids, tokens, positions, past: tokens[ids] * positions[torch.arange(past, past + ids.shape[1])],),
        ),
        Mistake(
            "positions looked up by token",
            "The same word at two places needs two position vectors. What should choose the row, the word or the place?",
            (lambda ids, tokens, positions, past: tokens[ids] + positions[ids],),
        ),
    ),
    where=Transformer.forward,
    swapped="your lookup at its entrance",
    trial=talks(_put_lookup),
)
