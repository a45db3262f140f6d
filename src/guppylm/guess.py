"""The guessing game: a reply appears token by token, and before each token everybody bets on what comes.

    pair counts      have counted which token followed which in the replies that the fish has read; they see one token back
    untrained fish   the fish before its first lesson: the same network, the random weights that it began with
    fish             the trained one
    floor            the grammar that made the reply: it knows what the prompt meant and what may be said to that

A bet spreads a probability of one over all tokens. Surprise is -log of what was put on the token that came, in nats;
its mean is the loss. The floor's surprises add up to the reply's surprisal, and over many replies nobody has less.

    table = Table(guppylm.load())
    for played in table.rounds(fresh_row(table.fish, seed=1)):
        print(played.text, played.bets["fish"].surprise)
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

import numpy as np
import numpy.typing as npt
import torch

from guppylm.data.conversations import Row, pick
from guppylm.data.floor import Floor
from guppylm.data.grammar import join, normalise, readings, sample, split
from guppylm.data.overlap import may_say
from guppylm.data.tokenizer import Rendered, Tokenizer
from guppylm.errors import RunError
from guppylm.evaluation.rows import rows_of
from guppylm.fish import Fish, check_prompt
from guppylm.model import Transformer
from guppylm.training.run import new_model

Shares = npt.NDArray[np.float64]  # probabilities that sum to one along the last axis, the vocabulary
Player = Callable[[str], str | None]  # gets the reply so far; returns what it takes to come next, or None for no guess
OVER = "end"  # what a player types who thinks that the reply is over


class PairCounts:
    """How often each token followed each other one: ladder/count.py, in numpy."""

    def __init__(self, rows: Sequence[Rendered], times: Sequence[int], vocabulary: int, k: float = 0.001) -> None:
        """`times` says how often each row was read. Tokens of replies are counted; `k` is added to every count."""
        pairs = [
            (before, token, count)
            for row, count in zip(rows, times, strict=True)
            for (before, token), is_reply in zip(pairwise(row.ids), row.is_reply[1:], strict=True)
            if is_reply
        ]
        self.before, self.token, self.times = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
        self.vocabulary = vocabulary
        self.k = k

    def after(self, before: int) -> Shares:
        """How likely each token comes after `before`: (vocabulary,)."""
        here = self.before == before
        counts = np.bincount(self.token[here], self.times[here], self.vocabulary) + self.k
        return counts / counts.sum()


@dataclass(frozen=True)
class Bet:
    """What one bettor put on a token."""

    probability: float  # on the token that came
    favourite: str  # the token that got most, in readable form
    hit: bool  # whether that was the one that came

    @property
    def surprise(self) -> float:
        """In nats."""
        return math.log(1 / self.probability)


@dataclass(frozen=True)
class Round:
    """One token of the reply."""

    said: str  # the reply before it
    token: int
    text: str  # the same in readable form: ␣ is a space
    bets: dict[str, Bet]  # by bettor
    guess: str | None  # the player's
    hit: bool  # whether that was right


@dataclass(frozen=True)
class Score:
    """One bettor's game."""

    nats: float  # of surprise, summed
    tokens: int
    hits: int  # times that the favourite came

    @property
    def sides(self) -> float:
        """The fair die that is as unsure (perplexity)."""
        return math.exp(self.nats / self.tokens)


