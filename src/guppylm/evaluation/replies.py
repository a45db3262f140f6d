"""Does the fish understand, and does it listen: sampled replies, judged by the grammar.

on_topic: the reply is one that the right turn can say, with the words that the prompt bound, and no other turn can say.
slot_echo: the reply takes up the word that the prompt bound, in turns in which every reply does so.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from guppylm.data.conversations import Conversations, Row
from guppylm.data.grammar import Node, Series, Slot, Tokens, Words, readings, split
from guppylm.data.overlap import may_say
from guppylm.evaluation.statistics import Share

Answer = Callable[[Sequence[str]], list[str]]  # prompts to replies: a model, or the grammar that pretends to be one


class Judge:
    """Knows what each turn of a character can say."""

    def __init__(self, source: Conversations) -> None:
        self.source = source
        self._sayers: dict[str, frozenset[tuple[str, str]]] = {}
        self._always_taken_up = {key: always_taken_up(turn.say) for key, turn in source.turns.items()}

    def sayers(self, reply: str) -> frozenset[tuple[str, str]]:
        """The (topic, turn) of every turn that can say `reply`, whatever the prompt bound."""
        if reply not in self._sayers:
            tokens = split(reply)
            words = frozenset(tokens)
            says = {key: turn.turn.say for key, turn in self.source.turns.items()}
            self._sayers[reply] = frozenset(
                key
                for key, say in says.items()
                if may_say(say, words) and readings(say, tokens)  # most can't, by their words
            )
        return self._sayers[reply]

    def is_on_topic(self, row: Row, reply: str) -> bool:
        """Whether `reply` answers the row's prompt, and could answer nothing else."""
        turn = self.source.turns[row.topic, row.turn]
        if not readings(turn.say, split(reply), row.bound_tokens):
            return False
        return self.sayers(reply) <= {(row.topic, row.turn)}

    def on_topic(self, rows: Sequence[Row], replies: Sequence[str]) -> list[bool]:
        """The same for many."""
        return [self.is_on_topic(row, reply) for row, reply in zip(rows, replies, strict=True)]

    def echo_slots(self, row: Row) -> list[str]:
        """The slots that the prompt bound and that every reply of its turn takes up."""
        return [slot for slot in row.bindings if slot in self._always_taken_up[row.topic, row.turn]]

    def confusion(self, rows: Sequence[Row], replies: Sequence[str]) -> Counter[tuple[str, str]]:
        """How often a prompt of one turn got a reply of another: (asked, answered), "none" for a reply of no turn."""
        seen: Counter[tuple[str, str]] = Counter()
        for row, reply in zip(rows, replies, strict=True):
            if not self.is_on_topic(row, reply):
                sayers = sorted(self.sayers(reply))
                answered = " / ".join(sayers[0]) if sayers else "none"
                seen[f"{row.topic} / {row.turn}", answered] += 1
        return seen


def always_taken_up(node: Node) -> frozenset[str]:
    """The slots that every sentence of `node` holds."""
    if isinstance(node, Slot):
        return frozenset({node.slot})
    if isinstance(node, Words):
        return frozenset()
    if isinstance(node, Series):
        return frozenset().union(*(always_taken_up(part) for part in node.parts))
    return frozenset.intersection(*(always_taken_up(option) for option in node.options))


def holds(tokens: Tokens, value: Tokens) -> bool:
    """Whether `value` stands in `tokens`, in one piece."""
    return any(tokens[at : at + len(value)] == value for at in range(len(tokens) - len(value) + 1))


def with_typo(prompt: str, random: Random) -> str:
    """The prompt with one slip of the finger in a word of four letters or more: two swapped, one lost, or one twice."""
    words = prompt.split(" ")
    long = [place for place, word in enumerate(words) if sum(map(str.isalpha, word)) >= 4]
    if not long:
        return prompt
    place = long[int(random.random() * len(long))]
    word = words[place]
    at = 1 + int(random.random() * (len(word) - 2))  # never the first letter: fingers slip later
    slips = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
    )
    words[place] = slips[int(random.random() * len(slips))]
    return " ".join(words)


def dealt_out(replies: Sequence[str]) -> list[str]:
    """The same replies, each at another prompt. Rows stand in random order, so half way round is another one."""
    distance = len(replies) // 2
    return [*replies[distance:], *replies[:distance]]


def slot_echo(judge: Judge, rows: Sequence[Row], answer: Answer) -> Share | None:
    """How often a bound word comes back; None if no row binds one that must."""
    listening = [(row, slot) for row in rows for slot in judge.echo_slots(row)]
    if not listening:
        return None
    replies = answer([row.prompt for row, _ in listening])
    pairs = zip(listening, replies, strict=True)
    return Share.of([holds(split(reply), split(row.bindings[slot])) for (row, slot), reply in pairs])
