"""The rows of a run, read or drawn again."""

import shutil
from pathlib import Path

import pytest

from guppylm.checkpoint import CONFIG, RunFolder
from guppylm.data.conversations import SEEN_ROWS, UNSEEN_ROWS
from guppylm.errors import RunError
from guppylm.evaluation.rows import rows_of


@pytest.fixture
def without_data(trained: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(trained.path, tmp_path / "run", ignore=shutil.ignore_patterns("data"))
    return RunFolder(tmp_path / "run")


@pytest.mark.parametrize("name", ["train", *SEEN_ROWS, *UNSEEN_ROWS])
def test_rows_come_out_the_same_when_drawn_again(trained: RunFolder, without_data: RunFolder, name: str) -> None:
    rows = rows_of(trained, name)
    assert len(rows) > 10
    assert rows_of(without_data, name) == rows


def test_rows_of_a_changed_sheet_are_not_made_up(without_data: RunFolder) -> None:
    config = without_data.read(CONFIG)
    fingerprint = without_data.config().fingerprint
    without_data.write(CONFIG, config.replace(fingerprint, "0" * len(fingerprint)))
    with pytest.raises(RunError, match="has changed since"):
        rows_of(without_data, "train")


def test_damaged_rows_are_no_rows(without_data: RunFolder) -> None:
    (without_data.path / "data").mkdir()
    with pytest.raises(RunError, match="will be drawn again"):
        rows_of(without_data, "train")
    (without_data.path / "data" / "train.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(RunError, match="will be drawn again"):
        rows_of(without_data, "train")
