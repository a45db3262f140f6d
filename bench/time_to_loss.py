"""How much sooner guppylm's recipe reaches the loss that the usual one ends with: one machine, data, split and model size.

python bench/time_to_loss.py --ours-steps 700,1000,1400      the reference takes most of an hour
python bench/time_to_loss.py --short --ours-steps 150,250    compared at the loss that the reference has after ten minutes

Both clocks run while weights are updated and stand still while validation rows are looked at. Our schedule ends at zero,
so its number of steps is fixed in advance: of the budgets that are tried, the smallest that reaches the loss counts.

An hour is long enough for a machine to change its speed. So updates of both are timed once more at the end, in turn, and
the ratio is also told in steps times these paces. With --cache the reference can run at any time, on any number of threads.
"""

import argparse
import hashlib
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from guppylm.config import ModelConfig
from guppylm.data.batches import Batches, collate
from guppylm.data.character import Character, load_character
from guppylm.data.conversations import TRAIN_ROWS, Conversations, Row
from guppylm.data.tokenizer import Rendered, Tokenizer
from guppylm.errors import RunError
from guppylm.evaluation.loss import autocast, loss_report
from guppylm.model import Attention, KeyValueCache, Transformer
from guppylm.training.loop import new_optimizer, update
from guppylm.training.run import best_device, fastest_precision, new_model, train_config
from guppylm.training.workers import Workers, workers_for

STEPS, WARMUP, BATCH, DROPOUT = 10_000, 200, 32, 0.1  # the reference
PEAK_RATE, LAST_RATE, BETAS, WEIGHT_DECAY, DEVIATION = 3e-4, 3e-5, (0.9, 0.95), 0.1, 0.02
RECIPE = f"{STEPS} {WARMUP} {BATCH} {DROPOUT} {PEAK_RATE} {LAST_RATE} {BETAS} {WEIGHT_DECAY} {DEVIATION}"
REFERENCE_LOOKS, OUR_LOOKS, VALIDATION_ROWS, TRIES = 100, 40, 1_000, 30

T = TypeVar("T")
Learn = Callable[[int], int]  # does the update of that step (from 0), returns how many tokens it read


class Data(NamedTuple):  # what both recipes learn from and are measured on
    tokenizer: Tokenizer
    rendered: list[Rendered]
    validation: list[Row]
    fingerprint: str


class Look(NamedTuple):  # what a recipe has reached
    step: int
    tokens: int  # read: the reference's without padding, ours with its little padding
    seconds: float  # of learning
    loss: float  # nats a reply token, over all validation rows
    gap: float


class Form(NamedTuple):  # of the reference: rounding apart, all learn the same
    precision: str  # of its matrix products
    attention: str  # "written-out" or "fused"
    cores: str  # "together" at every product, or "apart", each with its rows of the batch


FORMS = [Form(*form) for form in product(("float32", "bfloat16"), ("written-out", "fused"), ("together", "apart"))]


class Pace(NamedTuple):  # seconds a step, measured in turn
    reference: float
    shallow: float  # ours with the first layers only
    deep: float  # ours with all layers

    def ours(self, steps: int, shallow_steps: int) -> float:
        """Seconds of our first `steps` steps."""
        shallow = min(steps, shallow_steps)
        return shallow * self.shallow + (steps - shallow) * self.deep


class FusedAttention(Attention):
    """The same attention in one call of PyTorch's; for training, so without a cache."""

    def forward(self, x: Tensor, layer: int, cache: KeyValueCache | None) -> Tensor:
        q, k, v = (self._split_heads(part(x)) for part in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (batch, heads, time, head width)
        return self.output(mixed.transpose(1, 2).flatten(2))


def prepare(sheet: Character, rows: int, validation_rows: int, seed: int) -> Data:
    """The rows that `guppylm train` with this seed would read."""
    source = Conversations(sheet, seed)
    pairs = [(row.prompt, row.reply) for row in source.rows("train", rows)]
    validation = [row._replace(surprisal=source.surprisal(row)) for row in source.rows("validation", validation_rows)]
    digest = hashlib.blake2b(repr((pairs, validation)).encode(), digest_size=8).hexdigest()
    tokenizer = Tokenizer.train(pairs)
    return Data(tokenizer, tokenizer.render_all(pairs), validation, digest)


def reference_model(config: ModelConfig, attention: str, seed: int) -> Transformer:
    """Our model with dropout at its named points and GPT-2's initial weights."""
    model = new_model(config, seed)
    model.add_module("embedded", nn.Dropout(DROPOUT))
    for block in model.blocks:
        block.add_module("attention_added", nn.Dropout(DROPOUT))
        block.add_module("mlp_added", nn.Dropout(DROPOUT))
        if attention == "fused":
            block.add_module("attention", FusedAttention(config))
    torch.manual_seed(seed)  # of the weights here, of dropout later
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=DEVIATION)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return model.to(best_device()).train()


