"""The report card: a page that holds what the run measured, asks the network for nothing and believes no text."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from guppylm.checkpoint import RunConfig, RunFolder
from guppylm.config import PRESETS, TrainConfig
from guppylm.errors import RunError
from guppylm.evaluation.scorecard import VERSION
from guppylm.model import Transformer
from guppylm.report import make_report, write_report

EVIL = "<script>alert('fish')</script>"
FLOOR = 0.2375
SHARE = {"value": 0.8125, "low": 0.7, "high": 0.9, "count": 1997}
CARD: dict[str, Any] = {
    "version": VERSION,
    "run": "runs/guppy",
    "losses": {
        "test_fresh": {
            **{"loss_nats": 0.472, "floor_nats": 0.244, "gap_nats": 0.228, "gap_standard_error": 0.006},
            **{"bits_per_byte": 0.182, "rows": 2000, "tokens": 35000},
        }
    },
    "on_topic": {"0.7": SHARE},
    "on_topic_shuffled": {"0.7": {**SHARE, "value": 0.0021}},
    "uppercase_on_topic": {**SHARE, "value": 0.8124},
    "typo_on_topic": {**SHARE, "value": 0.641},
    "slot_echo": {"test_fresh": {**SHARE, "value": 0.873}, "test_unseen_word": None},
    "origins": {kind: {**SHARE, "value": value} for kind, value in (("remembered", 0.412), ("invented", 0.288))},
    "grammar_remembered": {**SHARE, "value": 0.437},
    "distinct_replies": 1673,
    "grammar_distinct_replies": 1712,
    "in_voice": {**SHARE, "value": 0.981},
    "topics": [{"topic": "cat", "gap_nats": 0.123, "on_topic": SHARE}, {"topic": EVIL, "gap_nats": 0.1, "on_topic": SHARE}],
    "confusion": [("jokes / tell one", EVIL, 22)],
    "surprising": [{"prompt": EVIL, "reply": "a castle | of *glass* [x](y)", "nats": 48.24, "floor_nats": 9.31}],
    "tokens_per_second": 412.3,
}
VOID = {"meta", "br", "link"}


class Page(HTMLParser):
    """Checks that each element is closed where it was opened, and gathers what is on the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.pictures: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attrs)
        assert not [name for name in values if name.startswith("on")]
        self.ids += [values["id"] or ""] if "id" in values else []
        self.pictures += [values] if tag == "svg" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Twenty steps of a training that nobody did."""
    folder = RunFolder(tmp_path / "fish")
    folder.create(overwrite=False)
    config = RunConfig(PRESETS["fry"], TrainConfig(steps=20, seed=7), "my fish", "f1n9e4", ("hi",), 500, "0.1.0")
    folder.write("config.json", config.to_json())
    for step in range(21):
        place = {"step": step, "tokens": 2000 * step, "seconds": 0.75 * step}
        loss = FLOOR + 8.0 * math.exp(-step / 4)
        if step:
            rates = {"learning_rate": 0.016, "gradient_norm": 1.5, "tokens_per_second": 2667}
            folder.append("metrics.jsonl", {**place, "loss": loss, **rates})
        if step % 5 == 0:
            folder.append("metrics.jsonl", {**place, "validation_loss": loss, "floor": FLOOR, "gap": loss - FLOOR})
            reply = f"{EVIL} \x1b[31m \u202e \u2028 {step}"
            folder.append(
                "samples.jsonl", {"step": step, "tokens": 2000 * step, "prompt": "i got you a <b>castle</b>", "reply": reply}
            )
    return folder


def test_the_page_is_whole_and_asks_for_nothing(run: RunFolder) -> None:
    for card in (None, CARD):
        text, _ = make_report(run, card)
        page = Page(text)
        assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "form", "a"})
        assert not re.search(r"https?://|//[a-z]+\.|@import|url\((?!#)|src=", text)
        assert len(page.ids) == len(set(page.ids))
        for name in re.findall(r'(?:url\(#|href="#)([^")]+)', text):
            assert name in page.ids


def test_what_anybody_said_is_text(run: RunFolder) -> None:
    text, markdown = make_report(run, CARD)
    assert "<script" not in text
    assert "<b>" not in text
    page = Page(text)
    assert page.text.count(EVIL) == 5 + 3  # replies; topic, confusion, prompt
    assert "i got you a <b>castle</b>" in page.text
    for one in (text, markdown):
        assert all(char.isprintable() or char == "\n" for char in one)
    assert not re.search(r"(?<!\\)[<>]", markdown)
    assert r"a castle \| of \*glass\* \[x\](y)" in markdown
    for table in re.findall(r"(?:^\|.*\n)+", markdown, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_figures_are_those_of_the_run(run: RunFolder) -> None:
    text, markdown = make_report(run)
    end = FLOOR + 8.0 * math.exp(-5)
    for shown in (Page(text).text, markdown):
        for figure in (f"{FLOOR + 8:.2f} nats", f"{end:.3f} nats", f"{FLOOR:.3f} nats", f"{end - FLOOR:.3f} nats"):
            assert figure in shown
        assert f"a fair die with {math.exp(end):.2f} sides" in shown
        assert "40,000 tokens and 15 seconds" in shown
        assert "guppylm train --character 'my fish' --steps 20 --shallow 0 --seed 7 --preset fry --rows 500" in shown
        assert "guppylm eval" in shown
    parameters = sum(tensor.numel() for tensor in Transformer(PRESETS["fry"]).parameters())
    assert f"{parameters:,} parameters" in markdown


def test_the_scorecard_in_words(run: RunFolder) -> None:
    run.write("scorecard.json", json.dumps(CARD))
    text, markdown = make_report(run)
    assert (text, markdown) == make_report(run, CARD)
    for shown in (Page(text).text, markdown):
        for figure in ("0.228 nats", "standard error 0.006, 2,000 rows", "0.472", "a fair die with 1.60 sides", "0.182 bits"):
            assert figure in shown
        for share in ("81.2 %", "0.2 %", "64.1 %", "87.3 %", "41.2 %", "28.8 %", "43.7 %", "98.1 %"):
            assert share in shown
        assert "70.0 to 90.0 % (95 %), 1,997 replies" in shown
        for figure in ("1,673", "1,712", "412", "0.123", "48.2", "9.3"):
            assert figure in shown
        assert "test_unseen_word" not in shown  # nothing was measured there
        assert "Not scored yet" not in shown


def test_any_figure_may_be_absent(run: RunFolder) -> None:
    figures = [name for name in CARD if name != "version"]
    for kept in (figures[::2], figures[1::2]):
        Page(make_report(run, {"version": VERSION, **{name: CARD[name] for name in kept}})[0])
    (run.path / "samples.jsonl").unlink()
    _, markdown = make_report(run, {"version": VERSION})
    assert "Does it listen?" not in markdown
    assert "Growing up" not in markdown


def test_pictures_say_their_figures(run: RunFolder) -> None:
    text, markdown = make_report(run)
    page = Page(text)
    assert len(page.pictures) == 5
    assert all(picture["role"] == "img" for picture in page.pictures)
    labels = [picture["aria-label"] or "" for picture in page.pictures]
    end = FLOOR + 8.0 * math.exp(-5)
    nothing = math.log(PRESETS["fry"].vocabulary_size)
    assert f"goes from {FLOOR + 8:.2f} to {end:.3f} nats over 40,000 tokens; knowing nothing is {nothing:.2f}" in labels[0]
    assert f"floor is {FLOOR:.3f}" in labels[0]
    assert all(label in markdown for label in labels)
    for svg in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        assert "<title>" in svg
        assert not re.search(r"#[0-9a-f]{6}\b", svg)  # colours are the page's, light or dark


def test_older_runs_have_no_gradient_norm(run: RunFolder) -> None:
    lines = [json.loads(line) for line in run.read("metrics.jsonl").splitlines()]
    without = [{key: value for key, value in line.items() if key != "gradient_norm"} for line in lines]
    run.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in without))
    page = Page(make_report(run)[0])
    assert len(page.pictures) == 4
    assert "gradient" not in page.text.lower()


def test_a_training_that_went_astray_or_was_stopped_is_shown(run: RunFolder) -> None:
    lines = [json.loads(line) for line in run.read("metrics.jsonl").splitlines()]
    half = [{**line, "loss": math.nan} if line["step"] > 3 and "loss" in line else line for line in lines if line["step"] < 9]
    run.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in half))
    assert "It was stopped: 20 steps were planned." in Page(make_report(run)[0]).text
    lost = [{**line, "validation_loss": math.nan} if "gap" in line else line for line in lines]
    run.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lost))
    assert "nan nats" in Page(make_report(run)[0]).text


def test_the_same_run_gives_the_same_bytes(run: RunFolder) -> None:
    run.write("scorecard.json", json.dumps(CARD))
    page = write_report(run)
    assert page == run.path / "report.html"
    first = [(run.path / name).read_bytes() for name in ("report.html", "report.md")]
    write_report(run)
    assert first == [(run.path / name).read_bytes() for name in ("report.html", "report.md")]


def test_missing_and_damaged_measurements(run: RunFolder) -> None:
    whole = run.read("metrics.jsonl")
    run.write("metrics.jsonl", whole + '{"step": 21, "tok')  # a crash cut it short
    make_report(run)
    lines = whole.splitlines()
    for damage in ('{"step": 3, "tok', "7", '{"step": "<b>", "tokens": 1, "seconds": 1, "loss": 2}', "{}", ""):
        run.write("metrics.jsonl", "\n".join([*lines[:3], damage, *lines[3:]]))
        with pytest.raises(RunError, match=r"metrics.jsonl, line 4 is damaged; .*--overwrite"):
            make_report(run)
    for nothing in ("", lines[0]):
        run.write("metrics.jsonl", nothing)
        with pytest.raises(RunError, match=r"measured nothing yet; .*--resume"):
            make_report(run)
    (run.path / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match=r"metrics.jsonl is missing; .*--overwrite"):
        make_report(run)


@pytest.mark.parametrize(
    "damage",
    ['{"version', "[]", "{}", '{"version": 0}', json.dumps({**CARD, "topics": 3}), json.dumps({**CARD, "in_voice": {}})],
)
def test_a_damaged_scorecard_is_refused(run: RunFolder, damage: str) -> None:
    run.write("scorecard.json", damage)
    with pytest.raises(RunError, match=r"scorecard.json is damaged or from another version .*guppylm eval"):
        make_report(run)
