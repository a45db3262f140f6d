"""The main job from data to a fish that talks: data, tokenizer, model, training."""

import dataclasses
import time
from pathlib import Path

import torch

import guppylm
from guppylm.checkpoint import CHARACTER, CONFIG, CONVERSATIONS, SCORECARD, TEXT, RunConfig, RunFolder
from guppylm.config import ModelConfig, TrainConfig, preset
from guppylm.data.character import load_character
from guppylm.data.conversations import TRAIN_ROWS
from guppylm.data.sources import divide_text, read_conversations
from guppylm.data.text import TOKENIZERS
from guppylm.data.tokenizer import Tokenizer
from guppylm.errors import RunError
from guppylm.model import Transformer
from guppylm.training.clock import LEAST, SHALLOW
from guppylm.training.loop import train
from guppylm.training.material import (
    Material,
    dials,
    learn_text,
    measure_of,
    prepare_character,
    prepare_conversations,
    read_again,
    steps_of,
    write_text,
)
from guppylm.training.progress import Reporter, Silent

GROWING_UP = 5  # prompts that are answered along the way
DECAY = 0.8  # of the steps with all layers; where there are no others, half of them does better
FIRST_TOKEN = 4.0  # a reply begins with what was understood: for that to be learnt early it weighs more than what follows
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
    conversations: str | Path | None = None,
    text: str | Path | None = None,
    tokenizer: str = "bpe",
    shallow_steps: int | None = None,
) -> RunFolder:
    """Trains a character and returns its run folder; with `resume`, goes on where that folder stands.

    `conversations` (a file or folder) or `text` (a file, its tokens by `tokenizer`: bpe or characters) takes the character's
    place; `rows` counts for a character alone.
    `shallow_steps` is how many of the `steps` train a third of the layers only.
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
    if shallow_steps is not None and (steps is None or not 0 <= shallow_steps < steps):
        raise ValueError(f"shallow is {shallow_steps}: so many of --steps, at least 0 and not all of them")
    if rows < 1:
        raise ValueError(f"rows is {rows}; it must be at least 1")
    if resume and overwrite:
        raise ValueError("--resume goes on with a run and --overwrite deletes it; choose one")
    if resume and (minutes is not None or steps is not None):
        raise ValueError("a resumed run keeps the number of steps that it began with; leave out --minutes and --steps")
    if conversations is not None and text is not None:
        raise ValueError("--conversations and --text are two ways to train; choose one")
    if tokenizer not in TOKENIZERS:
        raise ValueError(f"no tokenizer {tokenizer!r}; there are {', '.join(TOKENIZERS)}")
    if tokenizer != "bpe" and text is None:
        raise ValueError(f"--tokenizer {tokenizer} is for text; give a file with --text")
    kind = CONVERSATIONS if conversations is not None else TEXT if text is not None else CHARACTER
    given = str(conversations or text or character)
    folder = RunFolder(Path(out) if out else default_folder(kind, given))
    device = best_device()
    if resume:
        return _resume(folder, device, reporter)

    model_config = preset(size)
    told = RunConfig(model_config, TrainConfig(), given, kind=kind, guppylm=guppylm.__version__)
    material: Material
    learned: Tokenizer
    if kind == CONVERSATIONS:
        own = read_conversations(Path(given))
        folder.create(overwrite)
        learned, material = prepare_conversations(own, folder, model_config.context, reporter)
        told = dataclasses.replace(told, fingerprint=own.fingerprint, prompts=own.prompts, rows=len(own.splits["train"]))
    elif kind == TEXT:
        words = divide_text(Path(given))
        in_tokens, material = learn_text(words, tokenizer, model_config.context)
        learned = in_tokens
        folder.create(overwrite)
        write_text(words, in_tokens, material, folder, reporter)
        told = dataclasses.replace(told, fingerprint=words.fingerprint, prompts=words.prompts)
    else:
        sheet = load_character(character)
        folder.create(overwrite)
        learned, material = prepare_character(sheet, folder, rows, seed, reporter)
        told = dataclasses.replace(told, fingerprint=sheet.fingerprint, prompts=sheet.prompts, rows=rows)
    model_config = dataclasses.replace(model_config, vocabulary_size=learned.rows)
    precision = fastest_precision(device)
    if kind == TEXT and shallow_steps is None:
        shallow_steps = 0  # what they gain has been measured on conversations only
    config = dials(kind, train_config(steps, seed, precision, shallow_steps))
    minutes = 5.0 if minutes is None and steps is None else minutes
    deadline = None if minutes is None else began + minutes * 60 - RESERVE
    how_long = f"{steps:,} steps" if steps else f"as many steps as {minutes:g} minutes hold,"
    reporter.say(
        f"{sum(p.numel() for p in Transformer(model_config).parameters()):,} parameters, {how_long} of about "
        f"{config.tokens_per_step:,} tokens, {config.precision} on {device.type}"
    )
    run = dataclasses.replace(told, model=model_config, train=config)
    folder.write(CONFIG, run.to_json())
    _train(folder, run, learned, material, device, reporter, deadline=deadline)
    return folder


def train_config(steps: int | None, seed: int, precision: str, shallow_steps: int | None = None) -> TrainConfig:
    """The recipe, for so many steps; without a number for as many as a clock will allow. Raises ValueError."""
    steps = TrainConfig.steps if steps is None else steps
    shallow = int(SHALLOW * steps) if shallow_steps is None else shallow_steps
    decay = DECAY if shallow else TrainConfig.decay
    return TrainConfig(steps, shallow_steps=shallow, decay=decay, seed=seed, first_token=FIRST_TOKEN, precision=precision)


def default_folder(kind: str, given: str) -> Path:
    """Where a run goes if nobody says: runs/ and the character's or the file's name."""
    return Path("runs") / (Path(given).name if kind == CHARACTER else Path(given).stem)


def _resume(folder: RunFolder, device: torch.device, reporter: Reporter) -> RunFolder:
    if not folder.has_run:
        raise RunError(f"there is nothing to resume in {folder.path}: training had not begun; train without --resume")
    run = folder.config()
    if run.kind == CHARACTER and load_character(run.character).fingerprint != run.fingerprint:
        raise RunError(f"the character {run.character} has changed since {folder.path} began; train anew with --overwrite")
    learned = folder.tokenizer()
    material = read_again(folder, learned)
    reporter.say(f"going on with {folder.path}")
    (folder.path / SCORECARD).unlink(missing_ok=True)  # it is about the fish as it was
    _train(folder, run, learned, material, device, reporter, resume=True)
    return folder


def _train(
    folder: RunFolder,
    run: RunConfig,
    tokenizer: Tokenizer,
    material: Material,
    device: torch.device,
    reporter: Reporter,
    resume: bool = False,
    deadline: float | None = None,
) -> None:
    model = new_model(run.model, run.train.seed).to(device)
    steps, measure = steps_of(material, run.train, run.model.context), measure_of(folder, run, tokenizer)
    prompts = run.prompts[:GROWING_UP]
    if deadline is not None and deadline - time.monotonic() < LEAST:
        reporter.say("preparing took nearly all the time, so he learns for a second only: more --minutes, or fewer --rows")
    if not train(model, tokenizer, steps, measure, prompts, run.train, folder, reporter, resume, deadline):
        raise KeyboardInterrupt


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

    A GPU without bfloat16 (T4) gets float16, whose loss is scaled up while gradients are computed.

    Processors with AVX512-BF16 or AMX gain a factor of three to four; older ones emulate it and would lose.
    """
    if device.type == "mps":
        return "float32"
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
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
