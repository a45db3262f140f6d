"""What is true of all sentences of a template, and whether two templates can say the same one.

The loader's proofs: a prompt belongs to one turn only and tells its slots in one way only, no reply is too long.
"""

import gc
import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import TypeVar

from guppylm.data.grammar import Bindings, Choice, Node, Series, Slot, Tokens, Words, free_values

WORD = re.compile(r"[^.,?!;:…]+")  # a clitic such as 't counts with its word
CLITIC = re.compile(r"'.*")
SENTENCE_END = re.compile(r"[.?!…]")

Fact = TypeVar("Fact")


def _parts(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Series):
        return node.parts
    return node.options if isinstance(node, Choice) else ()


def _kept(find: Callable[[Node], Fact]) -> Callable[[Node], Fact]:
    """Keeps what is found about a node with parts: templates share their rules, and are looked at again and again."""
    kept = lru_cache(maxsize=2**18)(find)
    return wraps(find)(lambda node: find(node) if isinstance(node, (Words, Slot)) else kept(node))


@_kept
def slots(node: Node) -> frozenset[str]:
    """The names of all slots that stand in `node`."""
    if isinstance(node, Slot):
        return frozenset({node.slot})
    return frozenset().union(*map(slots, _parts(node)))


@_kept
def vocabulary(node: Node) -> frozenset[str]:
    """Every token that some sentence of `node` holds."""
    if isinstance(node, Words):
        return frozenset(node.tokens)
    if isinstance(node, Slot):
        return frozenset(token for value in node.values for token in value)
    return frozenset().union(*map(vocabulary, _parts(node)))


@_kept
def literals(node: Node) -> frozenset[str]:
    """Every token that `node` can say by itself, its slots aside."""
    if isinstance(node, Words):
        return frozenset(node.tokens)
    if isinstance(node, Slot):
        return frozenset()
    return frozenset().union(*map(literals, _parts(node)))


@_kept
def clauses(node: Node) -> frozenset[frozenset[str]]:
    """What every sentence of `node` holds: at least one token of each of these sets."""
    if isinstance(node, Words):
        return frozenset(frozenset({token}) for token in node.tokens)
    if isinstance(node, Slot):
        return frozenset({frozenset(value[-1] for value in node.values)})
    found = [clauses(part) for part in _parts(node)]
    if isinstance(node, Series):
        return frozenset().union(*found)
    if not all(found):
        return frozenset()  # an option that may say nothing
    of_each = (min(option, key=lambda clause: (len(clause), -max(map(len, clause)))) for option in found)
    return frozenset.intersection(*found) | {frozenset().union(*of_each)}


def may_say(node: Node, tokens: frozenset[str]) -> bool:
    """False if a sentence of these tokens can't be one of `node`: it lacks something, or holds a stranger."""
    return tokens <= vocabulary(node) and all(not clause.isdisjoint(tokens) for clause in clauses(node))


def longest(node: Node, counted: re.Pattern[str]) -> int:
    """The largest number of tokens matching `counted` that a sentence of `node` can hold."""
    if isinstance(node, Words):
        return sum(bool(counted.fullmatch(token)) for token in node.tokens)
    if isinstance(node, Series):
        return sum(longest(part, counted) for part in node.parts)
    if isinstance(node, Choice):
        return max(longest(option, counted) for option in node.options)
    return max(sum(bool(counted.fullmatch(token)) for token in value) for value in node.values)


def rarest(node: Node) -> float:
    """No sentence of `node` is less likely than this: the smallest probability of any of its derivations, or less."""
    if isinstance(node, Series):
        return math.prod(rarest(part) for part in node.parts)
    if isinstance(node, Choice):
        return min(share * rarest(option) for option, share in zip(node.options, node.probabilities, strict=True))
    return 1 / len(node.values) if isinstance(node, Slot) else 1.0


def with_values(node: Node, values: Callable[[Slot], tuple[Tokens, ...]]) -> Node:
    """The same template with other words in its slots; parts without slots stay the same objects."""
    if not slots(node):
        return node
    if isinstance(node, Slot):
        return Slot(node.slot, node.pool, values(node))
    if isinstance(node, Series):
        return Series(tuple(with_values(part, values) for part in node.parts))
    if isinstance(node, Choice):
        options = tuple(with_values(option, values) for option in node.options)
        return Choice(options, node.probabilities, node.cumulative)
    return node


Stack = tuple["Node | Tokens", "Stack"] | None  # what a sentence has still to say: the next node, then the rest
Step = tuple[str, Stack, Bindings]
END = ""  # the token after the last
KEPT_STEPS = 20_000  # places in templates whose next tokens are kept, so that memory stays flat


