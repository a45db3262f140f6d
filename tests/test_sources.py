"""Conversations of one's own: divided without leaks, trained and scored without a floor, refused with file and line."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from guppylm.checkpoint import RunFolder
from guppylm.cli.shared import app
from guppylm.data.conversations import read_rows
from guppylm.data.sources import TEST, read_conversations
from guppylm.errors import RunError
from guppylm.evaluation.own import evaluate_own
from guppylm.evaluation.rows import rows_of, sheet_of
from guppylm.export.huggingface import export_huggingface, import_run
from guppylm.fish import load
from guppylm.training.progress import Measured, Terminal
from guppylm.training.run import run_training

Rows = list[dict[str, object]]

THINGS = ["cat", "ship", "pot", "lamp", "bell", "crown", "shell", "wheel"]
COLOURS = ["red", "blue", "green", "grey", "pink", "white", "brown", "gold"]
PLACES = ["under the Bed", "at Sea", "in the Garden"]


def some(count: int = 300) -> Rows:
    """Rows as somebody might write them; every third prompt in capitals, some rows twice, a column of their own."""
    rows: Rows = []
    for number in range(count):
        thing, colour = THINGS[number % 8], COLOURS[number // 8 % 8]
        asked = f"Where is the {colour} {thing}?"
        reply = f"The {colour} {thing} is {PLACES[number % 3]}."
        rows.append({"prompt": asked.upper() if number % 3 == 0 else asked, "reply": reply, "id": number})
    return rows


def written(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def command(*arguments: object) -> Result:
    """`guppylm` without a process of its own."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("own") / "places.jsonl", some())


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_training(conversations=file, steps=25, size="fry", out=tmp_path_factory.mktemp("runs") / "places")


def test_a_prompt_is_in_one_split_only_whatever_its_capitals(file: Path) -> None:
    own = read_conversations(file)
    assert list(own.splits) == ["train", "validation", TEST]
    assert sum(map(len, own.splits.values())) == 300
    prompts = [{row.prompt.lower() for row in rows} for rows in own.splits.values()]
    assert all(prompts)
    assert len(set.union(*prompts)) == sum(map(len, prompts)) == 64
    assert len(own.splits["train"]) > 240


def test_rows_that_are_added_or_moved_change_no_split(tmp_path: Path, file: Path) -> None:
    before = read_conversations(file)
    more: Rows = [{"prompt": f"number {n}", "reply": "yes"} for n in range(200)]
    after = read_conversations(written(tmp_path / "more.jsonl", [*more, *reversed(some())]))
    for name, rows in before.splits.items():
        assert {row.prompt for row in rows} <= {row.prompt for row in after.splits[name]}
    assert after.fingerprint != before.fingerprint


def test_repeated_rows_are_counted(tmp_path: Path) -> None:
    assert read_conversations(written(tmp_path / "a.jsonl", some(60))).repeated == 0
    assert read_conversations(written(tmp_path / "b.jsonl", [*some(60), *some(60)[:7]])).repeated == 7


def test_a_folder_keeps_its_splits_and_says_what_leaks(tmp_path: Path) -> None:
    rows = some(64)
    written(tmp_path / "train.jsonl", rows[:50])
    written(tmp_path / "test_hard.jsonl", rows[48:])
    own = read_conversations(tmp_path)
    assert set(own.splits) == {"train", "test_hard", "validation"}  # validation is taken out of train
    assert len(own.splits["test_hard"]) == 16
    assert len(own.splits["train"]) + len(own.splits["validation"]) == 50
    leaked = {row.prompt for row in own.splits["test_hard"]} & {row.prompt for row in own.splits["train"]}
    assert own.leaked == ({"test_hard": len(leaked)} if leaked else {})
    assert leaked


