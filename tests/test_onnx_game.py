"""The guessing game that an exported folder carries is the one that `guppylm guess` plays."""

import json
import shutil
from pathlib import Path

import pytest

from guppylm.checkpoint import RunFolder
from guppylm.data.conversations import Row
from guppylm.evaluation.rows import rows_of
from guppylm.export.onnx_game import CONVERSATIONS, game
from guppylm.fish import load
from guppylm.guess import Table


def test_the_stakes_are_those_of_the_table(trained: RunFolder) -> None:
    fish = load(trained.path)
    table, missing = Table(fish), dict[str, str]()
    told = game(fish, missing)
    assert told is not None
    assert missing == {}
    assert len(told["conversations"]) == CONVERSATIONS
    size = fish.model.config.vocabulary_size
    for one in told["conversations"]:
        row = Row(one["prompt"], one["reply"], one["topic"], one["turn"], one["bindings"])
        rounds = list(table.rounds(row))
        assert one["tokens"] == [played.token for played in rounds]
        for played, (times, total, favourite, most), (share, expected) in zip(rounds, one["pairs"], one["floor"], strict=True):
            counted, floor = played.bets["pair counts"], played.bets["floor"]
            assert (times + told["k"]) / (total + told["k"] * size) == pytest.approx(counted.probability)
            assert (times == most) >= counted.hit
            assert times <= most <= total
            assert fish.tokenizer.token_text(favourite) == counted.favourite
            assert share == pytest.approx(floor.probability)
            if share > 0.5:
                assert fish.tokenizer.token_text(expected) == floor.favourite


def test_none_of_them_was_read(trained: RunFolder) -> None:
    told = game(load(trained.path), {})
    assert told is not None
    read = {(row.prompt, row.reply) for row in rows_of(trained, "train")}
    pairs = [(one["prompt"], one["reply"]) for one in told["conversations"]]
    assert not read.intersection(pairs)
    assert len({one["topic"] for one in told["conversations"]}) == 2  # both of the sheet


def test_without_its_sheet_only_the_floor_is_missing(trained: RunFolder, tmp_path: Path) -> None:
    told, missing = game(load(trained.path), {}), dict[str, str]()
    assert told is not None
    run = shutil.copytree(trained.path, tmp_path / "run")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    (run / "config.json").write_text(json.dumps({**config, "fingerprint": "another sheet"}), encoding="utf-8")
    alone = game(load(run), missing)
    assert alone is not None
    assert "has changed since" in missing["floor"]
    pairs = {(one["prompt"], one["reply"]): one["pairs"] for one in told["conversations"]}
    both = [one for one in alone["conversations"] if (one["prompt"], one["reply"]) in pairs]
    assert both
    assert all(one["pairs"] == pairs[one["prompt"], one["reply"]] and one["floor"] is None for one in both)


def test_without_its_rows_it_says_why(trained: RunFolder, tmp_path: Path) -> None:
    run = shutil.copytree(trained.path, tmp_path / "run")
    (run / "data" / "train.jsonl").unlink()
    missing = dict[str, str]()
    assert game(load(run), missing) is None
    assert "train.jsonl is missing" in missing["game"]
