"""`guppylm new`: the sheet that it writes is sound, and stays the reader's."""

from pathlib import Path

from conftest import Command
from guppylm.data.character import load_character


def test_a_new_character_passes_its_checks_and_trains(command: Command, tmp_path: Path) -> None:
    made = command("new", "Otto")
    assert made.returncode == 0, made.stderr
    sheet = load_character(str(tmp_path / "otto"))
    assert sheet.name == "otto"
    assert len(sheet.topics) == 3
    texts = [file.read_text(encoding="utf-8") for file in (tmp_path / "otto").rglob("*.toml")]
    assert not any("NAME" in text or "FOLDER" in text for text in texts)
    assert all(text.startswith("#") or text.startswith("title") for text in texts)
    checked = command("check", "otto", "--rows", 3000)
    assert checked.returncode == 0, checked.stderr
    trained = command("train", "--character", "otto", "--preset", "fry", "--steps", 5, "--rows", 500)
    assert trained.returncode == 0, trained.stderr
    assert "i brought you a feather" in trained.stdout


def test_nothing_is_overwritten(command: Command, tmp_path: Path) -> None:
    (tmp_path / "otto").mkdir()
    (tmp_path / "otto" / "mine.txt").write_text("mine", encoding="utf-8")
    refused = command("new", "otto")
    assert refused.returncode == 1
    assert "there already" in refused.stderr
    assert [file.name for file in (tmp_path / "otto").iterdir()] == ["mine.txt"]


def test_names_that_are_no_names(command: Command, tmp_path: Path) -> None:
    for name in ("", "..", "a/b", "two words", "1"):
        refused = command("new", name)
        assert refused.returncode == 2, name
        assert "one word of letters" in refused.stderr
    assert not list(tmp_path.iterdir())