def test_a_saved_dataset_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    columns = {name: [str(row[name]) for row in some(40)] for name in ("prompt", "reply")}
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(columns)}).save_to_disk(str(tmp_path / "saved"))
    own = read_conversations(tmp_path / "saved")
    assert sorted(row.reply for rows in own.splits.values() for row in rows) == sorted(columns["reply"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"prompt": "a"', "line 2 is no JSON"),
        ('["a", "b"]', "line 2 is no object"),
        ('{"prompt": "a", "answer": "b"}', 'line 2 has no "reply"; it has prompt, answer'),
        ('{"prompt": "a", "reply": 7}', 'line 2: "reply" is of type int'),
        ('{"prompt": " ", "reply": "b"}', 'line 2: "prompt" is empty'),
        ('{"prompt": "a", "reply": "b", "topic": 3}', 'line 2: "topic" is of type int'),
    ],
)
def test_a_bad_row_is_refused_with_file_and_line(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(f'{{"prompt": "a", "reply": "b"}}\n{line}\n')
    with pytest.raises(RunError) as refused:
        run_training(conversations=path, steps=1, out=tmp_path / "run")
    assert f"{path}, {words}" in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_too_few_prompts_and_folders_without_train_are_refused(tmp_path: Path) -> None:
    few: Rows = [{"prompt": p, "reply": "x"} for p in ("a", "A ", "b")]
    with pytest.raises(RunError, match=r"too few different prompts \(2\)"):
        read_conversations(written(tmp_path / "few.jsonl", few))
    with pytest.raises(RunError, match=r"no train\.jsonl"):
        read_conversations(tmp_path)
    with pytest.raises(RunError, match="can't be read"):
        read_conversations(tmp_path / "none.jsonl")


def test_long_rows_are_counted_told_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long: Rows = [{"prompt": f"tell me story {n}", "reply": " ".join(f"{n}{m}" for m in range(200))} for n in range(3)]
    path = written(tmp_path / "long.jsonl", [*some(64), *long])
    with Terminal() as reporter:
        run = run_training(conversations=path, steps=1, size="fry", out=tmp_path / "run", reporter=reporter)
    told = capsys.readouterr().err
    assert "longer than 128 tokens; they are left out" in told
    assert "floor is unknown" in told
    assert evaluate_own(load(run.path)).losses


def test_the_floor_is_unknown_everywhere(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    looks = [entry for entry in run.lines("metrics.jsonl") if "validation_loss" in entry]
    assert len(looks) > 10
    assert all("bits_per_byte" in look and "floor" not in look and "gap" not in look for look in looks)
    assert looks[-1]["validation_loss"] < looks[0]["validation_loss"]
    Terminal().step(Measured(1, 1, 2.0, None, 1.0, 0.0, bits_per_byte=1.25))
    assert "1.250 bits per byte, floor unknown" in capsys.readouterr().err
    with pytest.raises(RunError, match="not from a sheet"):
        sheet_of(run)
    assert "floor unknown" in command("eval", run.path).stdout
    assert isinstance(command("guess", run.path, "--auto").exception, RunError)
    assert "leave out --meter" in str(command("chat", run.path, "--prompt", "hi", "--meter").exception)
    report = (run.path / "report.md").read_text("utf-8")
    assert "the floor is unknown" in report
    assert "bits per byte" in report
    assert "--conversations" in report


def test_the_scorecard_is_about_what_it_read(run: RunFolder) -> None:
    card = evaluate_own(load(run.path))
    assert set(card.losses) == {"train", "validation", TEST}
    assert all(0 < loss.loss_nats < 6 for loss in card.losses.values())
    assert card.remembered is not None
    assert card.remembered.count == len(rows_of(run, TEST))
    assert card.to_dict()["floor"] == "unknown"


def test_a_loss_in_bits_per_byte_is_the_loss_in_nats_over_the_bytes(run: RunFolder) -> None:
    fish, rows = load(run.path), rows_of(run, TEST)
    nats = float(fish.losses(rows).sum())
    bits = evaluate_own(fish).losses[TEST].bits_per_byte
    assert bits == pytest.approx(nats / torch.log(torch.tensor(2.0)).item() / sum(len(row.reply.encode()) for row in rows))


def test_capitals_stay(run: RunFolder) -> None:
    assert any(row.reply != row.reply.lower() for row in read_rows(run.path / "data" / "train.jsonl"))
    tokenizer = run.tokenizer()
    assert tokenizer.decode(tokenizer.encode("The Bed")) == "The Bed"


def test_resume_needs_only_the_run_folder_and_ends_with_the_same_weights(
    file: Path, tmp_path: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copy(file, tmp_path / "places.jsonl"))
    out = tmp_path / "run"

    class Tired(Terminal):
        def step(self, measured: Measured) -> None:
            if measured.step == 10:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_training(conversations=copy, steps=25, size="fry", out=out, reporter=Tired())
    copy.unlink()
    again = run_training(conversations=copy, out=out, resume=True)
    ours, theirs = (load_file(folder.path / "model.safetensors") for folder in (again, run))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_it_goes_to_transformers_format_and_back(run: RunFolder, tmp_path: Path) -> None:
    fish = load(run.path)
    export_huggingface(fish, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "floor is unknown" in card or "Not scored" in card
    assert "sheet" not in card
    back = load(import_run(tmp_path / "out", tmp_path / "back").path)
    assert back.reply("Where is the red cat?", seed=1) == fish.reply("Where is the red cat?", seed=1)
    with pytest.raises(RunError, match="holds no data"):
        evaluate_own(back)
