"""Two published results on plain text, and guppylm's own training on the same text, split and size of model.

python bench/text.py shakespeare tinyshakespeare.txt    nanoGPT's recipe for a CPU, and ours in as many seconds
python bench/text.py names names.txt --minutes 2        ours, against the figure that makemore states

shakespeare: characters, the last tenth held out. The reference is written from nanoGPT's published figures; it says 1.88 for
that (README, "I only have a macbook"), an estimate from 20 batches of the held-out part. Here all of it is measured, for
both recipes. Both clocks run while weights are updated and stand still while the held-out part is looked at.

names: one name a row, 1,000 held out by makemore's own draw (seed 3407). Its README says a test loss of about 1.92 for the
default transformer, in nats a character, the end of a name counted as one. That is the best of its looks at those names, after
a time that it does not state; ours is the loss at the end.
"""

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guppylm.config import ModelConfig, TrainConfig
from guppylm.data.batches import Batches, Steps
from guppylm.data.sources import divide_text, read_text
from guppylm.data.text import CharacterTokenizer, Stream, Windows, windows_of
from guppylm.data.tokenizer import Rendered
from guppylm.errors import RunError
from guppylm.evaluation.loss import reply_tokens, row_losses
from guppylm.training.clock import steps_in_time
from guppylm.training.loop import new_optimizer, update
from guppylm.training.material import dials
from guppylm.training.run import new_model

LAYERS, HEADS, WIDTH, CONTEXT, BATCH, STEPS = 4, 4, 128, 64, 12, 2_000  # nanoGPT's, for a CPU
WARMUP, PEAK_RATE, LAST_RATE, BETAS, WEIGHT_DECAY, CLIP, DEVIATION = 100, 1e-3, 1e-4, (0.9, 0.99), 0.1, 1.0, 0.02
NANOGPT_LOSS, MAKEMORE_LOSS = 1.88, 1.92
NAMES, MAKEMORE_SEED = 1_000, 3407  # held out
NAMES_MODEL = ModelConfig(vocabulary_size=27, context=16, layers=4, width=64, heads=4, mlp_width=256)
LOOKS, TRIES = 20, 30

Learn = Callable[[int], int]  # does the update of that step (from 0), returns how many characters it read


class Look(NamedTuple):
    """What a recipe has reached."""

    step: int
    characters: int  # read
    seconds: float  # of learning
    loss: float  # nats a character, over all that is held out


