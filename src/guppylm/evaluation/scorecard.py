"""All figures about a trained fish, on the tests of its run folder."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from guppylm.data.character import load_character
from guppylm.data.conversations import Conversations, Row, read_rows
from guppylm.errors import RunError
from guppylm.evaluation.loss import LossReport, loss_report
from guppylm.evaluation.replies import Judge, OnTopic, on_topic, slot_echo
from guppylm.evaluation.statistics import Share
from guppylm.fish import Fish
from guppylm.inference.sampling import SamplingConfig

LOSS_TESTS = ("test_fresh", "test_unseen_ask", "test_unseen_say")
ECHO_TESTS = ("test_fresh", "test_unseen_pair", "test_unseen_word")
SEED = 1  # of the sampled replies


@dataclass(frozen=True)
class Scorecard:
    """What `guppylm eval` reports. Losses are by test; shares carry their 95 % intervals."""

    run: str
    losses: dict[str, LossReport]
    on_topic: dict[str, OnTopic]  # by temperature, on test_unseen_ask
    slot_echo: dict[str, Share | None]
    confusion: list[tuple[str, str, int]]  # (asked, answered, times) on test_unseen_ask at temperature 0.7, commonest first

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


def evaluate(fish: Fish) -> Scorecard:
    """The scorecard of a fish. Raises RunError if its data or its character is missing or has changed."""
    run = fish.run.config()
    sheet = load_character(run.character)
    if sheet.fingerprint != run.fingerprint:
        raise RunError(
            f"the character {run.character} has changed since {fish.run.path} was trained; train it again to score it"
        )
    source = Conversations(sheet, run.train.seed)
    judge = Judge(source)
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
    return Scorecard(str(fish.run.path), losses, topics, echoes, confusion)


def _read(fish: Fish, name: str) -> list[Row]:
    try:
        return list(read_rows(fish.run.path / "data" / f"{name}.jsonl"))
    except (FileNotFoundError, ValueError) as error:
        raise RunError(f"{fish.run.path} has lost its test {name} ({error}); train again to score it") from error
