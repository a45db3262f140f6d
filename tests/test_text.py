"""Plain text: tokenizers that lose nothing, windows that a step and a seed determine, a run that goes on with a text."""

import importlib.util
import math
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from typer.testing import CliRunner, Result

from guppylm.checkpoint import RunFolder
from guppylm.cli.shared import app
from guppylm.config import ModelConfig, TrainConfig
from guppylm.data.sources import beginnings, divide_text
from guppylm.data.text import CharacterTokenizer, TextTokenizer, Windows, tokenizer_for, tokenizer_from_json, windows_of
from guppylm.errors import RunError
from guppylm.evaluation.own import evaluate_own
from guppylm.evaluation.rows import held, rows_of
from guppylm.export.huggingface import export_huggingface
from guppylm.export.onnx import export_onnx
from guppylm.fish import load
from guppylm.training.progress import Measured, Silent
from guppylm.training.run import new_model, run_training

VERSE = [
    "The tide comes in, the tide goes out,",
    "\tand no one asks it why;",
    "Ünder the pier the old crabs shout",
    "at every passer-by.",
    "",
]
TEXT = "\n".join(f"{n}. {line}" if line else "" for n in range(150) for line in VERSE)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "crabs.txt"
    path.write_text(TEXT, encoding="utf-8", newline="\n")
    return path


