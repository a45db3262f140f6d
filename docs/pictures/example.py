"""The sentence that every picture follows, and the fish that reads it."""

from dataclasses import dataclass
from functools import cached_property

from guppylm.data.character import load_character
from guppylm.data.floor import Floor
from guppylm.data.grammar import normalise, readings, split
from guppylm.fish import Fish
from guppylm.interpretability.lens import Look

PROMPT = "i got you a new castle"
REPLY = "a castle. i swam around it twice. it is approved."


@dataclass(frozen=True)
class Example:
    """A fish that reads one sentence, and a reply that its sheet can give."""

    fish: Fish
    prompt: str = PROMPT
    reply: str = REPLY

    @cached_property
    def look(self) -> Look:
        """All that happens inside until the reply begins."""
        return self.fish.look(self.prompt)

    @cached_property
    def floor(self) -> list[dict[str, float]]:
        """What the grammar expects at each token of the reply, likeliest first."""
        tokenizer, asked, expected = self.fish.tokenizer, split(normalise(self.prompt)), []
        turns = load_character(self.fish.run.config().character).turns
        meanings = ((turn.say, bound) for turn in turns for ask in turn.asks for bound in readings(ask.node, asked))
        floor = Floor(*next(meanings), tokenizer)
        for token in self.ids:
            shares = floor.next_tokens()
            expected.append({name(tokenizer.token_text(t)): p for t, p in sorted(shares.items(), key=lambda pair: -pair[1])})
            floor.hear(token)
        return expected

    @property
    def ids(self) -> list[int]:
        """The reply's tokens, with the end."""
        return [*self.fish.tokenizer.encode(self.reply), self.fish.tokenizer.end]

    @property
    def words(self) -> list[str]:
        """The same as they are drawn."""
        return [name(self.fish.tokenizer.token_text(token)) for token in self.ids]


def name(token: str) -> str:
    """A token as it is drawn: the marks of the chat format get names."""
    return {"<|im_start|>user␤": "[you]", "<|im_end|>␤<|im_start|>assistant␤": "[fish]", "<|im_end|>": "[end]"}.get(
        token, token
    )
