"""All figures about a trained fish, on the tests of its run folder."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from guppylm.data.conversations import Row, read_rows
from guppylm.errors import RunError
from guppylm.evaluation.loss import LossReport, loss_report
from guppylm.evaluation.memory import Kind
from guppylm.evaluation.replies import OnTopic, on_topic, slot_echo
from guppylm.evaluation.statistics import Share
from guppylm.fish import Fish
from guppylm.inference.sampling import SamplingConfig

LOSS_TESTS = ("test_fresh", "test_unseen_ask", "test_unseen_say")
ECHO_TESTS = ("test_fresh", "test_unseen_pair", "test_unseen_word")
SEED = 1  # of the sampled replies
VERSION = 1  # of the JSON; a figure that changes its meaning raises it


@dataclass(frozen=True)
class Scorecard:
    """What `guppylm eval` reports. Losses are by test; shares carry their 95 % intervals."""

    run: str
    losses: dict[str, LossReport]
    on_topic: dict[str, OnTopic]  # by temperature, on test_unseen_ask
    slot_echo: dict[str, Share | None]
    origins: dict[str, Share]  # remembered, recombined, invented: replies to test_fresh at temperature 1
    grammar_remembered: Share  # of fresh samples of the grammar, test_fresh's own replies: what a perfect fish would repeat
    distinct_replies: int  # among those to test_fresh
    grammar_distinct_replies: int  # among test_fresh's own
    in_voice: Share  # of the same replies: within the character's rules for words, sentences and forbidden phrases
    confusion: list[tuple[str, str, int]]  # (asked, answered, times) on test_unseen_ask at temperature 0.7, commonest first

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"version": VERSION, **asdict(self)}


def evaluate(fish: Fish) -> Scorecard:
    """The scorecard of a fish. Raises RunError if its data or its character is missing or has changed."""
    memory = fish.memory
    judge = memory.judge
    voice = judge.source.character.voice
    tests = {name: _read(fish, name) for name in dict.fromkeys((*LOSS_TESTS, *ECHO_TESTS))}
    losses = {name: loss_report(fish.model, fish.tokenizer, tests[name]) for name in LOSS_TESTS if tests[name]}

    def answer_at(temperature: float) -> Any:
        return lambda prompts: fish.reply_to_all(prompts, SEED, SamplingConfig(temperature))

    unseen = tests["test_unseen_ask"]
    said: list[str] = []

    def remembered_answer(prompts: Sequence[str]) -> list[str]:
        said[:] = answer_at(0.7)(prompts)
        return said

    topics = {"0.7": on_topic(judge, unseen, remembered_answer), "1.0": on_topic(judge, unseen, answer_at(1.0))}
    confusion = [(asked, answered, times) for (asked, answered), times in judge.confusion(unseen, said).most_common()]
    echoes = {name: slot_echo(judge, tests[name], answer_at(1.0)) for name in ECHO_TESTS}
    fresh = tests["test_fresh"]
    replies = answer_at(1.0)([row.prompt for row in fresh])
    kinds = [memory.look_up(row.prompt, reply).kind for row, reply in zip(fresh, replies, strict=True)]
    return Scorecard(
        run=str(fish.run.path),
        losses=losses,
        on_topic=topics,
        slot_echo=echoes,
        origins={kind: Share.of([one == kind for one in kinds]) for kind in get_args(Kind)},
        grammar_remembered=Share.of([memory.times[row.reply] > 0 for row in fresh]),
        distinct_replies=len(set(replies)),
        grammar_distinct_replies=len({row.reply for row in fresh}),
        in_voice=Share.of([voice.allows(reply) for reply in replies]),
        confusion=confusion,
    )


def _read(fish: Fish, name: str) -> list[Row]:
    try:
        return list(read_rows(fish.run.path / "data" / f"{name}.jsonl"))
    except (FileNotFoundError, ValueError) as error:
        raise RunError(f"{fish.run.path} has lost its test {name} ({error}); train again to score it") from error
