"""Runs: that they learn, that a seed settles them, that they stop and go on and lose nothing."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from guppylm.checkpoint import RunFolder
from guppylm.errors import RunError
from guppylm.training.loop import Milestones
from guppylm.training.progress import Measured, Silent
from guppylm.training.run import run_training


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(folder.path / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns(trained: RunFolder) -> None:
    entries = list(trained.lines("metrics.jsonl"))
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    looks = [entry for entry in entries if "gap" in entry]
    assert len(losses) == 60
    assert losses[0] > 5
    assert losses[-1] < 1.5
    assert looks[-1]["gap"] < looks[0]["gap"] / 3
    assert all(math.isclose(look["validation_loss"] - look["floor"], look["gap"]) for look in looks)


def test_the_run_folder_is_complete(trained: RunFolder) -> None:
    for name in ("config.json", "tokenizer.json", "vocabulary.tsv", "training_state.safetensors", "model.safetensors"):
        assert (trained.path / name).is_file()
    assert len(list((trained.path / "checkpoints").iterdir())) == 8
    samples = list(trained.lines("samples.jsonl"))
    assert len({sample["prompt"] for sample in samples}) == 5
    assert len(samples) == 8 * 5
    assert (trained.path / "data" / "train.jsonl").is_file()
    assert trained.config().train.steps == 60
    first = next(iter(sorted((trained.path / "checkpoints").iterdir())))
    assert trained.model(f"checkpoints/{first.name}").config == trained.config().model


def test_same_seed_same_weights_and_another_seed_others(tiny_folder: Path, tmp_path: Path) -> None:
    runs = {
        name: run_training(str(tiny_folder), steps=8, size="fry", rows=300, out=tmp_path / name, seed=seed)
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    }
    assert same(weights(runs["a"]), weights(runs["b"]))
    assert not same(weights(runs["a"]), weights(runs["c"]))


def test_minutes_fix_numbers_of_steps_that_reproduce_the_run(tiny_folder: Path, tmp_path: Path) -> None:
    timed = run_training(str(tiny_folder), minutes=0.2, size="fry", rows=300, out=tmp_path / "timed")
    steps, shallow = timed.config().train.steps, timed.config().train.shallow_steps
    assert max(int(entry["step"]) for entry in timed.lines("metrics.jsonl")) == steps
    assert 0 < shallow < steps
    out = tmp_path / "again"
    again = run_training(str(tiny_folder), steps=steps, shallow_steps=shallow, size="fry", rows=300, out=out)
    assert same(weights(timed), weights(again))


def test_a_run_by_the_clock_that_was_stopped_goes_on(tiny_folder: Path, tmp_path: Path) -> None:
    class Impatient(Silent):
        def step(self, measured: Measured) -> None:
            if measured.step == 3:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_training(str(tiny_folder), minutes=1, size="fry", rows=300, out=tmp_path / "run", reporter=Impatient())
    folder = RunFolder(tmp_path / "run")
    steps = folder.config().train.steps  # as many as a minute seemed to hold when it was stopped
    assert steps > 3
    folder.fix(dataclasses.replace(folder.config().train, steps=20, shallow_steps=14))  # a minute is long
    run_training(str(tiny_folder), out=folder.path, resume=True)
    straight = run_training(str(tiny_folder), steps=20, size="fry", rows=300, out=tmp_path / "straight")
    assert same(weights(folder), weights(straight))


def test_milestones_come_once_each_though_the_run_grows() -> None:
    milestones = Milestones((0.0, 0.01, 0.5, 1.0))
    assert milestones.passed(0, 500)
    assert not milestones.passed(1, 200)
    assert milestones.passed(5, 400)
    assert not milestones.passed(6, 400)
    assert milestones.passed(100, 100)  # two at once
    assert not milestones.passed(101, 101)


CHILD = """
import sys
from guppylm.training.run import run_training
from guppylm.training.progress import Silent
class Loud(Silent):
    def step(self, measured):
        print(measured.step, flush=True)
        sys.stdin.readline()  # goes on when told to, so that a signal meets the step that it is meant for
