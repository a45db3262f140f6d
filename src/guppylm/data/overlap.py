"""What is true of all sentences of a template, and whether two templates can say the same one.

The loader's proofs: a prompt belongs to one turn only and tells its slots in one way only, no reply is too long.
"""

import re
from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache

from guppylm.data.grammar import Bindings, Choice, Node, Series, Slot, Tokens, Words, free_values

WORD = re.compile(r"[^.,?!;:…]+")  # a clitic such as 't counts with its word
CLITIC = re.compile(r"'.*")
SENTENCE_END = re.compile(r"[.?!…]")
MEMORY = 2**18  # nodes whose facts are kept: templates share their rules, and the same asks are looked at again and again


def _parts(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Series):
        return node.parts
    return node.options if isinstance(node, Choice) else ()


@lru_cache(maxsize=MEMORY)
def slots(node: Node) -> frozenset[str]:
    """The names of all slots that stand in `node`."""
    if isinstance(node, Slot):
        return frozenset({node.slot})
    return frozenset().union(*(slots(part) for part in _parts(node)))


@lru_cache(maxsize=MEMORY)
def vocabulary(node: Node) -> frozenset[str]:
    """Every token that some sentence of `node` holds."""
    if isinstance(node, Words):
        return frozenset(node.tokens)
    if isinstance(node, Slot):
        return frozenset(token for value in node.values for token in value)
    return frozenset().union(*(vocabulary(part) for part in _parts(node)))


@lru_cache(maxsize=MEMORY)
def literals(node: Node) -> frozenset[str]:
    """Every token that `node` can say by itself, its slots aside."""
    if isinstance(node, Words):
        return frozenset(node.tokens)
    if isinstance(node, Slot):
        return frozenset()
    return frozenset().union(*(literals(part) for part in _parts(node)))


@lru_cache(maxsize=MEMORY)
def always(node: Node) -> frozenset[str]:
    """The tokens that every sentence of `node` holds."""
    if isinstance(node, Words):
        return frozenset(node.tokens)
    if isinstance(node, Series):
        return frozenset().union(*(always(part) for part in node.parts))
    if isinstance(node, Choice):
        return frozenset.intersection(*(always(option) for option in node.options))
    return frozenset.intersection(*(frozenset(value) for value in node.values))


def longest(node: Node, counted: re.Pattern[str]) -> int:
    """The largest number of tokens matching `counted` that a sentence of `node` can hold."""
    if isinstance(node, Words):
        return sum(bool(counted.fullmatch(token)) for token in node.tokens)
    if isinstance(node, Series):
        return sum(longest(part, counted) for part in node.parts)
    if isinstance(node, Choice):
        return max(longest(option, counted) for option in node.options)
    return max(sum(bool(counted.fullmatch(token)) for token in value) for value in node.values)


Stack = tuple["Node | Tokens", "Stack"] | None  # what a sentence has still to say: the next node, then the rest
Step = tuple[str, Stack, Bindings]
END = ""  # the token after the last


class Overlap:
    """Whether two templates can say the same sentence. Keeps what it learnt about each template for the next pair."""

    def __init__(self) -> None:
        self._known: dict[tuple[Stack, Bindings], set[Step]] = {}

    def _steps(self, stack: Stack, bindings: Bindings) -> set[Step]:
        """The tokens that may come next, each with what remains to be said after it."""
        key = (stack, bindings)
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


def clashes(asks: Sequence[Node], turns: Sequence[Hashable]) -> Iterator[tuple[int, int, Tokens]]:
    """Every pair of asks (their places) that share a prompt with two meanings, and one such prompt.

    Two asks can only share a prompt if each can say all the tokens that the other always says, so most pairs are settled
    by looking up the rarest of those; the rest are walked through together.
    """
    facts = [(always(ask), vocabulary(ask), bool(slots(ask))) for ask in asks]
    holders: dict[str, list[int]] = {}
    for place, (_, words, _) in enumerate(facts):
        for word in words:
            holders.setdefault(word, []).append(place)
    overlap = Overlap()
    for first, (needed, words, slotted) in enumerate(facts):
        candidates = min((holders[word] for word in needed), key=len, default=range(len(asks)))
        for second in candidates:
            other_needed, other_words, other_slotted = facts[second]
            same = turns[first] == turns[second]
            if second < first or (same and not slotted and not other_slotted):
                continue  # a pair is met from both sides; without slots one turn has one meaning
            if needed <= other_words and other_needed <= words:
                said = overlap.clash(asks[first], asks[second], same)
                if said is not None:
                    yield first, second, said
