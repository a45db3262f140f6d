"""Which asks can be understood from the others: what a counter of words makes of each, had it never seen it.

A model that never met an ask can only go by what it shares with others. Here the simplest learner there is (naive Bayes
over words and pairs of neighbours; McCallum & Nigam, 1998) is asked for the turn of a prompt, taught by all asks but
those that the splits would hold out together with it. Where it fails, a test of unseen asks will most likely fail too.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from random import Random

import numpy as np

from guppylm.data.grammar import Tokens, sample
from guppylm.data.splits import Splits, content

DRAWS = 4  # prompts of each ask
SMOOTHING = 0.05  # of a prompt that is taken to have been heard with any word in any turn
CLEAR = 0.67  # an ask of which a smaller share is understood is worth rewriting


@dataclass(frozen=True)
class AskClarity:
    """One ask. `share` of its prompts are understood from other asks; `taken_for` names the turns that the rest goes to."""

    topic: str
    turn: str
    ask: str
    share: float
    taken_for: tuple[str, ...]


def clarity(splits: Splits, seed: int = 1) -> list[AskClarity]:
    """Every ask of the sheet, in its order."""
    turns = splits.character.turns
    stream = Random(seed)
    numbers: dict[str, int] = {}  # of all features
    drawn: list[tuple[int, str, str, list[int]]] = []  # turn, template, group, features of a prompt
    for place, turn in enumerate(turns):
        for ask in turn.asks:
            group = content(ask, splits.common_words)
            for _ in range(DRAWS):
                said = features_of(tuple(sample(ask.node, stream)))
                drawn.append((place, ask.template, group, [numbers.setdefault(feature, len(numbers)) for feature in said]))
    heard = np.zeros((len(numbers), len(turns)), dtype=np.float32)  # in how many prompts of the turn a feature stands
    prompts = np.zeros(len(turns), dtype=np.float32)
    of_group: dict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    in_group: Counter[tuple[int, str]] = Counter()
    for place, _, group, features in drawn:
        heard[features, place] += 1
        prompts[place] += 1
        of_group[place, group].update(features)
        in_group[place, group] += 1
    likely = np.log((heard + SMOOTHING) / (prompts + 1))
    everywhere = heard.sum(axis=1)
    answers: dict[tuple[int, str], list[int]] = defaultdict(list)
    for place, template, group, features in drawn:
        own = np.array([of_group[place, group][feature] for feature in features])
        known = everywhere[features] > own  # the others have said it too
        scores = likely[features][known].sum(axis=0)
        others = (heard[features, place] - own + SMOOTHING) / (prompts[place] - in_group[place, group] + 1)
        scores[place] = np.log(others[known]).sum()
        answers[place, template].append(int(scores.argmax()))
    return [
        AskClarity(
            turns[place].topic,
            turns[place].name,
            template,
            given.count(place) / len(given),
            tuple(
                f"{turns[other].topic} / {turns[other].name}" for other, _ in Counter(given).most_common() if other != place
            ),
        )
        for (place, template), given in answers.items()
    ]


def features_of(prompt: Tokens) -> list[str]:
    """A prompt's words and its pairs of neighbours, begin and end among them, each once."""
    pairs = (f"{first} {second}" for first, second in zip(("", *prompt), (*prompt, ""), strict=True))
    return list(dict.fromkeys((*prompt, *pairs)))