resume = sys.argv[3] == "resume"
steps = None if resume else 40
run_training(sys.argv[1], steps=steps, size="fry", rows=300, out=sys.argv[2], resume=resume, reporter=Loud())
"""

SAVE_AFTER_EACH_STEP = """
import guppylm.training.loop
guppylm.training.loop.SAVE_SECONDS = 0.0
"""


def start(character: Path, out: Path, mode: str = "new") -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", CHILD, str(character), str(out), mode]
    pipe = subprocess.PIPE
    return subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def finish(child: "subprocess.Popen[str]") -> None:
    _, errors = child.communicate()  # closes its input: it no longer waits
    assert child.returncode == 0, errors


def stop_at(child: "subprocess.Popen[str]", step: int, number: int) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) == step:
            child.send_signal(number)
            break
        child.stdin.write("\n")
        child.stdin.flush()
    child.communicate()


@pytest.fixture(scope="module")
def uninterrupted(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("uninterrupted") / "run"
    finish(start(tiny_folder, out))
    return RunFolder(out)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
@pytest.mark.parametrize("step", [1, 17, 39])
def test_ctrl_c_saves_and_resume_ends_with_the_same_weights(
    tiny_folder: Path, tmp_path: Path, uninterrupted: RunFolder, step: int
) -> None:
    out = tmp_path / "run"
    stop_at(start(tiny_folder, out), step, signal.SIGINT)
    state = RunFolder(out).load_state(torch.device("cpu"))
    assert state.step == step
    finish(start(tiny_folder, out, "resume"))
    assert same(weights(RunFolder(out)), weights(uninterrupted))

    def told(run: RunFolder) -> list[object]:
        return [(e["step"], e.get("loss"), e.get("gap")) for e in run.lines("metrics.jsonl")]

    assert told(RunFolder(out)) == told(uninterrupted)
    assert list(RunFolder(out).lines("samples.jsonl")) == list(uninterrupted.lines("samples.jsonl"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_inside_a_save_leaves_a_whole_state(tiny_folder: Path, tmp_path: Path, uninterrupted: RunFolder) -> None:
    out = tmp_path / "run"
    arguments = [sys.executable, "-c", SAVE_AFTER_EACH_STEP + CHILD, str(tiny_folder), str(out), "new"]
    pipe = subprocess.PIPE
    child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
    unfinished = out / "training_state.safetensors.unfinished"
    deadline = time.monotonic() + 60
    while not unfinished.exists() and time.monotonic() < deadline:
        time.sleep(0.0005)
    child.send_signal(signal.SIGINT)
    child.communicate()
    assert not unfinished.exists()
    finish(start(tiny_folder, out, "resume"))
    assert same(weights(RunFolder(out)), weights(uninterrupted))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_run_goes_on_from_its_last_save(tiny_folder: Path, tmp_path: Path, uninterrupted: RunFolder) -> None:
    out = tmp_path / "run"
    stop_at(start(tiny_folder, out), 12, signal.SIGINT)
    before = (out / "training_state.safetensors").read_bytes()
    stop_at(start(tiny_folder, out, "resume"), 30, signal.SIGKILL)
    assert (out / "training_state.safetensors").read_bytes() == before
    finish(start(tiny_folder, out, "resume"))
    assert same(weights(RunFolder(out)), weights(uninterrupted))


def test_resume_needs_something_to_resume(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing to resume"):
        run_training(str(tiny_folder), out=tmp_path / "none", resume=True)


def test_an_existing_run_is_not_overwritten_unasked(trained: RunFolder, tiny_folder: Path) -> None:
    before = (trained.path / "model.safetensors").read_bytes()
    with pytest.raises(RunError, match=r"already holds a run: --resume.*--overwrite"):
        run_training(str(tiny_folder), steps=1, out=trained.path)
    assert (trained.path / "model.safetensors").read_bytes() == before


def test_overwriting_leaves_strangers_files_alone(tiny_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_training(str(tiny_folder), steps=2, size="fry", rows=200, out=out)
    (out / "my notes.txt").write_text("mine")
    run_training(str(tiny_folder), steps=3, size="fry", rows=200, out=out, overwrite=True)
    assert (out / "my notes.txt").read_text() == "mine"
    assert json.loads((out / "config.json").read_text())["train"]["steps"] == 3


def test_a_full_disk_leaves_the_last_state_whole(trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    folder.write("training_state.safetensors", b"the last whole state")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"No space left on device.*resume"):
        folder.save_state(trained.load_state(torch.device("cpu")))
    assert (tmp_path / "training_state.safetensors").read_bytes() == b"the last whole state"
    assert not list(tmp_path.glob("*.unfinished"))
