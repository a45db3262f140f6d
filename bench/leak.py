"""What a careless split would have said: rows drawn from everything and dealt at random into train and test.

python bench/leak.py [RUN]    contamination of such a split beside ours; with a run, also how it flatters that fish
"""

import sys
from random import Random

from guppylm.data.character import load_character
from guppylm.data.conversations import Conversations, Row, pick
from guppylm.data.grammar import join, sample
from guppylm.evaluation.replies import Judge
from guppylm.evaluation.statistics import Share
from guppylm.fish import load
from guppylm.inference.sampling import SamplingConfig

ROWS, TEST_ROWS, SEED = 60_000, 3_000, 1  # a twentieth is the test


def careless_split(source: Conversations) -> tuple[list[Row], list[Row]]:
    """Every ask, every word, every reply may come; then the rows are dealt out."""
    stream = Random(SEED)
    rows = []
    for _ in range(ROWS):
        turn = pick(source.character.turns, stream)
        bound: dict[str, tuple[str, ...]] = {}
        prompt = join(sample(pick(turn.asks, stream).node, stream, bound))
        reply = join(sample(turn.say, stream, bound))
        rows.append(Row(prompt, reply, turn.topic, turn.name, {slot: join(value) for slot, value in bound.items()}))
    return rows[TEST_ROWS:], rows[:TEST_ROWS]


def contamination(train: list[Row], test: list[Row]) -> str:
    """Shares of the test's rows whose prompt, reply or both stand in train."""
    prompts, replies = {row.prompt for row in train}, {row.reply for row in train}
    pairs = {(row.prompt, row.reply) for row in train}
    counts = (
        sum(row.prompt in prompts for row in test),
        sum(row.reply in replies for row in test),
        sum((row.prompt, row.reply) in pairs for row in test),
    )
    return "  ".join(f"{count / len(test):6.1%}" for count in counts)


def main() -> None:
    """Prints both tables."""
    source = Conversations(load_character("guppy"), SEED)
    print(f"{'share of test rows that stand in train':42} prompt   reply    pair")
    print(f"{'rows dealt at random':42} {contamination(*careless_split(source))}")
    train = list(source.rows("train", ROWS))
    tests = {"test_fresh": list(source.rows("test_fresh", 2_000)), **source.tests}
    for name, rows in tests.items():
        print(f"{name:42} {contamination(train, rows)}")
    if len(sys.argv) > 1:
        fish, judge = load(sys.argv[1]), Judge(source)
        print("\non_topic at temperature 0.7")
        for label, name in (("test_fresh: asks as in training", "test_fresh"), ("test_unseen_ask", "test_unseen_ask")):
            rows = tests[name]
            replies = fish.reply_to_all([row.prompt for row in rows], SEED, SamplingConfig(0.7))
            share = Share.of(judge.on_topic(rows, replies))
            print(f"{label:42} {share.value:.3f}  ({share.low:.3f} to {share.high:.3f})")


if __name__ == "__main__":
    main()
