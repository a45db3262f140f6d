"""The main job from a character to a fish that talks: data, tokenizer, model, training."""

import dataclasses
import time
from pathlib import Path

import torch

import guppylm
from guppylm.checkpoint import CONFIG, SCORECARD, TOKENIZER, RunConfig, RunFolder
from guppylm.config import ModelConfig, TrainConfig, preset
from guppylm.data.batches import Batches
from guppylm.data.character import Character, load_character
from guppylm.data.conversations import TRAIN_ROWS, Row, read_rows, write_conversations
from guppylm.data.tokenizer import Rendered, Tokenizer
from guppylm.errors import RunError
from guppylm.model import Transformer
from guppylm.training.loop import train
from guppylm.training.progress import Reporter, Silent

GROWING_UP = 5  # prompts that are answered along the way
RESERVE = 3.0  # seconds kept back for the last save and the first reply


def run_training(
    character: str = "guppy",
    minutes: float | None = None,
    steps: int | None = None,
    size: str = "guppy",
    out: str | Path | None = None,
    seed: int = 1,
    rows: int = TRAIN_ROWS,
    resume: bool = False,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    began: float | None = None,
) -> RunFolder:
    """Trains a character and returns its run folder; with `resume`, goes on where that folder stands.

    `minutes` counts from `began` (time.monotonic, default now) to the first reply; `steps` fixes the number of updates
    instead. Without either it takes five minutes. Raises CharacterError, RunError, ValueError; KeyboardInterrupt after
    Ctrl-C, the state being saved.
    """
    began = time.monotonic() if began is None else began
    reporter = reporter or Silent()
    if minutes is not None and not 0 < minutes < 1e6:
        raise ValueError(f"minutes is {minutes}; it must be above 0")
    if steps is not None and steps < 1:
        raise ValueError(f"steps is {steps}; it must be at least 1")
    if rows < 1:
        raise ValueError(f"rows is {rows}; it must be at least 1")
    if resume and overwrite:
        raise ValueError("--resume goes on with a run and --overwrite deletes it; choose one")
    if resume and (minutes is not None or steps is not None):
        raise ValueError("a resumed run keeps the number of steps that it began with; leave out --minutes and --steps")
    folder = RunFolder(Path(out) if out else Path("runs") / Path(character).name)
    device = best_device()
    if resume:
        return _resume(folder, device, reporter)

    model_config = preset(size)
    sheet = load_character(character)
    folder.create(overwrite)
    tokenizer, rendered = _prepare(sheet, folder, rows, seed, reporter)
    model_config = dataclasses.replace(model_config, vocabulary_size=tokenizer.rows)
    precision = fastest_precision(device)
    config = TrainConfig(steps=steps or TrainConfig.steps, seed=seed, precision=precision)
    validation = list(read_rows(folder.path / "data" / "validation.jsonl"))
    minutes = 5.0 if minutes is None and steps is None else minutes
    deadline = None if minutes is None else max(began + minutes * 60 - RESERVE, time.monotonic() + 0.1)
    how_long = f"{steps:,} steps" if steps else f"as many steps as {minutes:g} minutes hold,"
    reporter.say(
        f"{sum(p.numel() for p in Transformer(model_config).parameters()):,} parameters, {how_long} of about "
        f"{config.tokens_per_step:,} tokens, {config.precision} on {device.type}"
    )
    run = RunConfig(model_config, config, character, sheet.fingerprint, sheet.prompts, rows, guppylm.__version__)
    folder.write(CONFIG, run.to_json())
    _train(folder, run, tokenizer, rendered, validation, sheet, device, reporter, deadline=deadline)
    return folder


def _resume(folder: RunFolder, device: torch.device, reporter: Reporter) -> RunFolder:
    if not folder.has_run:
        raise RunError(f"there is nothing to resume in {folder.path}: training had not begun; train without --resume")
    run = folder.config()
    sheet = load_character(run.character)
    if sheet.fingerprint != run.fingerprint:
        raise RunError(f"the character {run.character} has changed since {folder.path} began; train anew with --overwrite")
    tokenizer = folder.tokenizer()
    rendered = _read_and_render(folder, tokenizer)
    validation = list(read_rows(folder.path / "data" / "validation.jsonl"))
    reporter.say(f"going on with {folder.path}")
    (folder.path / SCORECARD).unlink(missing_ok=True)  # it is about the fish as it was
    _train(folder, run, tokenizer, rendered, validation, sheet, device, reporter, resume=True)
    return folder


def _train(
    folder: RunFolder,
    run: RunConfig,
    tokenizer: Tokenizer,
    rendered: list[Rendered],
    validation: list[Row],
    sheet: Character,
    device: torch.device,
    reporter: Reporter,
    resume: bool = False,
    deadline: float | None = None,
) -> None:
    model = new_model(run.model, run.train.seed).to(device)
    batches = Batches(rendered, run.train, run.model.context)
    prompts = sheet.prompts[:GROWING_UP]
    if not train(model, tokenizer, batches, validation, prompts, run.train, folder, reporter, resume, deadline):
        raise KeyboardInterrupt


def _prepare(
    sheet: Character, folder: RunFolder, rows: int, seed: int, reporter: Reporter
) -> tuple[Tokenizer, list[Rendered]]:
    """Writes conversations and tokenizer into the run folder."""
    reporter.say(f"writing {rows:,} conversations of {sheet.title}: {len(sheet.topics)} topics, {len(sheet.turns)} turns")
    try:
        write_conversations(sheet, folder.path / "data", rows, seed)
    except OSError as error:
        raise RunError(
            f"{folder.path / 'data'} could not be written: {error.strerror}; make room, or choose another --out"
        ) from error
    pairs = [(row.prompt, row.reply) for row in read_rows(folder.path / "data" / "train.jsonl")]
    tokenizer = Tokenizer.train(pairs)
    rendered = tokenizer.render_all(pairs)
    folder.write(TOKENIZER, tokenizer.to_json())
    counts = tokenizer.count(rendered)
    folder.write("vocabulary.tsv", tokenizer.twin(counts))
    reporter.say(f"{tokenizer.size:,} tokens, {len(counts):,} of them occur in the conversations")
    return tokenizer, rendered


def _read_and_render(folder: RunFolder, tokenizer: Tokenizer) -> list[Rendered]:
    path = folder.path / "data" / "train.jsonl"
    try:
        return tokenizer.render_all([(row.prompt, row.reply) for row in read_rows(path)])
    except (FileNotFoundError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged ({error}); a run can only go on with its own data") from error


def new_model(config: ModelConfig, seed: int) -> Transformer:
    """An untrained model whose weights depend on `seed` alone. The global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Transformer(config)


def best_device() -> torch.device:
    """The GPU if there is one, else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def fastest_precision(device: torch.device) -> str:
    """bfloat16 where this machine multiplies it clearly faster than float32, found by trying; else float32.

    Processors with AVX512-BF16 or AMX gain a factor of three to four; older ones emulate it and would lose.
    """
    if device.type == "mps":
        return "float32"
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    seconds: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.ones(1024, 768, dtype=dtype)
        x @ x.T  # the first product sets things up
        tries = []
        for _ in range(5):
            began = time.perf_counter()
            x @ x.T
            tries.append(time.perf_counter() - began)
        seconds[dtype] = min(tries)
    return "bfloat16" if seconds[torch.bfloat16] * 1.5 < seconds[torch.float32] else "float32"