@pytest.fixture(scope="module", params=["bpe", "characters"])
def run(request: pytest.FixtureRequest, file: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    out = tmp_path_factory.mktemp("runs") / "crabs"
    return run_training(text=file, tokenizer=request.param, steps=15, size="fry", out=out)


def command(*arguments: object) -> Result:
    """`guppylm` without a process of its own."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


BPE = TextTokenizer.learn(TEXT, 400)
CHARACTERS = CharacterTokenizer.learn(TEXT)


@given(st.text())
def test_bpe_gives_every_text_back_and_lines_apart_are_the_text_at_once(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    ids = BPE.stream(text)
    assert BPE.decode(ids.tolist()) == text
    assert ids.tolist() == BPE.encode(text)
    assert BPE.bytes_of_tokens()[ids].sum() == len(text.encode())


@given(st.text(alphabet=sorted(set(TEXT))))
def test_characters_are_one_token_each(text: str) -> None:
    ids = CHARACTERS.stream(text)
    assert len(ids) == len(text)
    assert CHARACTERS.decode(ids.tolist()) == text
    assert CHARACTERS.bytes_of_tokens()[ids].sum() == len(text.encode())


def test_the_file_says_which_tokenizer_it_is() -> None:
    for kind in ("bpe", "characters"):
        tokenizer = tokenizer_for(kind, TEXT)
        again = tokenizer_from_json(tokenizer.to_json())
        assert type(again) is type(tokenizer)
        assert again.encode(TEXT) == tokenizer.encode(TEXT)
        assert len(tokenizer.twin().splitlines()) == tokenizer.size + 1
    for bad in ("{}", "[]", '{"model": {"vocab": 3}, "pre_tokenizer": null}', "no"):
        with pytest.raises(ValueError):  # noqa: PT011  (the reason differs)
            tokenizer_from_json(bad)


def test_a_character_that_the_text_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no 'ß'"):
        CHARACTERS.encode("groß")


def test_a_long_beginning_keeps_its_end() -> None:
    for tokenizer in (BPE, CHARACTERS):
        ids, left_out = tokenizer.render_prompt(TEXT, 64)
        assert 0 < len(ids) <= 32
        assert tokenizer.decode(ids) == TEXT[left_out:]


def test_windows_follow_from_step_and_seed_alone() -> None:
    stream = CHARACTERS.stream(TEXT)
    first, second, other = (Windows(stream, TrainConfig(tokens_per_step=640, seed=seed), 64) for seed in (1, 1, 2))
    first[3]
    (one,), (same,), (different,) = first[7], second[7], other[7]
    assert torch.equal(one.ids, same.ids)
    assert not torch.equal(one.ids, different.ids)
    assert one.ids.shape == (10, 64)
    assert torch.equal(one.ids[:, 1:], one.targets[:, :-1])
    assert bool(one.counts.all())
    for row in one.ids.tolist():
        assert CHARACTERS.decode(row) in TEXT


def test_windows_reach_the_first_and_the_last_token() -> None:
    windows = Windows(np.arange(12, dtype=np.int32), TrainConfig(tokens_per_step=800), 8)
    (batch,) = windows[0]
    assert set(batch.ids.flatten().tolist()) == set(range(11))
    assert int(batch.targets.max()) == 11
    with pytest.raises(ValueError, match="has 8 tokens; at least 9"):
        Windows(np.arange(8, dtype=np.int32), TrainConfig(), 8)


def test_every_token_but_the_first_is_guessed_once() -> None:
    for length in (2, 9, 17, 40):
        guessed = [token for row in windows_of(np.arange(length, dtype=np.int32), 8, 100) for token in row.ids[1:]]
        assert sorted(guessed) == list(range(1, length))


def test_beginnings_are_cut_lines() -> None:
    assert "3. Ünder the" in beginnings("first\n3. Ünder the pier\n")
    assert beginnings("x\nanna\n") == ("an",)
    assert beginnings("\n\n")


def test_the_end_of_a_text_is_held_out(file: Path, run: RunFolder) -> None:
    own = divide_text(file)
    assert own.train + own.validation == TEXT
    assert len(own.validation) == math.ceil(len(TEXT) / 10)
    assert (run.path / "data" / "train.txt").read_text("utf-8") == own.train
    assert (run.path / "data" / "validation.txt").read_text("utf-8") == own.validation


def test_a_text_is_learned_and_its_floor_is_unknown(run: RunFolder) -> None:
    looks = [entry for entry in run.lines("metrics.jsonl") if "validation_loss" in entry]
    tokenizer = run.tokenizer()
    assert looks[0]["validation_loss"] == pytest.approx(math.log(tokenizer.rows), abs=0.2)
    assert looks[-1]["validation_loss"] < 0.75 * looks[0]["validation_loss"]
    assert not any("floor" in look or "gap" in look for look in looks)
    there = held(run, tokenizer, "validation", 128)
    text = (run.path / "data" / "validation.txt").read_text("utf-8")
    assert sum(there.counted_bytes) == len(text.encode()) - tokenizer.bytes_of_tokens()[tokenizer.encode(text)[0]]  # type: ignore[attr-defined]
    card = evaluate_own(load(run.path))
    assert card.losses["validation"].bits_per_byte == pytest.approx(looks[-1]["bits_per_byte"], rel=0.05)
    done = command("report", run.path)
    assert done.exit_code == 0, done.exception
    report = (run.path / "report.md").read_text("utf-8")
    assert "floor is unknown" in report
    assert ("--tokenizer characters" in report) == isinstance(tokenizer, CharacterTokenizer)


def test_a_text_goes_on_past_the_context(run: RunFolder) -> None:
    fish = load(run.path)
    assert fish.continues
    said = "".join(fish.stream("1. The tide", seed=1, tokens=300))
    assert len(fish.tokenizer.encode(said)) > 128
    assert said == "".join(fish.stream("1. The tide", seed=1, tokens=300))
    assert said.startswith("".join(fish.stream("1. The tide", seed=1, tokens=20)).rstrip("\ufffd"))


def test_chat_says_what_kind_of_run_it_is(run: RunFolder) -> None:
    once = command("chat", run.path, "--prompt", "1. The tide", "--seed", "1", "--tokens", "30")
    assert once.stdout.startswith("1. The tide")
    assert once.exit_code == 0
    assert "tokens is 0" in str(command("chat", run.path, "--prompt", "a", "--tokens", "0").exception)
    looked = command("look", run.path, "1. The")
    assert "<|im_start|>" not in looked.stdout
    assert looked.exit_code == 0


def test_what_needs_conversations_is_refused_in_a_sentence(run: RunFolder, tmp_path: Path) -> None:
    fish = load(run.path)
    for export in (export_huggingface, export_onnx):
        with pytest.raises(RunError, match="no chat format"):
            export(fish, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="no prompts and replies"):
        fish.remember("a", "b")
    with pytest.raises(RunError, match="no rows of prompt and reply"):
        rows_of(run, "validation")
    assert isinstance(command("guess", run.path, "--auto").exception, RunError)
    assert "leave out --meter" in str(command("chat", run.path, "--prompt", "a", "--meter").exception)


def test_resume_needs_only_the_run_folder(file: Path, run: RunFolder, tmp_path: Path) -> None:
    class Tired(Silent):
        def step(self, measured: Measured) -> None:
            if measured.step == 6:
                signal.raise_signal(signal.SIGINT)

    copy = Path(shutil.copy(file, tmp_path / "crabs.txt"))
    kind = "characters" if isinstance(run.tokenizer(), CharacterTokenizer) else "bpe"
    with pytest.raises(KeyboardInterrupt):
        run_training(text=copy, tokenizer=kind, steps=15, size="fry", out=tmp_path / "run", reporter=Tired())
    copy.unlink()
    again = run_training(out=tmp_path / "run", resume=True)
    ours, theirs = (load_file(folder.path / "model.safetensors") for folder in (again, run))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_texts_that_can_not_be_read(tmp_path: Path) -> None:
    def refused(data: bytes, kind: type[Exception], words: str) -> None:
        (tmp_path / "bad.txt").write_bytes(data)
        with pytest.raises(kind, match=words):
            run_training(text=tmp_path / "bad.txt", steps=1, size="fry", out=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    refused(b"fine\nfine\ncaf\xe9\n", RunError, "line 3 is not UTF-8")
    refused(b"", RunError, "holds no text")
    refused(b"zu kurz", ValueError, "too short")
    with pytest.raises(RunError, match="can't be read"):
        run_training(text=tmp_path / "none.txt", out=tmp_path / "run")
    with pytest.raises(ValueError, match="no tokenizer 'words'"):
        run_training(text=tmp_path / "none.txt", tokenizer="words")
    with pytest.raises(ValueError, match="choose one"):
        run_training(text=tmp_path / "none.txt", conversations=tmp_path / "none.jsonl")


def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_text", Path(__file__).parents[1] / "bench" / "text.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


race = bench()


def test_the_reference_is_nanogpts_model() -> None:
    model = race.Reference(65)
    without_positions = race.parameters(model) - model.position_embedding.weight.numel()
    assert round(without_positions / 1e6, 2) == 0.80  # what nanoGPT prints for it
    ids = torch.randint(0, 65, (2, 64), generator=torch.Generator().manual_seed(1))
    changed = ids.clone()
    changed[:, 40:] = 0
    assert torch.allclose(model(ids)[:, :40], model(changed)[:, :40], atol=1e-6)  # nothing is seen before its time
    ours = race.parameters(new_model(ModelConfig(65, 64, 4, 128, 4, 512), 1))
    assert ours / race.parameters(model) == pytest.approx(1, abs=0.01)


def test_the_reference_rate_climbs_and_falls_to_a_tenth() -> None:
    rates = [race.reference_rate(step) for step in range(race.STEPS + 1)]
    assert rates[:101] == sorted(rates[:101])
    assert max(rates) == rates[100] == pytest.approx(1e-3)
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4)


def test_names_are_held_out_whole(tmp_path: Path) -> None:
    names = [f"{a}{b}{c}" for a in "abcdef" for b in "aeiou" for c in "lmnrs"]
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n\n")
    learned, held_out = race.named_rows(tmp_path / "names.txt")
    assert (len(learned), len(held_out)) == (135, 15)
    assert len({tuple(row.ids) for row in (*learned, *held_out)}) == 150
    assert all(row.ids[0] == row.ids[-1] == 0 and sum(row.is_reply) == 4 for row in learned)


def test_the_race_in_small(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "WARMUP", 2)
    monkeypatch.setattr(race, "TRIES", 3)
    curves = race.shakespeare(file, 20, 1)
    theirs, ours = curves["reference"], curves["ours"]
    assert theirs[-1].step == 20
    assert theirs[-1].characters == 20 * 12 * 64
    assert theirs[-1].loss < theirs[0].loss
    assert ours[-1].loss < ours[0].loss
    assert 0.5 < ours[-1].seconds / theirs[-1].seconds < 3
    assert "published for nanoGPT's: 1.88" in capsys.readouterr().out
