"""The report card: what a training measured and what its fish can do, as a page (report.html) and as text (report.md).

Both are made from the same sections. The page is one file without scripts, and it asks the network for nothing. What a
model, a prompt or a file said is text in it, never markup.
"""

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from guppylm.checkpoint import CHARACTER, SCORECARD, RunConfig, RunFolder
from guppylm.config import PRESETS
from guppylm.data.conversations import TRAIN_ROWS
from guppylm.errors import RunError
from guppylm.evaluation.own import VERSION as OWN_VERSION
from guppylm.evaluation.scorecard import VERSION
from guppylm.model import Transformer
from guppylm.report import own
from guppylm.report.page import FACTS, Code, Rows, Section, Table, die, markdown, page
from guppylm.report.plots import Entry, gap_plot, holds, loss_plot, small_plot

PAGE, TEXT, METRICS, SAMPLES = "report.html", "report.md", "metrics.jsonl", "samples.jsonl"
STEP = ("step", "tokens", "seconds", "loss")  # what a line holds after a step of learning
LOOK = ("step", "tokens", "seconds", "validation_loss", "floor", "gap")  # and after a look at the validation rows
OWN_LOOK = ("step", "tokens", "seconds", "validation_loss", "bits_per_byte")  # the same where the floor is unknown
SAMPLE = ("step", "prompt", "reply")
LISTED = 10  # of the worst, at most
TESTS = {
    "test_fresh": "rows drawn just as the training rows are",
    "test_unseen_ask": "phrasings that training never held",
    "test_unseen_say": "replies that training never held",
    "test_unseen_pair": "a phrasing and a word that training held, but never together",
    "test_unseen_word": "words that training never held",
}
ORIGINS = {
    "remembered": "They stand, letter for letter, in a row that it has read.",
    "recombined": "No row that it has read holds them, but the grammar can say them: known parts, joined in an allowed way.",
    "invented": "The grammar can't say them at all.",
}


def write_report(run: RunFolder, card: Entry | None = None) -> Path:
    """Writes report.html and report.md into the run folder and returns the page's path. Raises RunError.

    `card` is what `Scorecard.to_dict()` gives; without it the run's scorecard.json is taken, if there is one.
    """
    as_page, as_text = make_report(run, card)
    run.write(TEXT, as_text)
    run.write(PAGE, as_page)
    return run.path / PAGE


