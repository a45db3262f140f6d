"""Trains an arm of a lab with the project's own loop body, and measures what came of it."""

import platform
import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import torch

from guppylm.config import TrainConfig
from guppylm.data.batches import Batches
from guppylm.data.conversations import Row
from guppylm.data.tokenizer import Tokenizer
from guppylm.evaluation.loss import LossReport
from guppylm.evaluation.statistics import Share
from guppylm.labs.recipe import Data, Recipe, parameters
from guppylm.labs.result import Figures, Look
from guppylm.model import Transformer
from guppylm.training.loop import new_optimizer, update
from guppylm.training.optimizer import Optimizer
from guppylm.training.progress import Measured, Reporter, Silent

STEPS = 400  # of about 2,048 tokens: a fry talks after them
LOOKS = 16  # at the validation rows along the way
LOOK_ROWS = 128  # of them
TIMED = 40  # steps of each arm, where two arms get the same time
ASKED = 200  # prompts of each kind that are answered in the end


def train_arm(recipe: Recipe, data: Data, seed: int, steps: int = STEPS, reporter: Reporter | None = None) -> Figures:
    """Trains one arm on the processor, in float32, so that a seed gives the same figures everywhere up to rounding.

    Nothing is written. Raises KeyboardInterrupt if somebody stops it.
    """
    reporter = reporter or Silent()
    rows = recipe.rows(data)
    tokenizer, config, model, batches, optimizer = _set_up(recipe, data, seed, steps)
    looks = {round(config.steps * n / LOOKS) for n in range(LOOKS + 1)}
    losses: list[float] = []
    curve: list[Look] = []
    tokens, seconds = 0, 0.0
    for step in range(config.steps + 1):
        if step in looks:
            since = losses[curve[-1].step :] if curve else []
            report = _report(recipe, model, tokenizer, data.validation[:LOOK_ROWS])
            curve.append(Look(step, _mean(since), report.loss_nats))
        if step == config.steps:
            break
        began = time.perf_counter()
        done = update(model, optimizer, batches, config, step)
        losses.append(float(done.loss))
        seconds += time.perf_counter() - began
        tokens += done.tokens
        left = (config.steps - step - 1) * seconds / (step + 1)
        gap = curve[-1].validation - report.floor_nats
        reporter.step(Measured(step + 1, config.steps, _mean(losses[-20:]), gap, tokens / seconds, left))
    curve[0] = curve[0]._replace(training=losses[0])
    report = _report(recipe, model, tokenizer, data.validation)
    shown = recipe.replies(model, tokenizer, data.prompts, seed)
    seen, unseen = data.validation[:ASKED], data.unseen[:ASKED]
    replies = recipe.replies(model, tokenizer, [row.prompt for row in seen], seed)
    to_unseen = recipe.replies(model, tokenizer, [row.prompt for row in unseen], seed)
    to_capitals = recipe.replies(model, tokenizer, [row.prompt.upper() for row in seen], seed)
    taught = {row.reply for row in rows}
    return Figures(
        arm=recipe.name,
        parameters=parameters(model),
        steps=config.steps,
        tokens=tokens,
        curve=tuple(curve),
        training=_mean(losses[-max(1, config.steps // 10) :]),
        validation=report.loss_nats,
        floor=report.floor_nats,
        bits_per_byte=report.bits_per_byte,
        asked=len(seen),
        on_topic=_share(data.judge.on_topic(seen, replies)),
        on_topic_unseen=_share(data.judge.on_topic(unseen, to_unseen)),
        on_topic_capitals=_share(data.judge.on_topic(seen, to_capitals)),
        sentences=_share([bool(data.judge.sayers(reply)) for reply in replies]),
        recited=_share([reply in taught for reply in replies]),
        replies=dict(zip(data.prompts, shown, strict=True)),
    )


def machine() -> str:
    """What the arms were trained on: figures are the same there, and up to rounding elsewhere."""
    threads = torch.get_num_threads()
    return f"{platform.machine()}, {threads} thread{'s' * (threads > 1)}, PyTorch {torch.__version__}"


def as_many_seconds(plain: Recipe, other: Recipe, data: Data, seed: int, steps: int) -> int:
    """How many steps `other` takes in the time of `steps` of `plain`.

    Both take some on throw-away weights, in turn, so that a slow moment of the machine hits both alike.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    arms = [_set_up(recipe, data, seed, steps) for recipe in (plain, other)]
    for step in range(min(TIMED, steps)):
        for arm, taken in zip(arms, seconds, strict=True):
            began = time.perf_counter()
            float(update(arm.model, arm.optimizer, arm.batches, arm.config, step).loss)
            taken.append(time.perf_counter() - began)
    return max(1, round(steps * median(seconds[0]) / median(seconds[1])))


class _Arm(NamedTuple):
    tokenizer: Tokenizer
    config: TrainConfig
    model: Transformer
    batches: Batches
    optimizer: Optimizer


def _set_up(recipe: Recipe, data: Data, seed: int, steps: int) -> _Arm:
    pairs = [(row.prompt, row.reply) for row in recipe.rows(data)]
    tokenizer = recipe.tokenizer(pairs)
    config = recipe.training(TrainConfig(steps=steps, seed=seed))
    model = recipe.model(tokenizer, seed)
    batches = Batches(recipe.render(tokenizer, pairs), config, model.config.context)
    return _Arm(tokenizer, config, model, batches, new_optimizer(model, config))


def _report(recipe: Recipe, model: Transformer, tokenizer: Tokenizer, rows: Sequence[Row]) -> LossReport:
    return LossReport.of(rows, *recipe.losses(model, tokenizer, rows))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")


def _share(cases: Sequence[bool]) -> float:
    return Share.of(cases).value
