"""Sentence templates: parse them, draw sentences from them, and know each sentence's exact probability.

The syntax is that of Home Assistant's sentence templates (hassil), plus weights:

    (a|b)  one of     (a:3|b)  a three times as often     [a]  maybe (probability one half)
    {pool} a word from a pool, the same word wherever it returns     {pool:other} a different word of that pool
    <rule> a named template

A sentence is a row of tokens (words and punctuation). Parts join by one space, with none before punctuation, so a
sentence splits into its tokens in one way only and every question about text is a question about tokens.

    >>> node = Parser({"object": ["castle", "rock"]}, {}).parse("[look,] a (new|shiny:3) {object}.")
    >>> join(["look", ",", "a", "new", "rock", "."])
    'look, a new rock.'
    >>> probability(node, split("look, a new rock."))  # 1/2 * 1/4 * 1/2
    0.0625
"""

import re
import unicodedata
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import accumulate, pairwise
from random import Random

Tokens = tuple[str, ...]
Bindings = tuple[tuple[str, Tokens], ...]  # (slot, value) in the order in which the slots were first drawn

ATTACHED = ".,?!;:…'"  # a token that begins with one of these joins what stands before it without a space
TOKEN = re.compile(rf"'?[^\s{ATTACHED}()\[\]{{}}<>|]+|[{ATTACHED}]")  # don't = don + 't, as it is joined
BRACKET = re.compile(r"[()\[\]|]|\{[^{}<>()\[\]|]*\}|<[^{}<>()\[\]|]*>|[^()\[\]{}<>|]+|.", re.DOTALL)
WEIGHT = re.compile(r":(\d+(?:\.\d+)?)\s*$")


class TemplateError(ValueError):
    """A template that can't be read; the message says what is wrong and what to write instead."""


def normalise(text: str) -> str:
    """Text as every template and every prompt is compared: NFC, lowercase."""
    return unicodedata.normalize("NFC", text).lower()


def split(sentence: str) -> Tokens:
    """The tokens of a sentence; `join` undoes it for every sentence that a template can say."""
    return tuple(TOKEN.findall(sentence))


def join(tokens: Sequence[str]) -> str:
    """The sentence that these tokens spell: one space between parts, none before punctuation."""
    spaced = [token if token[0] in ATTACHED else " " + token for token in tokens]
    return "".join(spaced).lstrip(" ")


