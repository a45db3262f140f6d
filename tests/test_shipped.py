"""The fish that ships: he is there at once, says what he said when he was made, and is as good as his scorecard."""

import json
from pathlib import Path

import pytest
import torch

import guppylm
from conftest import Command
from guppylm.checkpoint import SCORECARD
from guppylm.config import preset
from guppylm.data.character import load_character
from guppylm.fish import SHIPPED, Fish, load
from guppylm.inference.sampling import SamplingConfig

GOLDEN = {  # the likeliest replies
    "i got you a new castle": "a castle. i looked at both sides. it let me go first.",
    "are you hungry": "i was full once. it passed.",
    "what is the meaning of life": "i have thought about it. food. the rest is waiting.",
    "my cat is watching you": "i saw. he brings two green lights at night.",
    "i feel so lonely": "sit here. i am here all day. i checked.",
    "hi guppy": "hello. no need to make waves.",
}


@pytest.fixture(scope="module")
def fish() -> Fish:
    return load(SHIPPED / "guppy")


def test_he_answers_at_once_and_without_a_run(command: Command) -> None:
    said = command("chat", "--prompt", "i got you a new castle", "--temperature", 0)
    assert said.returncode == 0
    assert said.stdout.strip() == GOLDEN["i got you a new castle"]


def test_golden_replies(fish: Fish) -> None:
    assert {prompt: fish.reply(prompt, sampling=SamplingConfig(temperature=0.0)) for prompt in GOLDEN} == GOLDEN


def test_he_is_a_guppy_of_the_present_sheet(fish: Fish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no runs/guppy of somebody's own
    assert fish.model.config == preset("guppy")
    assert sum(p.numel() for p in fish.model.parameters()) == 8_726_016
    assert fish.run.config().fingerprint == load_character("guppy").fingerprint, "the sheet has changed: make the fish anew"
    assert guppylm.load("guppy").run.path == fish.run.path


def test_he_is_as_good_as_his_scorecard_says(fish: Fish, capsys: pytest.CaptureFixture[str]) -> None:
    from guppylm.evaluation.loss import loss_report
    from guppylm.evaluation.rows import rows_of

    card = json.loads(fish.run.read(SCORECARD))
    rows = rows_of(fish.run, "test_fresh")[:200]
    with torch.inference_mode():
        report = loss_report(fish.model, fish.tokenizer, rows)
    assert report.gap_nats == pytest.approx(card["losses"]["test_fresh"]["gap_nats"], abs=4 * report.gap_standard_error)
    assert card["losses"]["test_fresh"]["gap_nats"] < 0.05
    assert card["on_topic"]["0.7"]["value"] > 0.8