class Overlap:
    """Whether two templates can say the same sentence. Keeps what it learnt about each template for the next pair."""

    def __init__(self) -> None:
        self._known: dict[tuple[Stack, Bindings], set[Step]] = {}

    def _steps(self, stack: Stack, bindings: Bindings) -> set[Step]:
        """The tokens that may come next, each with what remains to be said after it."""
        key = (stack, bindings)
        if len(self._known) > KEPT_STEPS:
            self._known.clear()
        if key not in self._known:
            self._known[key] = set(self._find_steps(stack, bindings))
        return self._known[key]

    def _find_steps(self, stack: Stack, bindings: Bindings) -> Iterator[Step]:
        if stack is None:
            yield END, None, bindings
            return
        node, rest = stack
        if isinstance(node, Words):
            node = node.tokens
        if isinstance(node, tuple):
            if node:
                yield node[0], (node[1:], rest) if node[1:] else rest, bindings
            else:
                yield from self._steps(rest, bindings)
        elif isinstance(node, Series):
            for part in reversed(node.parts):
                rest = (part, rest)
            yield from self._steps(rest, bindings)
        elif isinstance(node, Choice):
            for option in node.options:
                yield from self._steps((option, rest), bindings)
        else:
            values = dict(bindings)
            for value in [values[node.slot]] if node.slot in values else free_values(node, values):
                bound = bindings if node.slot in values else (*bindings, (node.slot, value))
                yield from self._steps((value, rest), bound)

    def clash(self, a: Node, b: Node, same_turn: bool) -> Tokens | None:
        """A prompt that both `a` and `b` can say and that does not tell which turn, or which slot values, was meant.

        Two asks of one turn may say the same prompt as long as both bind its slots alike: nothing depends on which it
        was. Walks through both templates together, token by token, along the prompts that they share.
        """
        start: tuple[Stack, Bindings, Stack, Bindings] = ((a, None), (), (b, None), ())
        todo: list[tuple[Tokens, tuple[Stack, Bindings, Stack, Bindings]]] = [((), start)]
        seen = {start}
        while todo:
            said, (stack_a, bound_a, stack_b, bound_b) = todo.pop()
            steps_b: dict[str, list[tuple[Stack, Bindings]]] = {}
            for token, rest, bound in self._steps(stack_b, bound_b):
                steps_b.setdefault(token, []).append((rest, bound))
            for token, rest_a, after_a in self._steps(stack_a, bound_a):
                for rest_b, after_b in steps_b.get(token, ()):
                    state = (rest_a, after_a, rest_b, after_b)
                    if token == END:
                        if not same_turn or sorted(after_a) != sorted(after_b):
                            return said
                    elif state not in seen:
                        seen.add(state)
                        todo.append(((*said, token), state))
        return None


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Millions of small objects, none of them in a cycle: looking for cycles among them would take most of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _essential(asks: Sequence[Node]) -> Sequence[Node] | None:
    """The asks of one turn with as few words in their slots as two of them need to clash; None if they can't.

    A word with a token that nothing else says shows itself in every prompt, so one such slot of a pool is never in doubt.
    Of words that are one such token each, any may stand for any other: as many as two asks have slots will do.
    """
    drawn = list({part.slot: part for ask in asks for part in _slot_nodes(ask)}.values())
    pools = {slot.pool: slot.values for slot in drawn}
    said = Counter(token for values in pools.values() for value in values for token in set(value))
    said.update(frozenset().union(*(literals(ask) for ask in asks)))
    if len(pools) == len(drawn) and all(any(said[token] == 1 for token in value) for slot in drawn for value in slot.values):
        return None
    alike = {pool for pool, values in pools.items() if all(len(value) == 1 and said[value[0]] == 1 for value in values)}
    return [
        with_values(ask, lambda slot: slot.values[: 2 * len(drawn)] if slot.pool in alike else slot.values) for ask in asks
    ]


def _slot_nodes(node: Node) -> Iterator[Slot]:
    if isinstance(node, Slot):
        yield node
    elif slots(node):
        for part in _parts(node):
            yield from _slot_nodes(part)


def clashes(asks: Sequence[Node], turns: Sequence[Hashable]) -> Iterator[tuple[int, int, Tokens]]:
    """Every pair of asks (their places) that share a prompt with two meanings, and one such prompt.

    Two asks can only share a prompt if the tokens of each meet every clause of the other, so most pairs are settled by
    looking up who can say the rarest clause; the rest are walked through together. Sets of tokens are bits of a number
    here: there are millions of pairs.
    """
    bits: dict[str, int] = {}
    holders: dict[str, list[int]] = {}
    for place, ask in enumerate(asks):
        for word in vocabulary(ask):
            bits.setdefault(word, 1 << len(bits))
            holders.setdefault(word, []).append(place)
    spoken = [sum(bits[word] for word in vocabulary(ask)) for ask in asks]
    needed = [[sum(bits[word] for word in clause) for clause in clauses(ask)] for ask in asks]
    together: dict[Hashable, list[int]] = {}
    for place, turn in enumerate(turns):
        together.setdefault(turn, []).append(place)
    essential: dict[int, Node] = {}
    for places in together.values():
        reduced = _essential([asks[place] for place in places])
        if reduced is not None:
            essential.update(zip(places, reduced, strict=True))
    overlap = Overlap()
    for first, ask in enumerate(asks):
        scarcest = min(clauses(ask), key=lambda clause: sum(len(holders[word]) for word in clause), default=None)
        everywhere = range(len(asks)) if scarcest is None else sorted({place for word in scarcest for place in holders[word]})
        for second in everywhere:
            same = turns[first] == turns[second]
            if second < first or (same and first not in essential):
                continue  # a pair is met from both sides
            if all(clause & spoken[second] for clause in needed[first]) and all(
                clause & spoken[first] for clause in needed[second]
            ):
                pair = (essential[first], essential[second]) if same else (ask, asks[second])
                said = overlap.clash(*pair, same)
                if said is not None:
                    yield first, second, said
