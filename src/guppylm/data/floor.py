"""The floor, token by token: how likely the grammar itself finds each next token of a reply.

The grammar speaks in words, the model in tokens of the BPE. So all sentences that begin with the tokens heard so far are
followed at once, word by word, until each shows its next token. The shares that a reply's tokens get multiply to the
probability of the whole reply.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from guppylm.data.grammar import Bindings, Choice, Node, Series, Tokens, Words, free_values, join
from guppylm.data.overlap import END, Stack
from guppylm.data.tokenizer import Tokenizer

State = tuple[Stack, Bindings]  # a place in the grammar: what is still to be said, and the slots bound so far


def next_words(stack: Stack, bindings: Bindings) -> Iterator[tuple[str, State, float]]:
    """The words that may come next, each with the place behind it and its probability; after the last word comes END.

    A word comes once for each derivation, so it may come more than once.
    """
    if stack is None:
        yield END, (None, bindings), 1.0
        return
    node, rest = stack
    if isinstance(node, Words):
        node = node.tokens
    ways: list[tuple[Stack, Bindings, float]]
    if isinstance(node, tuple):
        if node:
            yield node[0], ((node[1:], rest), bindings), 1.0
            return
        ways = [(rest, bindings, 1.0)]
    elif isinstance(node, Series):
        for part in reversed(node.parts):
            rest = (part, rest)
        ways = [(rest, bindings, 1.0)]
    elif isinstance(node, Choice):
        ways = [((option, rest), bindings, p) for option, p in zip(node.options, node.probabilities, strict=True)]
    else:
        bound = dict(bindings)
        if node.slot in bound:
            ways = [((bound[node.slot], rest), bindings, 1.0)]
        else:
            free = free_values(node, bound)
            ways = [((value, rest), (*bindings, (node.slot, value)), 1 / len(free)) for value in free]
    for after, bound_after, share in ways:
        for word, state, p in next_words(after, bound_after):
            yield word, state, share * p


@dataclass(frozen=True)
class Beginning:
    """The first words of a sentence, and the places in the grammar where they may lead, each with its probability."""

    words: Tokens
    ids: list[int]  # the first tokens of every sentence that begins so
    states: dict[State, float]

    def longer(self, tokenizer: Tokenizer) -> Iterator["Beginning"]:
        """The beginnings that are one word longer, the whole sentence among them if it may end here."""
        following: dict[str, dict[State, float]] = {}
        for place, p in self.states.items():
            for word, state, share in next_words(*place):
                states = following.setdefault(word, {})
                states[state] = states.get(state, 0.0) + p * share
        for word, states in following.items():
            words = self.words if word == END else (*self.words, word)
            if word == END:
                ids = [*tokenizer.encode(join(words)), tokenizer.end]
            elif word[-1].isalnum():
                ids = tokenizer.encode(join(words))  # a space or a mark follows, and no token spans a letter and these
            else:
                ids = self.ids  # a mark may still become one token with the mark that follows
            yield Beginning(words, ids, states)


class Floor:
    """What the grammar expects of a reply, given its turn's `say` and what the prompt has bound."""

    def __init__(self, say: Node, bindings: Bindings, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.heard = 0  # tokens
        self.beginnings = [Beginning((), [], {((say, None), bindings): 1.0})]  # of all sentences still possible

    def next_tokens(self) -> dict[int, float]:
        """The tokens that may come next, with their probabilities."""
        shares: dict[int, float] = {}
        todo, self.beginnings = self.beginnings, []
        while todo:
            beginning = todo.pop()
            if len(beginning.ids) > self.heard:
                token = beginning.ids[self.heard]
                shares[token] = shares.get(token, 0.0) + sum(beginning.states.values())
                self.beginnings.append(beginning)
            else:
                todo.extend(beginning.longer(self.tokenizer))
        total = sum(shares.values())
        return {token: p / total for token, p in shares.items()}

    def hear(self, token: int) -> None:
        """Goes on to what follows `token`. Raises ValueError if the grammar can't say it here."""
        if token not in self.next_tokens():
            raise ValueError(f"the sheet can't say that: token {token} after the first {self.heard} of the reply")
        self.beginnings = [beginning for beginning in self.beginnings if beginning.ids[self.heard] == token]
        self.heard += 1
