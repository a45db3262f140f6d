"""The figures and samples that stand in the documentation, written by their commands.

python bench/pages.py results RUN...    the README's table of results, from the runs' scorecard.json (made by guppylm eval)
python bench/pages.py guppy RUN         docs/guppy.md: the sheet in figures, a hundred rows, sixty prompts with its replies
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from guppylm.checkpoint import SCORECARD
from guppylm.data.character import find_character, load_character
from guppylm.data.conversations import Conversations
from guppylm.data.coverage import coverage
from guppylm.evaluation.replies import Judge
from guppylm.fish import Fish, load

DOCS = Path(__file__).parent.parent / "docs"
ROWS, ROWS_SEED, REPLY_SEED, DRAWS = 100, 5, 1, 20
SIXTY = (  # the topic of each line of sixty_prompts.txt, by its file
    "greeting", "food", "decorations", "bubbles", "cat", "meaning", "human_things", "jokes", "loneliness", "goodbye",
    "feelings", "temperature", "light", "water_changes", "the_tank", "noise", "night", "glass", "reflection",
    "breathing", "swimming", "colors", "taste", "plants", "filter", "algae", "snail", "poop", "tapping", "fear",
    "excitement", "boredom", "curiosity", "happiness", "sleep", "outside", "weather", "seasons", "music", "singing",
    "visitors", "children", "time", "memory", "dreams", "size", "future", "past", "name", "friends", "love", "age",
    "intelligence", "illness", "television", "who_are_you", "on_your_mind", "thanks", "compliments_insults",
    "persons_day",
)  # fmt: skip


def results(runs: list[str]) -> str:
    """One column a run."""
    cards = [json.loads((Path(run) / SCORECARD).read_text(encoding="utf-8")) for run in runs]
    ends = [json.loads((Path(run) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]) for run in runs]

    def line(label: str, values: list[str]) -> str:
        return "| " + " | ".join([label, *values]) + " |"

    def figures(label: str, path: str) -> str:
        return line(label, [f"{_at(card, path):.3f}" if _at(card, path) is not None else "none" for card in cards])

    return "\n".join(
        [
            line("", [Path(run).name for run in runs]),
            line("---", ["---"] * len(runs)),
            line("steps of 2,048 tokens", [f"{end['step']:,}" for end in ends]),
            line("seconds of learning", [f"{end['seconds']:.0f}" for end in ends]),
            figures("floor, `test_fresh` (nats a reply token)", "losses/test_fresh/floor_nats"),
            figures("**gap**, `test_fresh`", "losses/test_fresh/gap_nats"),
            figures("gap, `test_unseen_ask`", "losses/test_unseen_ask/gap_nats"),
            figures("gap, `test_unseen_say`", "losses/test_unseen_say/gap_nats"),
            figures("**on topic**, `test_unseen_ask`, temperature 0.7", "on_topic/0.7/value"),
            figures("the same replies dealt to other prompts", "on_topic_shuffled/0.7/value"),
            figures("on topic, `test_unseen_ask`, temperature 1", "on_topic/1.0/value"),
            figures("on topic, the prompts in capitals, 0.7", "uppercase_on_topic/value"),
            figures("on topic, a typing error in each prompt, 0.7", "typo_on_topic/value"),
            figures("**slot echo**, `test_fresh`, temperature 1", "slot_echo/test_fresh/value"),
            figures("slot echo, pairs of ask and word never seen together", "slot_echo/test_unseen_pair/value"),
            figures("slot echo, words never seen", "slot_echo/test_unseen_word/value"),
            figures("remembered: the reply stands in a row that it read", "origins/remembered/value"),
            figures("the same of the grammar's own samples", "grammar_remembered/value"),
            figures("recombined", "origins/recombined/value"),
            figures("invented", "origins/invented/value"),
        ]
    )


def _at(card: dict[str, Any], path: str) -> Any:
    found: Any = card
    for key in path.split("/"):
        found = found.get(key) if found is not None else None
    return found


def sheet_in_figures() -> str:
    """The table of docs/guppy.md."""
    found = coverage(load_character("guppy"))
    entropies = [turn.entropy_nats for turn in found.turns]
    longest = f"{found.longest_reply_tokens} and {found.longest_conversation_tokens} tokens"
    return "\n".join(
        [
            "| | |\n|---|---|",
            f"| topics, turns, asks, says | {found.topics}, {len(found.turns)}, {found.asks:,}, {found.says:,} |",
            f"| distinct prompts | {found.distinct_prompts:,} |",
            f"| distinct pairs of prompt and reply | {found.distinct_pairs:,} |",
            f"| distinct replies | {found.distinct_replies:,} |",
            f"| with the words of pools blanked: openers times closers | {found.distinct_replies_without_fillers:,} |",
            f"| prompts that can be understood by the words of other asks | {found.clarity:.1%} |",
            f"| entropy of a turn's reply, given its prompt | {min(entropies):.1f} to {max(entropies):.1f} nats |",
            f"| words and marks of all distinct say text | {found.say_tokens:,} |",
            f"| distinct sentences in the replies, words of pools blanked | {found.sentences:,} |",
            f"| half of them are met in at most | {found.sentence_exposures[1]} rows |",
            f"| tokens of the vocabulary that occur | {found.vocabulary_in_train:,} of {found.vocabulary:,} |",
            f"| longest reply, longest conversation | {longest} |",
        ]
    )


def hundred_rows() -> str:
    """As `guppylm data --show` prints them."""
    rows = Conversations(load_character("guppy"), ROWS_SEED).rows("train", ROWS)
    return _fenced([(row.topic, row.prompt, row.reply) for row in rows])


def sixty_prompts(fish: Fish) -> str:
    """One a topic, in the order in which the topics were written, each with the fish's reply; how often one fits."""
    lines = (DOCS / "sixty_prompts.txt").read_text(encoding="utf-8").splitlines()
    fitting, dealt = of_their_topic(fish, lines)
    told = (
        f"Of {DRAWS} replies to each at temperature 0.7 a turn of the prompt's topic can say a share of {fitting:.3f}; of\n"
        f"the same replies, each given to the next prompt, {dealt:.3f}."
    )
    return _fenced([("", prompt, fish.reply(prompt, seed=REPLY_SEED)) for prompt in lines]) + f"\n\n{told}"