class ReferenceBlock(nn.Module):
    """GPT-2's block without biases: attention in one call, an MLP four times as wide with GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.query_key_value, self.output = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # (batch, time, width) to the same
        parts = self.query_key_value(self.norms[0](x)).view(*x.shape[:2], 3, HEADS, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # (batch, heads, time, head width) each
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.wide(self.norms[1](x))))


class Reference(nn.Module):
    """The model of nanoGPT's recipe, its output matrix tied to the embedding."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.token_embedding, self.position_embedding = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(ReferenceBlock() for _ in range(LAYERS))
        self.final_norm = nn.LayerNorm(WIDTH, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:  # what adds to the residual stream starts smaller, the more layers add to it
                adds = name.endswith(("output.weight", "narrow.weight"))
                nn.init.normal_(weight, std=DEVIATION / math.sqrt(2 * LAYERS) if adds else DEVIATION)

    def forward(self, ids: Tensor, only: Tensor | None = None) -> Tensor:  # (batch, time) to (batch, time, vocabulary)
        x = self.token_embedding(ids) + self.position_embedding(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        x = self.final_norm(x if only is None else x[only])
        return x @ self.token_embedding.weight.T


def reference_rate(step: int, steps: int = STEPS) -> float:
    """A climb of 100 steps, then half a cosine down to a tenth."""
    if step < WARMUP:
        return PEAK_RATE * (step + 1) / (WARMUP + 1)
    share = (step - WARMUP) / (steps - WARMUP)
    return LAST_RATE + (PEAK_RATE - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2


def reference(stream: Stream, vocabulary: int, steps: int, seed: int, precision: str) -> tuple[nn.Module, Learn]:
    """nanoGPT's recipe. Norms are not decayed, matrices and embeddings are."""
    torch.manual_seed(seed)
    model, random = Reference(vocabulary), np.random.default_rng(seed)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim == 2], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=BETAS, fused=True)

    def learn(step: int) -> int:
        for group in optimizer.param_groups:
            group["lr"] = reference_rate(step, steps)
        first = random.integers(0, len(stream) - CONTEXT, BATCH)
        cut = torch.from_numpy(stream[first[:, None] + np.arange(CONTEXT + 1)].astype(np.int64))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(cut[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), cut[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return BATCH * CONTEXT

    return model, learn


def losses(model: nn.Module, rows: list[Rendered]) -> float:
    """Nats a character, over all rows."""
    return float(row_losses(model, rows).sum() / reply_tokens(rows).sum())  # type: ignore[arg-type]  # the reference too


def follow(model: nn.Module, learn: Learn, steps: int, rows: list[Rendered]) -> list[Look]:
    """A training of so many steps."""
    at, curve, characters, seconds = {round(steps * n / LOOKS) for n in range(LOOKS + 1)}, [], 0, 0.0
    for step in range(steps + 1):
        if step in at:
            curve.append(_told(Look(step, characters, seconds, losses(model, rows))))
        if step < steps:
            began = time.perf_counter()
            characters += learn(step)
            seconds += time.perf_counter() - began
    return curve


def ours(
    config: ModelConfig, train: TrainConfig, batches: Steps, seconds: float, rows: list[Rendered]
) -> tuple[nn.Module, list[Look]]:
    """guppylm's training for so many seconds of learning: the clock fixes the number of steps, as `--minutes` does."""
    model = new_model(config, train.seed)
    optimizer = new_optimizer(model, train)
    curve = [_told(Look(0, 0, 0.0, losses(model, rows)))]
    step, characters, used, fixed = 0, 0, 0.0, False
    while not fixed or step < train.steps:
        began = time.perf_counter()
        characters += update(model, optimizer, batches, train, step).tokens
        used += time.perf_counter() - began
        step += 1
        if not fixed:
            train = dataclasses.replace(train, steps=steps_in_time(step, used / seconds, train.decay))
            fixed = used >= seconds * (1 - train.decay)
        if used >= len(curve) * seconds / LOOKS or (fixed and step == train.steps):
            curve.append(_told(Look(step, characters, used, losses(model, rows))))
    return model, curve


def faster_precision(learner: Callable[[str], Learn]) -> str:
    """The precision whose updates take less time, tried in turn on throw-away weights."""
    learners = {precision: learner(precision) for precision in ("float32", "bfloat16")}
    taken = dict.fromkeys(learners, 0.0)
    for step in range(TRIES):
        for precision, learn in learners.items():
            began = time.perf_counter()
            learn(step)
            taken[precision] += time.perf_counter() - began if step >= TRIES // 3 else 0.0
    return min(taken, key=taken.__getitem__)


def _told(look: Look) -> Look:
    print(f"  step {look.step:>6,} {look.seconds:>7.1f} s  loss {look.loss:.4f}", file=sys.stderr, flush=True)
    return look


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def learner_of(config: ModelConfig, train: TrainConfig, batches: Steps) -> Learn:
    """One update of ours after the other, on throw-away weights."""
    model = new_model(config, train.seed)
    optimizer = new_optimizer(model, train)
    return lambda step: update(model, optimizer, batches, train, step).tokens


def recipe(config: ModelConfig, seed: int, batches: Callable[[TrainConfig], Steps]) -> TrainConfig:
    """Our dials for text, in the precision in which they take less time."""
    train = dials("text", TrainConfig(seed=seed))
    tried = {p: dataclasses.replace(train, precision=p) for p in ("float32", "bfloat16")}
    return tried[faster_precision(lambda precision: learner_of(config, tried[precision], batches(tried[precision])))]


def shakespeare(path: Path, steps: int, seed: int) -> dict[str, object]:
    """Both recipes on one text, the last tenth held out."""
    text = divide_text(path)
    tokenizer = CharacterTokenizer.learn(text.train + text.validation)
    stream, held = tokenizer.stream(text.train), windows_of(tokenizer.stream(text.validation), CONTEXT, sys.maxsize)
    theirs = faster_precision(lambda precision: reference(stream, tokenizer.size, steps, seed, precision)[1])
    model, learn = reference(stream, tokenizer.size, steps, seed, theirs)
    curve = follow(model, learn, steps, held)
    config = ModelConfig(tokenizer.size, CONTEXT, LAYERS, WIDTH, HEADS, 4 * WIDTH)
    train = recipe(config, seed, lambda train: Windows(stream, train, CONTEXT))
    ours_model, ours_curve = ours(config, train, Windows(stream, train, CONTEXT), curve[-1].seconds, held)
    print(
        f"{len(text.train):,} characters to learn from, {len(text.validation):,} held out; {tokenizer.size} different ones\n"
    )
    print(f"{'recipe':10} {'parameters':>10} {'precision':>9} {'steps':>6} {'characters':>11} {'seconds':>8} {'loss':>8}")
    for name, one, precision, looks in (
        ("nanoGPT's", model, theirs, curve),
        ("ours", ours_model, train.precision, ours_curve),
    ):
        end = looks[-1]
        print(
            f"{name:10} {parameters(one):>10,} {precision:>9} {end.step:>6,} {end.characters:>11,} "
            f"{end.seconds:>8.1f} {end.loss:>8.4f}"
        )
    print(f"\npublished for nanoGPT's: {NANOGPT_LOSS}")
    sooner = next((look.seconds for look in ours_curve if look.loss <= curve[-1].loss), None)
    if sooner is not None:
        print(f"ours had nanoGPT's last loss after {sooner:.1f} s or less: {curve[-1].seconds / sooner:.2f} times as fast")
    return {"fields": Look._fields, "reference": curve, "ours": ours_curve}


def named_rows(path: Path) -> tuple[list[Rendered], list[Rendered]]:
    """Names to learn from and names held out, drawn as makemore draws them; 0 is the mark before and after each."""
    names = [name for name in map(str.strip, read_text(path).splitlines()) if name]
    numbers = {char: number for number, char in enumerate(sorted(set("".join(names))), 1)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(MAKEMORE_SEED)
        order = torch.randperm(len(names)).tolist()
    rows = [Rendered(ids := [0, *(numbers[c] for c in names[n]), 0], [False] + [True] * (len(ids) - 1)) for n in order]
    held = min(NAMES, len(rows) // 10)
    return rows[:-held], rows[-held:]


def names(path: Path, minutes: float, seed: int) -> dict[str, object]:
    """Ours on names."""
    learned, held = named_rows(path)
    train = recipe(NAMES_MODEL, seed, lambda train: Batches(learned, train, NAMES_MODEL.context))
    model, curve = ours(NAMES_MODEL, train, Batches(learned, train, NAMES_MODEL.context), minutes * 60, held)
    end = curve[-1]
    print(f"{len(learned):,} names to learn from, {len(held):,} held out")
    print(f"ours: {parameters(model):,} parameters, {train.precision}, {end.step:,} steps, {end.seconds:.1f} s")
    print(f"held-out loss {end.loss:.4f} nats a character (makemore's README: about {MAKEMORE_LOSS})")
    return {"fields": Look._fields, "ours": curve}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=("shakespeare", "names"))
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="of the reference on shakespeare; ours takes as long as they do"
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="of learning names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the curves to this file")
    given = parser.parse_args()
    try:
        if given.steps <= WARMUP or given.minutes <= 0:
            raise ValueError(f"--steps must be above {WARMUP}, --minutes above 0")
        shaken = given.corpus == "shakespeare"
        done = shakespeare(given.file, given.steps, given.seed) if shaken else names(given.file, given.minutes, given.seed)
        if given.json:
            given.json.write_text(json.dumps(done) + "\n", "utf-8")
    except (RunError, ValueError, OSError) as error:
        sys.exit(f"text: {error}")


if __name__ == "__main__":
    main()
