"""The cards say what was measured, load what they describe, and hold nothing of the machine that wrote them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from guppylm.checkpoint import RunConfig, RunFolder
from guppylm.config import ModelConfig, TrainConfig
from guppylm.data.character import Character
from guppylm.data.conversations import write_conversations
from guppylm.evaluation.loss import LossReport
from guppylm.evaluation.scorecard import Scorecard
from guppylm.evaluation.statistics import Share
from guppylm.export.cards import COLUMNS, MARK, dataset_card, model_card, write_dataset_card
from guppylm.export.huggingface import export_huggingface
from guppylm.fish import load

CONFIG = RunConfig(ModelConfig(), TrainConfig(steps=1234), "guppy", "f00d", rows=60_000, guppylm="0.1.0")
SHARES = {  # what the model card calls it -> its value
    "on topic, `test_unseen_ask`, 0.7": 0.314,
    "the same replies dealt to other prompts, 0.7": 0.002,
    "on topic, the prompts in capitals, 0.7": 0.315,
    "on topic, a typing error in each, 0.7": 0.201,
    "takes up the prompt's word, `test_fresh`, 1.0": 0.273,
    "remembered, `test_fresh`, 1.0": 0.111,
    "remembered, fresh samples of the grammar itself": 0.222,
    "within the character's rules, `test_fresh`, 1.0": 0.987,
}


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    """A scorecard as `guppylm eval --json` prints it."""
    shares = [Share(value, value - 0.001, value + 0.001, 2000) for value in SHARES.values()]
    on_topic, dealt, capitals, typo, echo, remembered, grammar, voice = shares
    scored = Scorecard(
        run="/home/somebody/runs/guppy",
        losses={"test_fresh": LossReport(0.472, 0.244, 0.228, 0.006, 0.182, 2000, 35_000)},
        on_topic={"0.7": on_topic},
        on_topic_shuffled={"0.7": dealt},
        uppercase_on_topic=capitals,
        typo_on_topic=typo,
        slot_echo={"test_fresh": echo, "test_unseen_word": None},
        origins={"remembered": remembered},
        grammar_remembered=grammar,
        distinct_replies=1,
        grammar_distinct_replies=1,
        in_voice=voice,
        topics=[],
        confusion=[],
        surprising=[],
    )
    found: dict[str, Any] = json.loads(json.dumps(scored.to_dict()))
    return found


@pytest.fixture(scope="module")
def folder(tiny: Character, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data")
    write_conversations(tiny, out, rows=500)
    assert write_dataset_card(out, statistics(out))
    return out


def statistics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "splits.json").read_text("utf-8"))
    return found


def head(text: str) -> dict[str, Any]:
    """The YAML at the top."""
    yaml = pytest.importorskip("yaml")
    _, written, _ = text.split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(written)
    return found


def cells(text: str) -> dict[str, list[str]]:
    """The rows of all tables, by their first cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line.startswith("| ")]
    return {row[0]: row[1:] for row in rows}


def example(text: str) -> str:
    """The Python in it."""
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_figures_are_the_scorecards(card: dict[str, Any]) -> None:
    found = cells(model_card(CONFIG, card))
    assert found["`test_fresh`"][1:] == ["0.472", "0.244", f"0.228 ± {1.96 * 0.006:.3f}"]
    for name, value in SHARES.items():
        assert found[name] == [f"{value:.3f}", f"{value - 0.001:.3f} to {value + 0.001:.3f}", "2,000"], name
    assert len(found) == len(SHARES) + 3  # two heads, one test; what has no cases is left out


def test_the_model_card_says_what_it_is_and_what_it_can_not(card: dict[str, Any]) -> None:
    text = model_card(CONFIG, card)
    for said in ("8,726,016 parameters", "1,234 steps", "60,000", "synthetic", "one fish, in English", "special tokens"):
        assert said in text, said
    found = head(text)
    assert found["license"] == "mit"
    assert found["language"] == "en"
    assert found["library_name"] == "transformers"
    assert found["pipeline_tag"] == "text-generation"