def make_report(run: RunFolder, card: Entry | None = None) -> tuple[str, str]:
    """What `write_report` writes: the page and the text. The same run gives the same characters. Raises RunError."""
    config = run.config()
    from_sheet = config.kind == CHARACTER
    look, version = (LOOK, VERSION) if from_sheet else (OWN_LOOK, OWN_VERSION)
    measured = _entries(run, METRICS, STEP, look)
    steps, looks = ([entry for entry in measured if _is_whole(entry, kind)] for kind in (STEP, look))
    if not steps or not looks:
        raise RunError(f"{run.path} has measured nothing yet; `guppylm train --resume --out {run.path}` goes on with it")
    samples = _entries(run, SAMPLES, SAMPLE) if (run.path / SAMPLES).exists() else []
    sections = [_in_short(config, steps, looks), _sinking(config, steps, looks), _growing_up(samples, measured)]
    where = run.path / SCORECARD
    try:
        if card is None and where.exists():
            card = json.loads(run.read(SCORECARD))
        if card is not None and card["version"] != version:
            raise ValueError(f"version {card['version']}, this guppylm reads {version}")
        scores = _scores if from_sheet else own.own_scores
        sections += scores(card) if card is not None else [_unscored(run)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{where} is damaged or from another version ({error})"
        raise RunError(f"{reason}; `guppylm eval {run.path}` writes it anew") from error
    sections += [_under_the_hood(steps), _again(run, config)]
    sections = [section for section in sections if any(not isinstance(block, str) for block in section.blocks)]
    title = f"Report card: {config.name or run.path.name}"
    return page(title, sections), markdown(title, sections)


def _entries(run: RunFolder, name: str, *kinds: tuple[str, ...]) -> list[Entry]:
    """The lines of a JSON-lines file, each of one of these kinds; a last line that a crash cut short is left out."""
    lines = run.read(name).rstrip("\n").split("\n")  # not splitlines(): a reply may hold other line separators
    found: list[Entry] = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            whole = any(_is_whole(entry, kind) for kind in kinds)
        except ValueError:
            if number == len(lines):
                break
            whole = False
        if not whole:
            raise RunError(f"{run.path / name}, line {number} is damaged; delete that line, or train again with --overwrite")
        found.append(entry)
    return found


def _is_whole(entry: Any, kind: tuple[str, ...]) -> bool:
    return isinstance(entry, dict) and all(holds(entry, key) for key in kind)


def _in_short(config: RunConfig, steps: list[Entry], looks: list[Entry]) -> Section:
    with torch.device("meta"):  # shapes without numbers
        parameters = sum(parameter.numel() for parameter in Transformer(config.model).parameters())
    last, first, end, size = steps[-1], looks[0], looks[-1], config.model.vocabulary_size
    stopped = "" if last["step"] >= config.train.steps else f" It was stopped: {config.train.steps:,} steps were planned."
    before = f"Before it learned anything: as unsure about each next token as {die(first['validation_loss'])}."
    chance = "The grammar that wrote the replies draws words by chance, so nobody can be less unsure than this:"
    facts: Rows = [
        ("knowing nothing", f"{math.log(size):.2f} nats", f"ln {size:,}", f"All {size:,} tokens are equally likely."),
        ("loss at first", f"{first['validation_loss']:.2f} nats", f"step {first['step']:,}", before),
        (
            "loss",
            f"{end['validation_loss']:.3f} nats",
            f"step {end['step']:,}",
            f"As unsure as {die(end['validation_loss'])}.",
        ),
    ]
    if config.kind == CHARACTER:
        left = "Loss minus floor: what is left to learn. Perfect is 0."
        facts.append(("floor", f"{end['floor']:.3f} nats", "exact", f"{chance} {die(end['floor'])}."))
        facts.append(("gap", f"{end['gap']:.3f} nats", f"step {end['step']:,}", left))
    else:
        facts += own.unknown_floor(end)
    what = f"{config.rows:,} conversations" if config.kind == CHARACTER else own.read_what(config)
    guessed = own.guessed(config)
    told = (
        f"{parameters:,} parameters learned to guess the next token of {what}, in {last['step']:,} "
        f"steps, {last['tokens']:,} tokens and {last['seconds']:,.0f} seconds of learning.{stopped} The loss says how much "
        f"each next token of {guessed} surprises it; here, of the validation rows, which it never learns from."
    )
    return Section("In short", [told, Table(FACTS, facts)])


def _sinking(config: RunConfig, steps: list[Entry], looks: list[Entry]) -> Section:
    floor = "the floor, on which a perfect fish would lie." if config.kind == CHARACTER else "a floor that nobody knows."
    told = f"It starts where all tokens are equally likely, and sinks towards {floor}"
    above = "The gap is how far above the floor it still is."
    gaps = [entry for entry in looks if entry.get("gap", 0) > 0]  # a logarithm needs it
    gap = (above, gap_plot(gaps)) if len(gaps) > 1 else ()
    return Section("The loss sinks", [told, loss_plot(config, steps, looks), *gap])


def _growing_up(samples: list[Entry], measured: list[Entry]) -> Section:
    seconds = {entry["step"]: f"{entry['seconds']:,.0f}" for entry in measured}
    rows: dict[str, Rows] = {}
    for said in samples:
        row = (f"{said['step']:,}", seconds.get(said["step"], ""), said["reply"])
        rows.setdefault(said["prompt"], []).append(row)
    tables = [Table(("step", "seconds", "reply"), replies, prompt) for prompt, replies in rows.items()]
    return Section("Growing up", ["The same prompts along the way, and what it replied.", *tables])


def _unscored(run: RunFolder) -> Section:
    return Section("Scorecard", ["Not scored yet. This command does it:", Code(f"guppylm eval {shlex.quote(str(run.path))}")])


def _scores(card: Entry) -> list[Section]:
    """The scorecard in words; a figure that it lacks is left out."""

    def facts(title: str, told: str, *rows: tuple[str, Any, str]) -> Section:
        known: Rows = [(name, *_value(value), meaning) for name, value, meaning in rows if value is not None]
        return Section(title, [told, Table(FACTS, known)] if known else [])

    def worst(title: str, told: str, head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Section:
        return Section(title, [told, Table(head, [tuple(map(str, row)) for row in rows])] if rows else [])

    dealt = "The same replies, each held against another prompt: what luck would give."
    understood = []
    for at, share in card.get("on_topic", {}).items():
        right = "The right turn of the sheet can say the reply, and no other turn can."
        understood.append((f"on topic, temperature {at}", share, right))
        understood.append((f"the same, shuffled, {at}", card.get("on_topic_shuffled", {}).get(at), dealt))
    luck = "Fresh samples of the grammar that stand in such a row by chance: a perfect fish repeats as much."
    own = f"The grammar's own replies to the same prompts: {card.get('grammar_distinct_replies', 0):,} different ones."
    rules = "Within the character's rules: how long a reply may be, which phrases it never uses."
    topics = sorted(card.get("topics", []), key=lambda topic: topic["on_topic"]["value"])
    return [
        facts(
            "How far from perfect",
            "The gap on tests that it never learned from, by what is new in them. 0 is perfect.",
            *(
                (f"gap, {name}", loss, f"On {TESTS.get(name, name)}: {_loss(loss)}")
                for name, loss in card.get("losses", {}).items()
            ),
        ),
        facts(
            "Does it understand?",
            "Prompts in phrasings that training never held (test_unseen_ask). The temperature says how daring it draws: at 1, "
            "tokens come just as likely as it thinks them, below that closer to the likeliest.",
            *understood,
            ("in capitals, 0.7", card.get("uppercase_on_topic"), "It reads all text in lower case: HELLO is hello to it."),
            (
                "with typing errors, 0.7",
                card.get("typo_on_topic"),
                "In each prompt two letters swapped, one lost, or one twice.",
            ),
        ),
        facts(
            "Does it listen?",
            "Told of a castle, it should speak of a castle (slot echo, at temperature 1).",
            *(
                (name, share, f"The prompt's word comes back: {TESTS.get(name, name)}.")
                for name, share in card.get("slot_echo", {}).items()
            ),
        ),
        facts(
            "Does it only repeat?",
            "Where its replies come from (to test_fresh, at temperature 1).",
            *((kind, card.get("origins", {}).get(kind), meaning) for kind, meaning in ORIGINS.items()),
            ("remembered, the grammar", card.get("grammar_remembered"), luck),
            ("different replies", card.get("distinct_replies"), own),
        ),
        facts(
            "Its manner",
            "How it speaks, whatever it says.",
            ("in voice", card.get("in_voice"), rules),
            ("tokens a second", card.get("tokens_per_second"), "One reply at a time, reading the prompt included."),
        ),
        worst(
            "Topic by topic",
            "The least understood first: on topic at temperature 0.7, the gap on test_fresh.",
            ("topic", "on topic", "prompts", "gap (nats)"),
            [(t["topic"], *_value(t["on_topic"])[:1], f"{t['on_topic']['count']:,}", f"{t['gap_nats']:.3f}") for t in topics],
        ),
        worst(
            "What it mixes up",
            "Replies that are off topic, by turn, the commonest first; none: no turn can say it.",
            ("asked", "answered", "times"),
            [(asked, answered, f"{times:,}") for asked, answered, times in card.get("confusion", [])[:LISTED]],
        ),
        worst(
            "What surprised it most",
            "Right replies of test_fresh that it found far less likely than the grammar does: nats over the whole reply.",
            ("prompt", "right reply", "nats", "grammar"),
            [
                (row["prompt"], row["reply"], f"{row['nats']:.1f}", f"{row['floor_nats']:.1f}")
                for row in card.get("surprising", [])[:LISTED]
            ],
        ),
    ]


def _value(value: Any) -> tuple[str, str]:
    """A figure of the scorecard and how sure it is: a share, a loss report or a number."""
    if not isinstance(value, Mapping):
        return f"{value:,.0f}", ""
    if "gap_nats" in value:
        return f"{value['gap_nats']:.3f} nats", f"standard error {value['gap_standard_error']:.3f}, {value['rows']:,} rows"
    return own.share_in_words(value)


def _loss(loss: Entry) -> str:
    nats, floor = loss["loss_nats"], loss["floor_nats"]
    return f"loss {nats:.3f}, as unsure as {die(nats)}; floor {floor:.3f}; {loss['bits_per_byte']:.3f} bits per byte."


def _under_the_hood(steps: list[Entry]) -> Section:
    told = "How far each step goes, how steep the loss is where it stands, and how fast it reads."
    names = ("learning_rate", "gradient_norm", "tokens_per_second")
    return Section(
        "Under the hood", [told, *(small_plot(steps, name) for name in names if any(holds(step, name) for step in steps))]
    )


def _again(run: RunFolder, config: RunConfig) -> Section:
    data = ["--character", config.character] if config.kind == CHARACTER else own.again(run, config)
    steps = ["--steps", f"{config.train.steps}", "--shallow", f"{config.train.shallow_steps}"]
    words = ["guppylm", "train", *data, *steps, "--seed", f"{config.train.seed}"]
    size = next(
        (n for n, m in PRESETS.items() if replace(m, vocabulary_size=config.model.vocabulary_size) == config.model), ""
    )
    words += ["--preset", size] if size not in ("", "guppy") else []
    words += ["--rows", f"{config.rows}"] if config.kind == CHARACTER and config.rows != TRAIN_ROWS else []
    source = "sheet" if config.kind == CHARACTER else "file"
    told = f"The same command with the same {source} gives the same fish, as far as the machines round alike."
    dials = [(name, f"{value}") for part in (config.model, config.train) for name, value in asdict(part).items()]
    versions = [
        (f"the {source}'s fingerprint", config.fingerprint),
        ("guppylm", config.guppylm),
    ]
    return Section("Do it again", [told, Code(shlex.join(words)), Table(("dial", "value"), [*dials, *versions])])
