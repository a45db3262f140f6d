"""Learning: the optimizer's mathematics, the loop, and runs that stop and go on."""

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
from guppylm.config import ModelConfig, TrainConfig, from_dict, preset
from guppylm.data.batches import Batches, in_order
from guppylm.data.tokenizer import Rendered
from guppylm.errors import RunError
from guppylm.training.optimizer import ADAM_BETAS, Optimizer, orthogonalise, schedule
from guppylm.training.run import fastest_precision, new_model, run_training


def test_orthogonalise_evens_out_all_directions() -> None:
    torch.manual_seed(0)
    for rows, columns in ((40, 40), (64, 32), (32, 64)):
        matrices = torch.randn(3, rows, columns)
        values = torch.linalg.svdvals(orthogonalise(matrices))
        assert torch.linalg.svdvals(matrices).max() > 5
        assert values.max() < 1.3
        assert values.median() > 0.6
        u, _, v = torch.linalg.svd(matrices, full_matrices=False)
        nearest = u @ v  # the orthogonal matrix with the same singular vectors
        likeness = (orthogonalise(matrices) * nearest).sum((1, 2)) / nearest.norm(dim=(1, 2)) ** 2
        assert (likeness > 0.7).all()


def test_adam_equals_torch_adam() -> None:
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(5, 3)) for _ in range(2))
    optimizer = Optimizer([("token_embedding.weight", ours)], 0.01, 0.003, 0.95)
    reference = torch.optim.Adam([theirs], lr=0.003, betas=ADAM_BETAS)
    for step in range(1, 6):
        ours.grad = torch.randn(5, 3)
        theirs.grad = ours.grad.clone()
        optimizer.step(step, 1.0)
        reference.step()
    assert torch.allclose(ours, theirs, atol=1e-7)


def test_only_the_matrices_of_the_blocks_go_to_muon() -> None:
    model = new_model(preset("fry"), 1)
    optimizer = Optimizer(model.named_parameters(), 0.01, 0.003, 0.95)
    assert all(".weight" in name and "norm" not in name for name in optimizer.matrices)
    assert {"token_embedding.weight", "position_embedding.weight"} <= optimizer.others.keys()
    assert len(optimizer.matrices) == 3 * 6
    with pytest.raises(RuntimeError, match="backward"):
        optimizer.step(1, 1.0)


def test_schedule_climbs_stays_then_falls_to_nothing() -> None:
    config = TrainConfig(steps=100, warmup_steps=10, decay=0.4)
    values = [schedule(step, config) for step in range(100)]
    assert values[:11] == sorted(values[:11])
    assert values[10:61] == [1.0] * 51
    assert values[60:] == sorted(values[60:], reverse=True)
    assert values[-1] == pytest.approx(1 / 40)
    assert max(schedule(step, TrainConfig(steps=3)) for step in range(3)) > 0


def rendered(lengths: list[int]) -> list[Rendered]:
    return [Rendered(list(range(1, n + 1)), [False] * (n // 2) + [True] * (n - n // 2)) for n in lengths]


def test_batches_read_every_row_once_an_epoch_with_hardly_any_padding() -> None:
    lengths = [10 + (i * 7) % 20 for i in range(2000)]
    batches = Batches(rendered(lengths), TrainConfig(tokens_per_step=2000, batches_per_step=4, seed=3), context=128)
    seen: list[int] = []
    padding = tokens = step = 0
    while len(seen) < 2000:
        parts = batches[step]
        step += 1
        for batch in parts:
            seen += (batch.targets != 0).sum(1).add(1).tolist()
            padding += int((batch.targets == 0).sum())
            tokens += batch.targets.numel()
            assert batch.ids.numel() < 600
        if len(parts) == 4:
            assert parts[0].ids.shape[1] < parts[1].ids.shape[1] <= parts[2].ids.shape[1] < parts[3].ids.shape[1]
    assert sorted(seen) == sorted(lengths)
    assert padding / tokens < 0.05


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    rows = rendered([10 + i % 9 for i in range(300)])
    first, second, other = (Batches(rows, TrainConfig(tokens_per_step=200, seed=seed), 128) for seed in (1, 1, 2))
    far = 60  # in a later epoch
    forward = [[batch.ids.tolist() for batch in first[step]] for step in range(far + 1)]
    assert [batch.ids.tolist() for batch in second[far]] == forward[far]
    assert [batch.ids.tolist() for batch in second[3]] == forward[3]  # backwards too
    assert any([batch.ids.tolist() for batch in other[step]] != forward[step] for step in range(far))


def test_targets_are_the_next_token_and_count_in_replies_only() -> None:
    (batch,) = Batches(rendered([6]), TrainConfig(), 128)[0]
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5]]
    assert batch.targets.tolist() == [[2, 3, 4, 5, 6]]
    assert batch.counts.tolist() == [[False, False, True, True, True]]


def test_in_order_holds_each_row_once() -> None:
    batches = in_order(rendered([5, 9, 7, 30, 8]), 20)
    assert sorted(number for numbers, _ in batches for number in numbers) == [0, 1, 2, 3, 4]


def test_rows_longer_than_the_context_are_left_out() -> None:
    assert len(Batches(rendered([10, 40]), TrainConfig(), 32).rows) == 1
    with pytest.raises(ValueError, match="no conversation fits"):
        Batches(rendered([40]), TrainConfig(), 32)


def test_unknown_keys_are_refused() -> None:
    good = {"vocabulary_size": 64, "context": 128, "layers": 1, "width": 8, "heads": 2, "mlp_width": 8}
    assert from_dict(ModelConfig, good).layers == 1
    with pytest.raises(ValueError, match="has no 'dropout'"):
        from_dict(ModelConfig, {**good, "dropout": 0.1})
    with pytest.raises(ValueError, match="lacks 'layers'"):
        from_dict(ModelConfig, {name: value for name, value in good.items() if name != "layers"})
    with pytest.raises(ValueError, match="must be of type int"):
        from_dict(ModelConfig, {**good, "layers": "6"})
    with pytest.raises(ValueError, match="no preset 'whale'"):
        preset("whale")


def test_precision_is_one_that_the_config_knows() -> None:
    assert TrainConfig(precision=fastest_precision(torch.device("cpu")))
    with pytest.raises(ValueError, match="no precision"):
        TrainConfig(precision="float12")


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


def test_minutes_fix_a_number_of_steps_that_reproduces_the_run(tiny_folder: Path, tmp_path: Path) -> None:
    timed = run_training(str(tiny_folder), minutes=0.15, size="fry", rows=300, out=tmp_path / "timed")
    steps = timed.config().train.steps
    assert steps > 3
    again = run_training(str(tiny_folder), steps=steps, size="fry", rows=300, out=tmp_path / "again")
    assert same(weights(timed), weights(again))


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
