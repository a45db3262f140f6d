"""How a character may speak: rules that no line of its sheet can break, and that a model's replies are held against."""

from collections.abc import Iterator
from dataclasses import dataclass

from guppylm.data.grammar import Node, normalise, split
from guppylm.data.overlap import CLITIC, SENTENCE_END, WORD, longest, vocabulary


@dataclass(frozen=True)
class Voice:
    """What a reply may look like. A sheet whose replies could break these rules is refused when it is loaded."""

    words: int = 20
    sentences: int = 3
    forbidden: tuple[str, ...] = ("!",)  # words, marks and phrases

    def faults(self, template: str, node: Node) -> Iterator[str]:
        """What is wrong with a say template, one line each; `node` is what it describes."""
        words = longest(node, WORD) - longest(node, CLITIC)
        sentences = longest(node, SENTENCE_END)
        if words > self.words:
            yield f"a reply may run to {words} words, {self.words} are allowed; shorten it: {template}"
        if sentences > self.sentences:
            yield f"a reply may have {sentences} sentences, {self.sentences} are allowed; join or cut: {template}"
        heard = vocabulary(node)
        for phrase in self.forbidden:
            if phrase in heard or (" " in phrase and phrase in normalise(template)):
                yield f'"{phrase}" is outside the voice of this character; say it otherwise: {template}'

    def allows(self, reply: str) -> bool:
        """Whether a reply keeps the rules."""
        tokens = split(reply)
        words = sum(bool(WORD.fullmatch(token)) - bool(CLITIC.fullmatch(token)) for token in tokens)
        sentences = sum(bool(SENTENCE_END.fullmatch(token)) for token in tokens)
        forbidden = any(phrase in (reply if " " in phrase else tokens) for phrase in self.forbidden)
        return words <= self.words and sentences <= self.sentences and not forbidden
