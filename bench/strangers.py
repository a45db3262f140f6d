"""How a fish takes what strangers say: `python bench/strangers.py RUN...`, with --failed also where it fails.

`strangers/` holds some twenty prompts for each of the sixty topics, written by the names of the topics alone, without sight
of the sheet. One half is to look at, so that what fails there can be mended; the other is to measure with, and holds no
prompt of the first. A line is `topic[,topic]|prompt`: the file of the topic, and of others that could as well reply. A reply
counts if a turn of one of these topics can say it. The first lines say how many go to such a topic by naive Bayes, taught by
all asks of the sheet: what its words alone allow.
"""

import math
import sys
import tomllib
from collections import Counter
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np

from guppylm.data.character import Character, find_character, load_character
from guppylm.data.clarity import SMOOTHING, features_of
from guppylm.data.conversations import Conversations
from guppylm.data.grammar import normalise, sample, split
from guppylm.evaluation.replies import Judge
from guppylm.fish import Fish, load

FOLDER = Path(__file__).parent / "strangers"
HALVES = ("look", "measure")
DRAWS, SEED = 5, 1  # replies to each prompt
ASK_DRAWS = 6  # prompts of each ask, for naive Bayes


class Stranger(NamedTuple):
    """A prompt, and the titles of the topics that may reply."""

    prompt: str
    topics: frozenset[str]


class Taken(NamedTuple):
    """How a fish took it: its replies, and the share of them that fit."""

    stranger: Stranger
    replies: list[str]
    share: float


def strangers(half: str) -> list[Stranger]:
    """The prompts of one half."""
    folder = find_character("guppy") / "topics"
    titles = {path.stem: tomllib.loads(path.read_text(encoding="utf-8"))["title"] for path in folder.glob("*.toml")}
    lines = (FOLDER / f"{half}.txt").read_text(encoding="utf-8").splitlines()
    parts = [line.split("|", 1) for line in lines]
    return [Stranger(prompt, frozenset(titles[stem] for stem in stems.split(","))) for stems, prompt in parts]


def take(fish: Fish, judge: Judge, asked: list[Stranger]) -> list[Taken]:
    """Asks the fish everything, at temperature 0.7."""
    replies = fish.reply_to_all([stranger.prompt for stranger in asked for _ in range(DRAWS)], seed=SEED)
    found = []
    for at, stranger in enumerate(asked):
        drawn = replies[at * DRAWS : (at + 1) * DRAWS]
        fits = [any(topic in stranger.topics for topic, _ in judge.sayers(reply)) for reply in drawn]
        found.append(Taken(stranger, drawn, fmean(fits)))
    return found


def by_counting(sheet: Character, asked: list[Stranger]) -> float:
    """The share of prompts that naive Bayes (as in `data/clarity.py`) takes for their topic."""
    stream = Random(SEED)
    numbers: dict[str, int] = {}
    heard: Counter[tuple[int, int]] = Counter()  # (feature, turn): in so many drawn prompts
    prompts = np.zeros(len(sheet.turns))
    for place, turn in enumerate(sheet.turns):
        for ask in turn.asks:
            for _ in range(ASK_DRAWS):
                prompts[place] += 1
                for feature in features_of(tuple(sample(ask.node, stream))):
                    heard[numbers.setdefault(feature, len(numbers)), place] += 1
    counts = np.zeros((len(numbers), len(sheet.turns)))
    for key, count in heard.items():
        counts[key] = count
    likely = np.log((counts + SMOOTHING) / (prompts + 1))
    found = []
    for prompt, topics in asked:
        known = [numbers[feature] for feature in features_of(split(normalise(prompt))) if feature in numbers]
        found.append(sheet.turns[int(likely[known].sum(axis=0).argmax())].topic in topics)
    return fmean(found)


def main() -> None:
    """Two lines a fish. The error is that over prompts: the replies to one prompt fail together."""
    runs = [argument for argument in sys.argv[1:] if argument != "--failed"]
    if not runs:
        sys.exit(__doc__)
    sheet = load_character("guppy")
    judge = Judge(Conversations(sheet))
    for half in HALVES:
        print(f"naive Bayes  {half:8}of their topic: {by_counting(sheet, strangers(half)):.3f}", flush=True)
    for run in runs:
        fish = load(run)
        for half in HALVES:
            found = take(fish, judge, strangers(half))
            shares = [taken.share for taken in found]
            error = stdev(shares) / math.sqrt(len(shares))
            print(f"{run}  {half:8}{len(found)} prompts, of their topic: {fmean(shares):.3f} +- {error:.3f}", flush=True)
            if half == "look" and "--failed" in sys.argv:
                for (prompt, topics), replies, share in found:
                    if share < 0.5:
                        print(f"  {share:.1f}  {', '.join(sorted(topics))}: {prompt}  -> {replies[0]}")


if __name__ == "__main__":
    main()