class Table:
    """The four bettors of one fish. Sitting down takes some seconds, a game hardly any."""

    def __init__(self, fish: Fish) -> None:
        """Raises RunError if the rows that the fish has read, or its character, are gone."""
        self.fish = fish
        config, memory = fish.run.config(), fish.memory
        self.turns = memory.judge.source.turns
        self.untrained = new_model(config.model, config.train.seed).eval()
        read = fish.tokenizer.render_all([(row.prompt, row.reply) for row in memory.rows])
        self.pairs = PairCounts(read, [memory.times[row.reply] for row in memory.rows], config.model.vocabulary_size)

    def bets(self, row: Row) -> dict[str, Shares]:
        """What each bettor expects at each token of the reply: (tokens of the reply, vocabulary).

        The models read the whole row at once, but no token sees those after it. Raises ValueError for a row that does
        not fit the context, or whose reply its turn can't say.
        """
        rendered = self.fish.tokenizer.render(row.prompt, row.reply)
        before, reply = _parts(rendered)
        floor = Floor(self.turns[row.topic, row.turn].say, row.bound_tokens, self.fish.tokenizer)
        expected = np.zeros((len(reply), self.pairs.vocabulary))
        for place, token in enumerate(reply):
            for candidate, share in floor.next_tokens().items():
                expected[place, candidate] = share
            floor.hear(token)
        return {
            "pair counts": np.stack([self.pairs.after(token) for token in [before[-1], *reply[:-1]]]),
            "untrained fish": model_shares(self.untrained, rendered),
            "fish": model_shares(self.fish.model, rendered),
            "floor": expected,
        }

    def rounds(self, row: Row, player: Player | None = None) -> Iterator[Round]:
        """The game, one token of the row's reply after the other; the player is asked before each. Raises as `bets` does."""
        tokenizer = self.fish.tokenizer
        bets = self.bets(row)
        _, reply = _parts(tokenizer.render(row.prompt, row.reply))
        for place, token in enumerate(reply):
            said = reply[:place]
            guess = player(tokenizer.decode(said)) if player else None
            placed = {}
            for name, shares in bets.items():
                favourite = int(shares[place].argmax())
                placed[name] = Bet(float(shares[place, token]), tokenizer.token_text(favourite), favourite == token)
            hit = guess is not None and is_hit(tokenizer, said, token, guess)
            yield Round(tokenizer.decode(said), token, tokenizer.token_text(token), placed, guess, hit)


def play(fish: Fish, row: Row, player: Player | None = None) -> list[Round]:
    """One whole game. For several, make a `Table` and keep it."""
    return list(Table(fish).rounds(row, player))


def scores(rounds: Sequence[Round]) -> dict[str, Score]:
    """Each bettor's sums. Raises ValueError if nothing was played."""
    if not rounds:
        raise ValueError("there is nothing to add up: no round was played")
    placed = {name: [played.bets[name] for played in rounds] for name in rounds[0].bets}
    return {
        name: Score(sum(bet.surprise for bet in bets), len(bets), sum(bet.hit for bet in bets))
        for name, bets in placed.items()
    }


@torch.inference_mode()
def model_shares(model: Transformer, rendered: Rendered) -> Shares:
    """What a model expects at each token of the reply: (tokens of the reply, vocabulary). ValueError if it does not fit."""
    room = model.config.context + 1
    if len(rendered.ids) > room:
        raise ValueError(f"prompt and reply together have {len(rendered.ids)} tokens; at most {room} fit the context")
    ids = torch.tensor([rendered.ids[:-1]], device=model.token_embedding.weight.device)
    logits = model(ids)[0, -sum(rendered.is_reply) :]
    return np.asarray(logits.double().softmax(-1).cpu().numpy())


def is_hit(tokenizer: Tokenizer, said: list[int], token: int, guess: str) -> bool:
    """Whether a typed guess begins with `token`, written on behind the tokens `said`: a whole word may be several tokens."""
    guess = guess.strip()
    if token == tokenizer.end:
        return guess == OVER
    text = tokenizer.decode(said)
    written = [tokenizer.encode(text + between + guess) for between in ("", " ")] if guess else []
    return any(ids[: len(said) + 1] == [*said, token] for ids in written)


def fresh_row(fish: Fish, seed: int | None = None) -> Row:
    """A conversation of the run's test_fresh, drawn as those for training are. Raises RunError if the test is damaged."""
    rows = rows_of(fish.run, "test_fresh")
    if not rows:
        raise RunError(f"{fish.run.path} has an empty test_fresh; delete its folder data, or give a --prompt")
    return pick(rows, Random(seed))


def row_of(table: Table, prompt: str, seed: int | None = None) -> Row:
    """A conversation that begins with `prompt`, its reply drawn from the grammar. ValueError if no turn asks that."""
    check_prompt(prompt)
    tokens = split(normalise(prompt))
    words = frozenset(tokens)
    for turn in table.turns.values():
        for ask in turn.turn.asks:
            if may_say(ask.node, words):
                for bound in readings(ask.node, tokens):
                    reply = join(sample(turn.say, Random(seed), dict(bound)))
                    bindings = {slot: join(value) for slot, value in bound}
                    return Row(join(tokens), reply, turn.turn.topic, turn.turn.name, bindings)
    asked = ", or ".join(f'"{example}"' for example in table.fish.run.config().prompts[:2])
    raise ValueError(f"nothing in the sheet asks that, so nobody knows its floor; try {asked}, or leave out --prompt")


def _parts(rendered: Rendered) -> tuple[list[int], list[int]]:
    """The tokens before the reply, and the reply's with the end."""
    first = rendered.is_reply.index(True)
    return rendered.ids[:first], rendered.ids[first:]