def reference_batches(rows: Sequence[Rendered], context: int, seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Ids, targets, and where a target is no padding: (32, longest row) each, epoch after epoch in random order."""
    rows = [row for row in rows if len(row.ids) <= context + 1]
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(len(rows)).tolist()
        for first in range(0, len(order), BATCH):
            chosen = [rows[number] for number in order[first : first + BATCH]]
            ids, targets, _ = collate(chosen)
            yield ids, targets, torch.arange(ids.shape[1]) < torch.tensor([[len(row.ids) - 1] for row in chosen])


def reference_rate(step: int) -> float:
    """The learning rate: a climb of 200 steps, then half a cosine down to a tenth."""
    if step < WARMUP:
        return PEAK_RATE * (step + 1) / WARMUP
    share = (step - WARMUP) / (STEPS - WARMUP)
    return LAST_RATE + (PEAK_RATE - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2


def reference(config: ModelConfig, data: Data, form: Form, seed: int, workers: Workers) -> tuple[Transformer, Learn]:
    """The usual recipe: AdamW, small batches, loss on every token."""
    model = reference_model(config, form.attention, seed)
    device = model.token_embedding.weight.device
    fused = device.type in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(model.parameters(), PEAK_RATE, BETAS, weight_decay=WEIGHT_DECAY, fused=fused)
    batches = reference_batches(data.rendered, config.context, seed)
    parameters = list(model.parameters())

    def learn(step: int) -> int:
        ids, targets, real = (tensor.to(device) for tensor in next(batches))
        optimizer.param_groups[0]["lr"] = reference_rate(step)
        tokens = int(real.sum())

        def study(rows: Sequence[int]) -> list[Tensor]:
            chosen = list(rows)
            with autocast(device, form.precision):
                logits = model(ids[chosen], only=real[chosen])  # (tokens that are no padding, vocabulary)
            losses = F.cross_entropy(logits.float(), targets[chosen][real[chosen]], reduction="sum")
            return list(torch.autograd.grad(losses / tokens, parameters))

        if form.cores == "apart":
            torch.set_num_threads(1)
            gradients, *others = workers.share(study, range(len(ids)))
            for other in others:
                workers.share(lambda pairs: [a.add_(b) for a, b in pairs], list(zip(gradients, other, strict=True)))
        torch.set_num_threads(workers.count)
        if form.cores == "together":
            gradients = study(range(len(ids)))
        for p, gradient in zip(parameters, gradients, strict=True):
            p.grad = gradient
        optimizer.step()
        float(gradients[0].flatten()[0])  # waits until a GPU is done
        return tokens

    return model, learn


def ours(config: ModelConfig, data: Data, steps: int, seed: int, workers: Workers) -> tuple[Transformer, Learn]:
    """guppylm's recipe, as `guppylm train --steps` runs it."""
    train = train_config(steps, seed, fastest_precision(best_device()))
    model = new_model(config, seed).to(best_device())
    optimizer, batches = new_optimizer(model, train), Batches(data.rendered, train, config.context)

    def learn(step: int) -> int:
        torch.set_num_threads(1)  # of the caller, as in `guppylm train`
        done = update(model, optimizer, batches, train, step, workers)
        float(done.loss)
        return done.tokens

    return model, learn


def in_turn(learners: dict[T, Learn]) -> dict[T, float]:
    """Median seconds a step of each, on throw-away weights; all take their steps in turn, so a slow moment hits all alike."""
    seconds: dict[T, list[float]] = {name: [] for name in learners}
    for step in range(TRIES):
        for name, learn in learners.items():
            began = time.perf_counter()
            learn(step)
            seconds[name].append(time.perf_counter() - began)
    return {name: median(taken[TRIES // 3 :]) for name, taken in seconds.items()}


def fastest_form(config: ModelConfig, data: Data, seed: int, workers: Workers) -> Form:
    """The form of the reference whose update takes least."""
    seconds = in_turn({form: reference(config, data, form, seed, workers)[1] for form in FORMS})
    for form, taken in seconds.items():
        print(
            f"reference in {form.precision}, {form.attention} attention, cores {form.cores}: {taken:.3f} s a step", flush=True
        )
    return min(FORMS, key=seconds.__getitem__)


def paces(config: ModelConfig, data: Data, seed: int, workers: Workers) -> Pace:
    """How long a step takes just now: of the reference in its fastest form, and of ours."""
    _, shallow = ours(config, data, 10 * TRIES, seed, workers)
    _, deep = ours(config, data, 10 * TRIES, seed, workers)
    first_deep = train_config(10 * TRIES, seed, "float32").shallow_steps
    learners: dict[Form | str, Learn] = {form: reference(config, data, form, seed, workers)[1] for form in FORMS}
    seconds = in_turn(learners | {"shallow": shallow, "deep": lambda step: deep(step + first_deep)})
    return Pace(min(seconds[form] for form in FORMS), seconds["shallow"], seconds["deep"])


def follow(
    model: Transformer, learn: Learn, data: Data, steps: int, looks: int, limit: float = math.inf, goal: float = -math.inf
) -> list[Look]:
    """The course of a training, looked at `looks` times. Ends early after `limit` seconds or at the loss `goal`."""
    at = {round(steps * n / looks) for n in range(looks + 1)}
    curve: list[Look] = []
    step, tokens, seconds = 0, 0, 0.0
    while True:
        over = step == steps or seconds >= limit
        if step in at or over:
            report = loss_report(model.eval(), data.tokenizer, data.validation)
            model.train()
            curve.append(Look(step, tokens, seconds, report.loss_nats, report.gap_nats))
            print(f"  step {step:>6,} {seconds:>7.1f} s  loss {report.loss_nats:.4f}", file=sys.stderr, flush=True)
        if over or curve[-1].loss <= goal:
            return curve
        began = time.perf_counter()
        tokens += learn(step)
        seconds += time.perf_counter() - began
        step += 1


def conditions(data: Data, seed: int) -> dict[str, Any]:
    """What must be alike for two times to be comparable."""
    described = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    cpu = described.partition("model name")[2].partition("\n")[0].strip("\t :") or platform.processor()
    here = {"cpu": cpu, "device": best_device().type, "torch": torch.__version__}
    return {**here, "data": data.fingerprint, "seed": seed, "recipe": RECIPE}


def cached(path: Path, wanted: dict[str, Any]) -> tuple[int, Form, list[Look]]:
    """The reference's threads, form and curve from an earlier run. Raises RunError if it was made under other conditions."""
    try:
        kept = json.loads(path.read_text("utf-8"))
        for name, value in wanted.items():
            if (was := kept["conditions"].get(name)) != value:
                raise RunError(f"{path} was measured with {name} {was}, here it is {value}; give another --cache")
        return int(kept["threads"]), Form(*kept["form"]), [Look(*look) for look in kept["curve"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} is no cache of this bench ({error}); give another --cache") from error


def cut(curve: list[Look], limit: float) -> list[Look]:
    """The curve up to its first look after `limit` seconds or its last step. Raises RunError if it was stopped before."""
    for place, look in enumerate(curve):
        if look.seconds >= limit or look.step == STEPS:
            return curve[: place + 1]
    raise RunError(f"the cached reference was stopped after {curve[-1].seconds:.0f} s; add --short, or give another --cache")


def show(title: str, curve: list[Look]) -> None:
    """A curve as a table of at most about twenty lines."""
    print(f"\n{title}\n{'seconds':>9} {'step':>7} {'tokens':>12} {'loss':>8} {'gap':>8}")
    for look in [*curve[: -1 : -(-len(curve) // 20)], curve[-1]]:
        print(f"{look.seconds:9.1f} {look.step:7,} {look.tokens:12,} {look.loss:8.4f} {look.gap:8.4f}")


def compare(options: argparse.Namespace, workers: Workers) -> None:
    """Measures both recipes and prints what came of it."""
    seed, cache = options.seed, options.cache
    for path in filter(None, (cache, options.json)):
        path.touch()  # an hour of work should not end at a folder that is not there
    budgets = sorted(map(int, options.ours_steps.split(",")))
    limit = 60 * options.reference_minutes if options.short else math.inf
    data = prepare(load_character("guppy"), TRAIN_ROWS, VALIDATION_ROWS, seed)
    config = ModelConfig(vocabulary_size=data.tokenizer.rows)
    here, threads = conditions(data, seed), workers.count
    if cache and cache.stat().st_size:
        reference_threads, form, curve = cached(cache, here)
    else:
        reference_threads = threads
        form = fastest_form(config, data, seed, workers)
        curve = follow(*reference(config, data, form, seed, workers), data, STEPS, REFERENCE_LOOKS, limit)
        if cache:
            cache.write_text(
                json.dumps({"conditions": here, "threads": threads, "form": form, "curve": curve}) + "\n", "utf-8"
            )
    curve = cut(curve, limit)
    goal = curve[-1].loss
    curves: dict[int, list[Look]] = {}
    for steps in budgets:
        curves[steps] = follow(*ours(config, data, steps, seed, workers), data, steps, OUR_LOOKS, goal=goal)
        if curves[steps][-1].loss <= goal:
            break
    pace = paces(config, data, seed, workers)
    print("\n" + ", ".join(f"{name} {value}" for name, value in here.items()))
    show(f"reference ({form.precision}, {form.attention} attention, cores {form.cores}, threads: {reference_threads})", curve)
    for steps, looks in curves.items():
        show(f"ours, {steps:,} steps, threads: {threads}", looks)
    first, last = next(look for look in curve if look.loss <= goal), curves[steps][-1]
    print(f"\nthe loss to reach: {goal:.4f}. reference: {first.seconds:,.0f} s, {first.tokens:,} tokens")
    reached = last.loss <= goal
    missed = "" if reached else f", but only a loss of {last.loss:.4f}; try more with --ours-steps"
    print(f"ours, {steps:,} steps: {last.seconds:,.0f} s, {last.tokens:,} tokens{missed}")
    each = f"{pace.reference:.3f} s (reference), {pace.shallow:.3f} s and {pace.deep:.3f} s (ours, first and all layers)"
    print(f"in turn, a step took {each}")
    if reached:
        paced = first.step * pace.reference / pace.ours(last.step, train_config(steps, seed, form.precision).shallow_steps)
        print(f"ratio: {paced:.2f} in steps times these paces, {first.tokens / last.tokens:.2f} in tokens")
        if reference_threads == threads:
            print(f"ratio: {first.seconds / last.seconds:.2f} in seconds as they passed")
    if options.json:
        result = {
            "conditions": here,
            "form": form,
            "goal": goal,
            "pace": pace,
            "fields": Look._fields,
            "reference": curve,
            "ours": curves,
        }
        options.json.write_text(json.dumps(result) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours-steps", default="700,1000,1400", metavar="N[,N...]", help="budgets, tried from small to large")
    parser.add_argument("--short", action="store_true", help="stop the reference early; its schedule stays that of all steps")
    parser.add_argument("--reference-minutes", type=float, default=10.0, help="with --short: when the reference stops")
    parser.add_argument("--cache", type=Path, help="a file that keeps the reference's curve, or has it from an earlier run")
    parser.add_argument("--json", type=Path, help="write both curves to this file")
    parser.add_argument("--seed", type=int, default=1)
    try:
        with workers_for(best_device(), torch.get_num_threads()) as workers:
            compare(parser.parse_args(), workers)
    except (RunError, ValueError, OSError) as error:
        sys.exit(f"time_to_loss: {error}")


if __name__ == "__main__":
    main()
