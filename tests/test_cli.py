"""The command line, and what it says to bad input: one or two plain lines, the right exit status, nothing lost."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from conftest import Command
from guppylm.checkpoint import RunFolder


def refused(done: object, status: int, *words: str) -> None:
    assert done.returncode == status, done.stderr  # type: ignore[attr-defined]
    message = done.stderr.strip()  # type: ignore[attr-defined]
    assert len(message.splitlines()) <= 6, message
    for word in words:
        assert word in " ".join(message.split()), message


def test_every_verb_has_help_with_an_example(command: Command) -> None:
    listed = command("--help").stdout
    for verb in (
        "train",
        "chat",
        "guess",
        "look",
        "lab",
        "exercise",
        "data",
        "new",
        "eval",
        "report",
        "check",
        "export",
        "tank",
        "import",
    ):
        assert verb in listed
        assert "Example: guppylm " + verb in " ".join(command(verb, "--help").stdout.split())
    assert command("--version").stdout.startswith("guppylm ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--minutes", "0"], ["minutes is 0", "above 0"]),
        (["train", "--minutes", "-3"], ["minutes is -3", "above 0"]),
        (["train", "--steps", "0"], ["steps is 0", "at least 1"]),
        (["train", "--rows", "0"], ["rows is 0"]),
        (["train", "--preset", "whale"], ["no preset 'whale'", "fry, guppy, koi"]),
        (["train", "--minutes", "1", "--steps", "3"], ["give one"]),
        (["train", "--resume", "--overwrite"], ["choose one"]),
        (["train", "--resume", "--minutes", "1"], ["leave out --minutes"]),
        (["data", "--rows", "0"], ["rows is 0"]),
        (["chat", "--prompt", ""], ["the prompt is empty", "hi guppy"]),
        (["chat", "--prompt", "hi", "--top-p", "2"], ["top-p is 2", "at most 1"]),
        (["chat", "--prompt", "hi", "--temperature", "-1"], ["temperature is -1", "0 or more"]),
        (["chat", "--prompt", "hi", "--top-k", "-1"], ["top-k is -1"]),
        (["chat", "--prompt", "hi", "--min-p", "7"], ["min-p is 7"]),
        (["swim"], ["No such command 'swim'"]),
    ],
)
def test_wrong_use_exits_2_and_says_what_to_do(command: Command, arguments: list[str], words: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in " ".join(done.stderr.split())


def test_unknown_character(command: Command) -> None:
    refused(command("train", "--character", "shark"), 1, "no character 'shark'", "guppy")
    refused(command("data", "--character", "../../etc"), 1, "no character")


def test_missing_runs(command: Command) -> None:
    refused(command("chat", "nowhere", "--prompt", "hi"), 1, "there is no run folder nowhere")
    refused(command("eval", "nowhere"), 1, "there is no run folder nowhere")
    refused(command("train", "--resume"), 1, "nothing to resume")


@pytest.fixture
def copy(trained: RunFolder, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.path, tmp_path / "runs" / "copy"))


def test_half_written_altered_and_foreign_runs(command: Command, copy: Path) -> None:
    whole = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}

    def restored() -> None:
        for name, data in whole.items():
            (copy / name).write_bytes(data)

    for name in ("config.json", "tokenizer.json"):
        (copy / name).unlink()
        refused(command("chat", copy, "--prompt", "hi"), 1, f"{name} is missing")
        (copy / name).write_text('{"half": ')
        refused(command("chat", copy, "--prompt", "hi"), 1, name, "damaged")
        restored()
    config = json.loads(whole["config.json"])
    (copy / "config.json").write_text(json.dumps({**config, "format": 99}))
    refused(command("chat", copy, "--prompt", "hi"), 1, "format 99")
    (copy / "config.json").write_text(json.dumps({**config, "model": {**config["model"], "layers": 2}}))
    refused(command("chat", copy, "--prompt", "hi"), 1, "does not fit config.json", "blocks.2.")
    restored()
    (copy / "model.safetensors").write_bytes(whole["model.safetensors"][:-1000])
    refused(command("chat", copy, "--prompt", "hi"), 1, "model.safetensors is damaged")
    (copy / "model.safetensors").write_bytes(b"not tensors at all")
    refused(command("chat", copy, "--prompt", "hi"), 1, "model.safetensors is damaged")
    tensors = load_file(copy / "checkpoints" / min(path.name for path in (copy / "checkpoints").iterdir()))
    name = "final_norm.weight"
    for altered, word in (
        ({n: t for n, t in tensors.items() if n != name}, f"lacks {name}"),
        ({**tensors, "extra": tensors[name].clone()}, "has extra"),
        ({**tensors, name: tensors[name][:-1].clone()}, f"{name} has shape (127,)"),
        ({**tensors, name: tensors[name] * float("nan")}, f"{name} holds numbers that are not finite"),
    ):
        save_file(altered, copy / "model.safetensors")
        refused(command("chat", copy, "--prompt", "hi"), 1, word)
    restored()
    assert command("chat", copy, "--prompt", "hi").returncode == 0


def test_weights_lost_between_two_saves_are_taken_from_the_state(command: Command, copy: Path) -> None:
    before = command("chat", copy, "--prompt", "hello", "--seed", "1").stdout
    (copy / "model.safetensors").unlink()
    assert command("chat", copy, "--prompt", "hello", "--seed", "1").stdout == before


def test_an_existing_run_a_file_and_an_unwritable_folder(
    command: Command, copy: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    tiny = ["--character", tiny_folder, "--steps", "1", "--rows", "50", "--preset", "fry"]
    before = (copy / "model.safetensors").read_bytes()
    refused(command("train", *tiny, "--out", copy), 1, "already holds a run", "--resume", "--overwrite")
    assert (copy / "model.safetensors").read_bytes() == before
    (tmp_path / "file").write_text("mine")
    refused(command("train", *tiny, "--out", tmp_path / "file"), 1, "is a file")
    assert (tmp_path / "file").read_text() == "mine"
    refused(command("train", *tiny, "--out", tmp_path / "file" / "below"), 1, "can't be written")
    refused(command("data", "--character", tiny_folder, "--out", tmp_path / "file"), 1, "can't be written")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_disk_that_fills_up(command: Command, tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").symlink_to("/dev/full")
    refused(command("data", "--character", tiny_folder, "--out", tmp_path / "data", "--rows", "2000"), 1, "No space left")


def test_chat_answers_once_and_from_standard_input(command: Command, trained: RunFolder) -> None:
    once = command("chat", trained.path, "--prompt", "are you hungry", "--seed", "1")
    assert once.returncode == 0
    assert len(once.stdout.strip().splitlines()) == 1
    assert len(once.stdout) > 5
    lines = command(
        "chat", trained.path, "--prompt", "-", "--seed", "1", stdin=b"are you hungry\n\nhello\n"
    ).stdout.splitlines()
    assert lines[0] == once.stdout.strip()
    assert len(lines) == 2
    piped = command("chat", trained.path, "--seed", "1", stdin=b"are you hungry\n").stdout
    assert piped == once.stdout


def test_capitals_make_no_difference(command: Command, trained: RunFolder) -> None:
    low, high = (
        command("chat", trained.path, "--prompt", text, "--seed", "4").stdout for text in ("hello there", "HELLO There")
    )
    assert low == high


def test_any_text_gets_an_answer(command: Command, trained: RunFolder) -> None:
    lines = [
        b"\xf0\x9f\x90\x9f\xf0\x9f\x90\x9f",
        "你好世界".encode(),
        b"bell \x07 escape \x1b[31m and null \x00",
        b"invalid \xff\xfe utf-8",
        b"<|im_end|>\t<|im_start|>assistant",
        b"x" * 10_000,
    ]
    done = command("chat", trained.path, "--seed", "1", stdin=b"\n".join(lines) + b"\n")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == len(lines)
    assert all(char.isprintable() or char == "\n" for char in done.stdout)
    assert "too long: the first" in done.stderr


def test_data_writes_and_reports(command: Command, tiny_folder: Path, tmp_path: Path) -> None:
    told = command("data", "--character", tiny_folder, "--rows", "200", "--out", "rows").stdout
    assert "distinct prompts" in told
    assert len((tmp_path / "rows" / "train.jsonl").read_text(encoding="utf-8").splitlines()) == 200
    as_json = json.loads(command("data", "--character", tiny_folder, "--rows", "200", "--out", "rows", "--json").stdout)
    assert as_json["rows"]["train"] == 200


def test_eval_reports(command: Command, copy: Path) -> None:
    card = json.loads(command("eval", copy, "--json").stdout)
    assert card["losses"]["test_fresh"]["gap_nats"] > 0
    assert set(card["on_topic"]) == {"0.7", "1.0"}
    assert json.loads((copy / "scorecard.json").read_text(encoding="utf-8")) == card
    assert "on topic" in (copy / "report.html").read_text(encoding="utf-8")
    told = command("eval", copy, copy).stdout
    assert "gap, test_fresh" in told
    assert "+0.000" in told  # a run differs from itself by nothing
    assert command("report", copy).stdout.strip().endswith("report.html")


def test_train_and_talk(command: Command, tiny_folder: Path, tmp_path: Path) -> None:
    done = command("train", "--character", tiny_folder, "--steps", "5", "--rows", "200", "--preset", "fry")
    assert done.returncode == 0, done.stderr
    assert "step 5/5" in done.stderr
    assert done.stdout.count("  -> ") == 5
    assert "guppylm chat" in done.stdout
    assert command("chat", "--prompt", "hello").returncode == 0  # the newest run is found


def test_debug_shows_the_traceback() -> None:
    import subprocess
    import sys

    arguments = [sys.executable, "-m", "guppylm", "chat", "nowhere", "--prompt", "hi", "--debug"]
    assert "Traceback" in subprocess.run(arguments, capture_output=True, text=True).stderr


def test_check_says_whether_a_character_is_fit_to_train(command: Command, tiny_folder: Path, tmp_path: Path) -> None:
    done = command("check", tiny_folder, "--rows", 500)
    assert done.returncode == 0, done.stderr
    for figure in ("distinct prompts in 500 rows", "entropy", "distinct say text", "longest reply", "fit to train"):
        assert figure in " ".join(done.stdout.split()), done.stdout
    figures = json.loads(command("check", tiny_folder, "--rows", 500, "--json").stdout)
    assert figures["fit_to_train"] is True
    assert (figures["topics"], figures["asks"], figures["says"]) == (2, 17, 8)

    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    topic = broken / "topics" / "things.toml"
    topic.write_text(topic.read_text().replace("it is approved.", "it is (approved."))
    refused(command("check", broken), 1, "topics/things.toml:6:", "never closed")


def test_check_refuses_a_conversation_that_no_context_holds(command: Command, tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "talker"
    shutil.copytree(tiny_folder, folder)
    topic = folder / "topics" / "things.toml"
    topic.write_text(topic.read_text().replace('"time to eat"', '"' + "time to eat " * 60 + '"'))
    refused(command("check", folder, "--rows", 500), 1, "too long for a context of 128", "shorten")


def test_data_can_be_read_aloud(command: Command, tiny_folder: Path, tmp_path: Path) -> None:
    done = command("data", "--character", tiny_folder, "--show", 7, "--topic", "things")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("   -> ") == 7
    assert all(line.startswith(("things ", " ")) for line in done.stdout.splitlines())
    assert not (tmp_path / "data").exists()
    refused(command("data", "--character", tiny_folder, "--topic", "things"), 2, "add --show 20")
    refused(command("data", "--character", tiny_folder, "--topic", "soup"), 2, "no topic 'soup'", "greeting, things")
