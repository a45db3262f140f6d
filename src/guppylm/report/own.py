"""What the report card says of a run on data whose floor is unknown: your own conversations, or a text."""

from collections.abc import Mapping
from typing import Any

from guppylm.checkpoint import TEXT, RunConfig, RunFolder
from guppylm.data.sources import TEST
from guppylm.data.text import CharacterTokenizer
from guppylm.report.page import FACTS, Rows, Section, Table, die

MEANING = {
    "train": "What it has read. The further this lies below the others, the more has been learned by heart.",
    "validation": "Held out, and looked at along the way.",
    TEST: "Prompts that stand nowhere in train.",
}


def read_what(config: RunConfig) -> str:
    """What the model learned to guess the next token of."""
    return f"the text {config.name}" if config.kind == TEXT else f"{config.rows:,} conversations of {config.name}"


def guessed(config: RunConfig) -> str:
    """Whose tokens the loss is about."""
    return "the text" if config.kind == TEXT else "a reply"


def unknown_floor(look: Mapping[str, Any]) -> Rows:
    """The rows of the first table that stand where floor and gap would."""
    why = "No grammar made this data, so nobody knows how unsure a perfect model would be. There is no gap either."
    per_byte = "The loss over the bytes of what is guessed: it can be compared between tokenizers."
    return [
        ("floor", "unknown", "", why),
        ("bits per byte", f"{look['bits_per_byte']:.3f}", f"step {look['step']:,}", per_byte),
    ]


def own_scores(card: Mapping[str, Any]) -> list[Section]:
    """The scorecard in words. Raises KeyError, TypeError or ValueError if it is damaged."""
    losses: Rows = []
    for name, loss in card["losses"].items():
        told = f"{MEANING.get(name, 'Held out.')} As unsure as {die(loss['loss_nats'])}."
        sure = f"{loss['bits_per_byte']:.3f} bits per byte, {loss['rows']:,} rows"
        losses.append((f"loss, {name}", f"{loss['loss_nats']:.3f} nats", sure, told))
    sections = [Section("How unsure is it?", ["The floor of this data is unknown.", Table(FACTS, losses)])]
    shares = (
        (
            "remembered",
            card["remembered"],
            "Replies to prompts of the test that stand, letter for letter, in a row it has read.",
        ),
        ("the test itself", card["test_remembered"], "The test's own replies that stand there: what the data itself repeats."),
    )
    known: Rows = [(name, *share_in_words(share), told) for name, share, told in shares if share is not None]
    if known:
        sections.append(Section("Does it only repeat?", ["At temperature 1.", Table(FACTS, known)]))
    speed = f"{card['tokens_per_second']:,.0f}"
    return [*sections, Section("Its manner", [Table(FACTS, [("tokens a second", speed, "", "One reply at a time.")])])]


def share_in_words(share: Mapping[str, Any]) -> tuple[str, str]:
    """A share and how sure it is."""
    low, high = 100 * share["low"], 100 * share["high"]
    return f"{100 * share['value']:.1f} %", f"{low:.1f} to {high:.1f} % (95 %), {share['count']:,} replies"


def again(run: RunFolder, config: RunConfig) -> list[str]:
    """The words of the command that name the data."""
    if config.kind == TEXT:
        characters = isinstance(run.tokenizer(), CharacterTokenizer)
        return ["--text", config.character, *(["--tokenizer", "characters"] if characters else [])]
    return ["--conversations", config.character]