def test_an_unscored_fish_has_no_figures() -> None:
    text = model_card(CONFIG, None)
    assert "Not scored" in text
    assert not cells(text)
    assert head(text)["license"] == "mit"


def test_another_sheet_gets_no_licence_and_leaves_its_folder_behind(card: dict[str, Any]) -> None:
    text = model_card(RunConfig(ModelConfig(), TrainConfig(), "/home/somebody/cat", rows=9), card)
    assert "# cat\n" in text
    assert "somebody" not in text
    assert "license" not in head(text)


def test_a_scorecard_that_can_not_be_read_is_refused(card: dict[str, Any]) -> None:
    wrongs: list[dict[str, Any]] = [
        {"version": 1},
        {"losses": None},
        {"on_topic": {"0.7": {"value": 1}}},
        {"on_topic_shuffled": {}},
    ]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="`guppylm eval` writes it anew"):
            model_card(CONFIG, {**card, **wrong})
    with pytest.raises(ValueError, match="`guppylm eval` writes it anew"):
        model_card(CONFIG, {})


def test_the_model_cards_example_runs(
    trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    fish = load(trained.path)
    export_huggingface(fish, tmp_path / "fish")
    monkeypatch.chdir(tmp_path / "fish")
    exec(example(model_card(trained.config())), {})
    said = capsys.readouterr().out
    assert said.strip()
    assert "i got you" not in said  # the reply alone
    assert "<|im" not in said


def test_datasets_loads_the_folder(folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset(str(folder), cache_dir=str(tmp_path))
    assert {name: len(rows) for name, rows in found.items()} == {n: c for n, c in statistics(folder)["rows"].items() if c}
    assert all(rows.column_names == list(COLUMNS) for rows in found.values())
    assert found["train"][0]["surprisal"] is None
    assert found["test_fresh"][0]["surprisal"] > 0
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert [row["bindings"] for row in found["train"]] == [row["bindings"] for row in rows]


def test_the_dataset_card_counts_as_the_folder_does(folder: Path) -> None:
    text, found = (folder / "README.md").read_text("utf-8"), statistics(folder)
    rows = {name: count for name, count in found["rows"].items() if count}
    table = cells(text)
    assert {name: table[f"`{name}`"][0] for name in rows} == {name: f"{count:,}" for name, count in rows.items()}
    (config,) = head(text)["configs"]
    assert config["data_files"] == [{"split": name, "path": f"{name}.jsonl"} for name in rows]
    assert {
        f"`{column}`" for column in json.loads((folder / "test_fresh.jsonl").read_text("utf-8").split("\n")[0])
    } <= table.keys()
    assert f"{found['distinct_pairs']:,} pairs" in text
    assert found["fingerprint"] in text
    assert "license" not in head(text)
    assert head(dataset_card({**found, "character": "guppy"}))["license"] == "mit"


def test_a_split_without_rows_is_left_out(folder: Path) -> None:
    found = statistics(folder)
    text = dataset_card({**found, "rows": {**found["rows"], "test_unseen_say": 0}})
    assert "path: test_unseen_say.jsonl" not in text
    assert "path: test_unseen_ask.jsonl" in text


def test_a_name_can_not_break_the_head(folder: Path) -> None:
    for name in ('a "b": c', "x: [y", "# z", "ünï\n---"):
        assert head(dataset_card({**statistics(folder), "character": name}))["pretty_name"].startswith(name)


def test_a_strangers_readme_stays(folder: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("mine", "utf-8")
    assert not write_dataset_card(tmp_path, statistics(folder))
    assert readme.read_text("utf-8") == "mine"
    readme.write_text(f"old\n{MARK}\n", "utf-8")
    assert write_dataset_card(tmp_path, statistics(folder))
    assert readme.read_text("utf-8") == dataset_card(statistics(folder))


def test_the_dataset_card_needs_no_torch() -> None:
    subprocess.run([sys.executable, "-c", "import sys, guppylm.export.cards; assert 'torch' not in sys.modules"], check=True)