@dataclass(frozen=True, eq=False, slots=True)
class Words:
    """Tokens that are said as they stand."""

    tokens: Tokens


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """Parts that are said one after the other."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """One of several options, drawn with these probabilities (they sum to one)."""

    options: tuple["Node", ...]
    probabilities: tuple[float, ...]
    cumulative: tuple[float, ...]  # probabilities summed up to and without the last option, for drawing


@dataclass(frozen=True, eq=False, slots=True)
class Slot:
    """A word of a pool: the value that its slot is bound to, or else one that no other slot of the pool took."""

    slot: str  # "object", or "object:other"
    pool: str  # "object"
    values: tuple[Tokens, ...]  # drawn with equal probability


Node = Words | Series | Choice | Slot
EMPTY = Words(())
ANY = ""  # no token is empty


def choice(options: Sequence[Node], weights: Sequence[float] | None = None) -> Node:
    """One of `options`, with probabilities in proportion to `weights` (equal without them)."""
    weights = weights or [1.0] * len(options)
    total = sum(weights)
    probabilities = tuple(weight / total for weight in weights)
    return options[0] if len(options) == 1 else Choice(tuple(options), probabilities, tuple(accumulate(probabilities))[:-1])


class Parser:
    """Reads templates over given pools (name -> words) and rules (name -> template). Raises TemplateError."""

    def __init__(self, pools: Mapping[str, Sequence[str]], rules: Mapping[str, str]) -> None:
        self.pools = {name: tuple(split(normalise(word)) for word in words) for name, words in pools.items()}
        self.rules = rules
        self.used: set[str] = set()  # "{pool}" and "<rule>" names that some template asked for
        self._parsed: dict[str, Node] = {}
        self._open: list[str] = []  # rules that are being read, outermost first

    def parse(self, template: str) -> Node:
        """The node that `template` describes."""
        parts = BRACKET.findall(normalise(template))
        if not template.strip():
            raise TemplateError("the template is empty; write what is said, or delete the line")
        self._check_spaces(parts)
        node, rest = self._alternatives(parts, 0, closing="")
        assert rest == len(parts)
        return node

    def _check_spaces(self, parts: list[str]) -> None:
        """Brackets stand free: `bubble[s]` would be said as "bubble s"."""
        for left, right in pairwise(parts):
            before_opening = right[0] in "([{<" and left[-1] not in "([| \t\n"
            after_closing = left[-1] in ")]}>" and right[0] not in ")]| \t\n" + ATTACHED
            if before_opening or after_closing:
                raise TemplateError(
                    f"{left.strip()}{right.strip()} has no space between a bracket and a word; parts are joined by a "
                    f"space, so write one there, or spell the words out: (bubble|bubbles)"
                )

    def _alternatives(self, parts: list[str], at: int, closing: str) -> tuple[Node, int]:
        """Reads alternatives up to the closing bracket; returns them and the place after it."""
        options: list[Node] = []
        weights: list[float] = []
        while True:
            node, weight, at = self._series(parts, at, weighted=bool(closing))
            end = parts[at] if at < len(parts) else ""
            if end != "|" and end != closing:
                raise TemplateError(
                    f"a bracket is closed that was never opened: {end}" if end else f"a bracket is never closed: add {closing}"
                )
            if node is EMPTY and (closing or end == "|"):
                raise TemplateError("an alternative is empty; for words that may be left out, write [words]")
            if end == "|" and not closing:
                raise TemplateError("| stands outside brackets; write (a|b)")
            options.append(node)
            weights.append(weight)
            at += 1
            if end == closing:
                return choice(options, weights), at if closing else at - 1

    def _series(self, parts: list[str], at: int, weighted: bool) -> tuple[Node, float, int]:
        """Reads one alternative: its node, its weight, and the place of the `|` or bracket that ends it."""
        nodes: list[Node] = []
        weight = 1.0
        while at < len(parts) and parts[at] not in ("|", ")", "]"):
            part = parts[at]
            at += 1
            if part == "(":
                node, at = self._alternatives(parts, at, closing=")")
            elif part == "[":
                node, at = self._alternatives(parts, at, closing="]")
                node = choice([node, EMPTY])
            elif part[0] == "{" and len(part) > 1:
                node = self._slot(part[1:-1].strip())
            elif part[0] == "<" and len(part) > 1:
                node = self._rule(part[1:-1].strip())
            elif part in ("{", "}", "<", ">"):
                raise TemplateError(f"a bracket is unbalanced or empty: {part}")
            else:
                ends_option = weighted and at < len(parts) and parts[at] in ("|", ")", "]")
                found = WEIGHT.search(part) if ends_option else None
                if found:
                    weight = float(found[1])
                    part = part[: found.start()]
                    if weight == 0:
                        raise TemplateError("a weight of 0 means never; delete that alternative")
                node = self._words(part)
            if node is not EMPTY:
                nodes.append(node)
        series = nodes[0] if len(nodes) == 1 else Series(tuple(nodes)) if nodes else EMPTY
        return series, weight, at

    def _words(self, text: str) -> Node:
        tokens = split(text)
        if join(tokens) != " ".join(text.split()):
            raise TemplateError(
                f'"{text.strip()}" would be said as "{join(tokens)}": no space stands before punctuation, one stands after it'
            )
        return Words(tokens) if tokens else EMPTY

    def _slot(self, slot: str) -> Node:
        pool = slot.partition(":")[0]
        if pool not in self.pools:
            raise TemplateError(f"unknown slot {{{slot}}}; {_did_you_mean(pool, self.pools)}")
        if pool != slot and len(self.pools[pool]) < 2:
            raise TemplateError(f"{{{slot}}} asks for a different word, but the pool {pool} has only one; add words")
        self.used.add(f"{{{pool}}}")
        return Slot(slot, pool, self.pools[pool])

    def _rule(self, name: str) -> Node:
        if name not in self.rules:
            raise TemplateError(f"unknown rule <{name}>; {_did_you_mean(name, self.rules)}")
        self.used.add(f"<{name}>")
        if name in self._open:
            path = " -> ".join(f"<{rule}>" for rule in [*self._open, name])
            raise TemplateError(f"a rule calls itself: {path}; a rule may only use other rules")
        if name not in self._parsed:
            self._open.append(name)
            try:
                self._parsed[name] = self.parse(self.rules[name])
            finally:
                self._open.pop()
        return self._parsed[name]


def _did_you_mean(name: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "define it, or take one of: " + ", ".join(sorted(known)[:8])


def sample(node: Node, stream: Random, bindings: dict[str, Tokens] | None = None) -> list[str]:
    """Draws a sentence's tokens. `bindings` gives the slots already bound and receives those that are drawn.

    Only `stream.random()` is called, whose numbers Python promises. Raises LookupError where all words of a slot are taken.
    """
    tokens: list[str] = []
    _sample(node, stream.random, {} if bindings is None else bindings, tokens)
    return tokens


def _sample(node: Node, uniform: Callable[[], float], bindings: dict[str, Tokens], tokens: list[str]) -> None:
    while isinstance(node, Choice):
        node = node.options[bisect(node.cumulative, uniform())]
    if isinstance(node, Words):
        tokens += node.tokens
    elif isinstance(node, Series):
        for part in node.parts:
            if isinstance(part, Words):
                tokens += part.tokens
            else:
                _sample(part, uniform, bindings, tokens)
    else:
        if node.slot not in bindings:
            if not (free := free_values(node, bindings)):
                raise LookupError(f"every word that {{{node.slot}}} may take is taken by another slot of its pool")
            bindings[node.slot] = free[int(uniform() * len(free))]
        tokens.extend(bindings[node.slot])


def free_values(node: Slot, bindings: Mapping[str, Tokens]) -> Sequence[Tokens]:
    """The values that this slot may take, given those that other slots of its pool have taken."""
    taken = {value for slot, value in bindings.items() if slot.partition(":")[0] == node.pool}
    return [value for value in node.values if value not in taken] if taken else node.values


def readings(node: Node, tokens: Tokens, bindings: Bindings = ()) -> dict[Bindings, float]:
    """Every way to bind the slots of `node` such that it says exactly `tokens`, each with its probability.

    The inside algorithm, left to right: `states` maps (tokens said so far, slots bound so far) to the summed
    probability of all derivations that lead there. Rules can't call themselves, so one pass over the tree is enough.
    """
    states = _advance(node, tokens, {(0, bindings): 1.0})
    return {bound: p for (said, bound), p in states.items() if said == len(tokens)}


def probability(node: Node, tokens: Tokens, bindings: Bindings = ()) -> float:
    """The probability that `node` says `tokens` when `bindings` are given, summed over every derivation."""
    return sum(readings(node, tokens, bindings).values())


@lru_cache(maxsize=2**18)  # templates share their rules
def first_tokens(node: Node) -> frozenset[str]:
    """The tokens that a sentence of `node` may begin with; ANY is among them if it may be empty or begins with a slot."""
    if isinstance(node, Words):
        return frozenset(node.tokens[:1] or {ANY})
    if isinstance(node, Slot):
        return frozenset({ANY})
    if isinstance(node, Choice):
        return frozenset().union(*map(first_tokens, node.options))
    return first_tokens(node.parts[0])


State = tuple[int, Bindings]  # tokens said, slots bound


def _advance(node: Node, tokens: Tokens, states: dict[State, float]) -> dict[State, float]:
    if isinstance(node, Words):
        said, length = node.tokens, len(node.tokens)
        return {(at + length, bound): p for (at, bound), p in states.items() if tokens[at : at + length] == said}
    if isinstance(node, Series):
        for part in node.parts:
            states = _advance(part, tokens, states)
            if not states:
                break
        return states
    reached: dict[State, float] = {}
    if isinstance(node, Choice):
        beginnings = {ANY, *(tokens[at] for at, _ in states if at < len(tokens))}
        for option, share in zip(node.options, node.probabilities, strict=True):
            if first_tokens(option).isdisjoint(beginnings):
                continue  # most options are settled by their first word
            for state, p in _advance(option, tokens, states).items():
                reached[state] = reached.get(state, 0.0) + share * p
        return reached
    for (at, bound), p in states.items():
        values = dict(bound)
        free = [values[node.slot]] if node.slot in values else free_values(node, values)
        for value in free:
            if tokens[at : at + len(value)] == value:
                after = bound if node.slot in values else (*bound, (node.slot, value))
                state = (at + len(value), after)
                reached[state] = reached.get(state, 0.0) + p / len(free)
    return reached