def of_their_topic(fish: Fish, prompts: list[str]) -> tuple[float, float]:
    """The share of replies that a turn of the prompt's topic can say, and that of the same replies at the next prompt."""
    topics = find_character("guppy") / "topics"
    titles = [tomllib.loads((topics / f"{stem}.toml").read_text(encoding="utf-8"))["title"] for stem in SIXTY]
    judge = Judge(Conversations(load_character("guppy"), ROWS_SEED))
    replies = fish.reply_to_all([prompt for prompt in prompts for _ in range(DRAWS)], seed=REPLY_SEED)
    said = [{topic for topic, _ in judge.sayers(reply)} for reply in replies]
    asked = [title for title in titles for _ in range(DRAWS)]
    fitting, dealt = (
        [title in topics for title, topics in zip(asked, said[shift:] + said[:shift], strict=True)] for shift in (0, DRAWS)
    )
    return sum(fitting) / len(fitting), sum(dealt) / len(dealt)


def _fenced(rows: list[tuple[str, str, str]]) -> str:
    width = max(len(topic) for topic, _, _ in rows)
    indent = " " * (width + 1 if width else 0)
    return (
        "```\n"
        + "\n".join(f"{topic:{width}}{' ' if width else ''}{prompt}\n{indent}  -> {reply}" for topic, prompt, reply in rows)
        + "\n```"
    )


def fill(page: Path, blocks: dict[str, str]) -> None:
    """Replaces what stands between `<!-- name -->` and `<!-- end -->`."""
    text = page.read_text(encoding="utf-8")
    for name, block in blocks.items():
        place = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
        if place is None:
            sys.exit(f"{page} has no place for {name}: it needs <!-- {name} --> and <!-- end -->")
        text = f"{text[: place.start(1)]}\n{block}\n\n{text[place.end(1) :]}"
    page.write_text(text, encoding="utf-8")


def main() -> None:
    if len(sys.argv) > 2 and sys.argv[1] == "results":
        print(results(sys.argv[2:]))
    elif len(sys.argv) == 3 and sys.argv[1] == "guppy":
        blocks = {"figures": sheet_in_figures(), "rows": hundred_rows(), "prompts": sixty_prompts(load(sys.argv[2]))}
        fill(DOCS / "guppy.md", blocks)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
