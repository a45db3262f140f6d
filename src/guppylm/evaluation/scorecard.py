"""All figures about a trained fish, on the tests of its run folder."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any, Protocol, get_args

from torch import Tensor

from guppylm.data.conversations import Row
from guppylm.data.tokenizer import Tokenizer
from guppylm.evaluation.loss import LossReport, reply_tokens
from guppylm.evaluation.memory import Kind, Memory
from guppylm.evaluation.replies import dealt_out, slot_echo, with_typo
from guppylm.evaluation.rows import rows_of
from guppylm.evaluation.statistics import Share
from guppylm.fish import Fish
from guppylm.inference.sampling import SamplingConfig

LOSS_TESTS = ("test_fresh", "test_unseen_ask", "test_unseen_say")
ECHO_TESTS = ("test_fresh", "test_unseen_pair", "test_unseen_word")
SEED = 1  # of the sampled replies and of the typing errors
WORST = 20  # rows and confusions that are listed
TIMED_PROMPTS = 20  # answered one by one for tokens_per_second
VERSION = 2  # of the JSON; a figure that changes its meaning raises it


class Speaker(Protocol):
    """Whatever can be scored: a fish, or something that only pretends to be one."""

    def reply_to_all(self, prompts: Sequence[str], seed: int | None, sampling: SamplingConfig | None) -> list[str]:
        """A reply to each prompt."""

    def losses(self, rows: Sequence[Row]) -> Tensor:
        """-log probability of each row's reply given its prompt, in nats: (rows,), float64."""


@dataclass(frozen=True)
class TopicScore:
    """One topic: its gap on test_fresh, and on_topic at temperature 0.7 on its rows of test_unseen_ask."""

    topic: str
    gap_nats: float
    on_topic: Share


@dataclass(frozen=True)
class Surprise:
    """A row of test_fresh whose reply the model found far less likely than the grammar does."""

    prompt: str
    reply: str
    nats: float  # -log probability under the model
    floor_nats: float  # under the grammar


@dataclass(frozen=True)
class Scorecard:
    """What `guppylm eval` reports. Losses are by test; shares carry their 95 % intervals."""

    run: str
    losses: dict[str, LossReport]
    on_topic: dict[str, Share]  # by temperature, on test_unseen_ask
    on_topic_shuffled: dict[str, Share]  # the same replies dealt out to other prompts: what luck would give
    uppercase_on_topic: Share  # temperature 0.7, the prompts in capitals
    typo_on_topic: Share  # temperature 0.7, a typing error in each prompt
    slot_echo: dict[str, Share | None]  # by test, temperature 1
    origins: dict[str, Share]  # remembered, recombined, invented: replies to test_fresh at temperature 1
    grammar_remembered: Share  # of fresh samples of the grammar, test_fresh's own replies: what a perfect fish would repeat
    distinct_replies: int  # among those to test_fresh
    grammar_distinct_replies: int  # among test_fresh's own
    in_voice: Share  # of the same replies: within the character's rules for words, sentences and forbidden phrases
    topics: list[TopicScore]
    confusion: list[tuple[str, str, int]]  # (asked, answered, times) on test_unseen_ask at temperature 0.7, commonest first
    surprising: list[Surprise]  # worst first
    tokens_per_second: float | None = None  # of one reply at a time; None for what is no fish

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"version": VERSION, **asdict(self)}


def evaluate(fish: Fish) -> Scorecard:
    """The scorecard of a fish. Raises RunError if its data or its character is missing or has changed."""
    tests = {name: rows_of(fish.run, name) for name in dict.fromkeys((*LOSS_TESTS, *ECHO_TESTS))}
    card = score(fish, fish.tokenizer, fish.memory, tests, str(fish.run.path))
    return replace(card, tokens_per_second=_speed(fish, [row.prompt for row in tests["test_fresh"][:TIMED_PROMPTS]]))


def score(speaker: Speaker, tokenizer: Tokenizer, memory: Memory, tests: dict[str, list[Row]], name: str) -> Scorecard:
    """The scorecard of anything that speaks. `tests` maps the tests' names to their rows."""
    judge = memory.judge
    fresh, unseen = tests["test_fresh"], tests["test_unseen_ask"]
    tokens = {
        test: reply_tokens(tokenizer.render_all([(row.prompt, row.reply) for row in tests[test]])) for test in LOSS_TESTS
    }
    losses = {test: speaker.losses(tests[test]) for test in LOSS_TESTS if tests[test]}

    def answers(prompts: Sequence[str], temperature: float) -> list[str]:
        return speaker.reply_to_all(prompts, SEED, SamplingConfig(temperature))

    prompts = [row.prompt for row in unseen]
    replies = {temperature: answers(prompts, temperature) for temperature in (0.7, 1.0)}
    right = judge.on_topic(unseen, replies[0.7])
    random = Random(SEED)
    with_typos = answers([with_typo(prompt, random) for prompt in prompts], 0.7)
    in_capitals = answers([prompt.upper() for prompt in prompts], 0.7)
    said = answers([row.prompt for row in fresh], 1.0)
    kinds = [memory.look_up(row.prompt, reply).kind for row, reply in zip(fresh, said, strict=True)]
    excess = [float(nats) - (row.surprisal or 0.0) for nats, row in zip(losses["test_fresh"], fresh, strict=True)]
    confusion = judge.confusion(unseen, replies[0.7]).most_common(WORST)
    return Scorecard(
        run=name,
        losses={test: LossReport.of(tests[test], nats, tokens[test]) for test, nats in losses.items()},
        on_topic={f"{t}": Share.of(judge.on_topic(unseen, said)) for t, said in replies.items()},
        on_topic_shuffled={f"{t}": Share.of(judge.on_topic(unseen, dealt_out(said))) for t, said in replies.items()},
        uppercase_on_topic=Share.of(judge.on_topic(unseen, in_capitals)),
        typo_on_topic=Share.of(judge.on_topic(unseen, with_typos)),
        slot_echo={test: slot_echo(judge, tests[test], lambda prompts: answers(prompts, 1.0)) for test in ECHO_TESTS},
        origins={kind: Share.of([one == kind for one in kinds]) for kind in get_args(Kind)},
        grammar_remembered=Share.of([memory.times[row.reply] > 0 for row in fresh]),
        distinct_replies=len(set(said)),
        grammar_distinct_replies=len({row.reply for row in fresh}),
        in_voice=Share.of([judge.source.character.voice.allows(reply) for reply in said]),
        topics=_by_topic(judge.source.character.topics, fresh, excess, tokens["test_fresh"], unseen, right),
        confusion=[(asked, answered, times) for (asked, answered), times in confusion],
        surprising=[
            Surprise(
                fresh[place].prompt, fresh[place].reply, float(losses["test_fresh"][place]), fresh[place].surprisal or 0.0
            )
            for place in sorted(range(len(fresh)), key=lambda place: -excess[place])[:WORST]
        ],
    )


def _by_topic(
    topics: Sequence[str], fresh: list[Row], excess: list[float], tokens: Tensor, unseen: list[Row], right: list[bool]
) -> list[TopicScore]:
    scores = []
    for topic in topics:
        places = [place for place, row in enumerate(fresh) if row.topic == topic]
        judged = [yes for row, yes in zip(unseen, right, strict=True) if row.topic == topic]
        if places and judged:
            gap = sum(excess[place] for place in places) / float(tokens[places].sum())
            scores.append(TopicScore(topic, gap, Share.of(judged)))
    return scores


def _speed(fish: Fish, prompts: Sequence[str]) -> float:
    """Tokens a second, one reply at a time; reading the prompt is part of it."""
    began = time.perf_counter()
    said = [fish.reply(prompt, SEED) for prompt in prompts]
    seconds = time.perf_counter() - began
    return sum(len(fish.tokenizer.encode(reply)) + 1 for reply in said) / seconds
