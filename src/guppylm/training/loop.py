"""The training loop, all of it: forward, loss, backward, step; now and then evaluate, keep the weights, save."""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

import torch

from guppylm.checkpoint import RunFolder, TrainingState, load_strictly
from guppylm.config import TrainConfig
from guppylm.data.batches import Batch, Steps
from guppylm.data.tokenizer import Tokenizer
from guppylm.evaluation.loss import Loss, LossReport, reply_nats
from guppylm.inference.engine import reply_to_all
from guppylm.inference.sampling import SamplingConfig
from guppylm.model import Transformer
from guppylm.training.clock import Clock, seconds_left
from guppylm.training.optimizer import Optimizer, schedule
from guppylm.training.progress import Measured, Reporter
from guppylm.training.workers import ALONE, Workers, workers_for

LOSS_SCALE = 1024.0  # in float16: what is smaller than 6e-8 is zero there, and gradients are small
SAVE_SECONDS = 60.0  # between two saves of the training state
SNAPSHOT_AT = (0.0, 0.01, 0.03, 0.08, 0.2, 0.4, 0.7, 1.0)  # of the run: early on, much happens in few steps

Measure = Callable[[Transformer], LossReport | Loss]  # takes a look at the validation rows; a plain Loss knows no floor


def new_optimizer(model: Transformer, config: TrainConfig) -> Optimizer:
    """The optimizer that `config` describes, over all of the model's parameters."""
    precision = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    return Optimizer(model.named_parameters(), config.matrix_learning_rate, config.learning_rate, config.momentum, precision)


class Update(NamedTuple):
    """What one step of learning was like."""

    loss: torch.Tensor  # nats a reply token, before the weights moved
    gradient_norm: torch.Tensor  # of all parameters' gradients together
    tokens: int  # read


def update(
    model: Transformer, optimizer: Optimizer, batches: Steps, config: TrainConfig, step: int, workers: Workers = ALONE
) -> Update:
    """One step of learning: guess, compare, find out which way each weight should go, go."""
    read = batches[step]
    said, weight = (sum(float(batch.weights(first).sum()) for batch in read) for first in (1.0, config.first_token))
    parts = [batch.to(model.token_embedding.weight.device) for batch in read]
    scale = LOSS_SCALE if config.precision == "float16" else 1.0
    shallow = step < config.shallow_steps
    with first_layers(model, max(1, model.config.layers // 3) if shallow else model.config.layers):
        learning = list(model.parameters())

        def study(share: Sequence[Batch]) -> tuple[torch.Tensor, list[torch.Tensor]]:
            """The loss of some of the batches, and its gradients: their parts of the whole step's."""
            loss, total = torch.zeros((), device=learning[0].device), list[torch.Tensor]()
            for batch in share:
                nats = reply_nats(model, batch, config.precision)
                found = list(torch.autograd.grad(nats @ batch.weights(config.first_token) * (scale / weight), learning))
                total = [whole.add_(one) for whole, one in zip(total, found, strict=True)] if total else found
                loss += nats.detach().sum() / said
            return loss, total

        losses, totals = zip(*workers.share(study, parts), strict=True)
    gradients = totals[0]
    for others in totals[1:]:
        workers.share(lambda pairs: [whole.add_(one) for whole, one in pairs], list(zip(gradients, others, strict=True)))
    if scale != 1.0:
        torch._foreach_div_(gradients, scale)
    model.zero_grad(set_to_none=True)
    for p, gradient in zip(learning, gradients, strict=True):
        p.grad = gradient
    norm = torch.nn.utils.get_total_norm(gradients)
    if scale == 1.0 or torch.isfinite(norm):  # what float16 can't hold becomes infinite: such a step is left out
        optimizer.step(step + 1, schedule(step, config), workers)
    return Update(torch.stack(losses).sum(), norm, sum(batch.ids.numel() for batch in parts))


@contextmanager
def first_layers(model: Transformer, count: int) -> Iterator[None]:
    """Inside, the model ends after its first `count` layers. A layer that has learnt nothing adds nothing: it need not run.

    "Efficient Training of BERT by Progressively Stacking" (Gong et al., 2019) began like this, with copies of the layers
    below; ours begin as plain wires, so that nothing changes at the moment when they join.
    """
    blocks = model.blocks
    model.blocks = blocks[:count]
    try:
        yield
    finally:
        model.blocks = blocks


def train(
    model: Transformer,
    tokenizer: Tokenizer,
    batches: Steps,
    measure: Measure,
    prompts: Sequence[str],
    config: TrainConfig,
    folder: RunFolder,
    reporter: Reporter,
    resume: bool = False,
    deadline: float | None = None,
) -> bool:
    """Trains `model` in place up to `config.steps`; with `resume`, from the folder's saved state on.

    With a `deadline` (time.monotonic) the clock decides how many steps (see `Clock`), and config.json is told. Returns false
    if Ctrl-C ended it early; the state is saved then. Raises RunError if it can't be saved.
    """
    clock = None if deadline is None else Clock(time.monotonic(), deadline, config.shallow_steps > 0)
    optimizer = new_optimizer(model, config)
    step = tokens = 0
    seconds = 0.0  # spent on updates: looking and saving are not counted
    if resume:
        state = folder.load_state(model.token_embedding.weight.device)
        load_strictly(model.state_dict(), state.weights, str(folder.path))
        load_strictly(optimizer.state, state.optimizer, str(folder.path))
        step, tokens, seconds = state.step, state.tokens, state.seconds
    for name in ("metrics.jsonl", "samples.jsonl"):
        folder.truncate(name, step if resume else -1)
    looks = Milestones(n / config.evaluations for n in range(config.evaluations + 1))
    snapshots = Milestones(SNAPSHOT_AT)
    gap: float | None = None
    bits_per_byte: float | None = None
    recent: deque[float] = deque(maxlen=20)

    def look() -> None:
        """What is measured and kept between two steps."""
        nonlocal gap, bits_per_byte
        if looks.passed(step, config.steps):
            report = measure(model)
            entry = {"validation_loss": report.loss_nats}
            if isinstance(report, LossReport):
                gap = report.gap_nats
                entry |= {"floor": report.floor_nats, "gap": gap}
            else:
                entry["bits_per_byte"] = bits_per_byte = report.bits_per_byte
            folder.append("metrics.jsonl", {"step": step, "tokens": tokens, "seconds": round(seconds, 3), **entry})
        if snapshots.passed(step, config.steps):
            folder.save_weights_along_the_way(step, model.state_dict())
            replies = reply_to_all(model, tokenizer, prompts, SamplingConfig(), config.seed)
            for prompt, reply in zip(prompts, replies, strict=True):
                folder.append("samples.jsonl", {"step": step, "tokens": tokens, "prompt": prompt, "reply": reply.text})

    def save() -> None:
        if clock is not None:
            folder.fix(config)  # as it is thought now: a run that ends here goes on towards that
        folder.save_state(TrainingState(step, tokens, seconds, model.state_dict(), optimizer.state))

    last_save = time.monotonic()
    with _ctrl_c_noted() as stop_wanted, workers_for(model.token_embedding.weight.device, config.batches_per_step) as workers:
        if resume:
            looks.passed(step, config.steps)
            snapshots.passed(step, config.steps)
        else:
            look()
        while step < config.steps and not stop_wanted():
            started = time.perf_counter()
            done = update(model, optimizer, batches, config, step, workers)
            nats = float(done.loss)
            elapsed = time.perf_counter() - started
            step, tokens, seconds = step + 1, tokens + done.tokens, seconds + elapsed
            recent.append(nats)
            rate = schedule(step - 1, config)
            if clock is not None and not clock.decided:
                config = clock.plan(step, config)
                if clock.decided:
                    folder.fix(config)
                    reporter.say(
                        f"{config.steps:,} steps fill the time, {config.shallow_steps:,} of them with the first layers only"
                    )
            entry = {
                "loss": round(nats, 5),
                "learning_rate": round(config.matrix_learning_rate * rate, 7),
                "gradient_norm": round(float(done.gradient_norm), 5),
            }
            folder.append(
                "metrics.jsonl",
                {
                    "step": step,
                    "tokens": tokens,
                    "seconds": round(seconds, 3),
                    **entry,
                    "tokens_per_second": round(done.tokens / elapsed),
                },
            )
            look()
            left = seconds_left(step, seconds, config)
            mean = sum(recent) / len(recent)
            reporter.step(Measured(step, config.steps, mean, gap, tokens / seconds, left, bits_per_byte))
            if time.monotonic() - last_save > SAVE_SECONDS:
                save()
                last_save = time.monotonic()
        save()
    return step == config.steps


class Milestones:
    """Shares of a run at which something is due, though its number of steps may still change."""

    def __init__(self, shares: Iterable[float]) -> None:
        self._ahead = sorted(shares)

    def passed(self, step: int, steps: int) -> bool:
        """Whether the run has passed one of them, or several, since it was asked last."""
        due = [share for share in self._ahead if round(steps * share) <= step]
        self._ahead = self._ahead[len(due) :]
        return bool(due)


@contextmanager
def _ctrl_c_noted() -> Iterator[Callable[[], bool]]:
    """Inside, Ctrl-C is only noted, so that a step and a save are never cut in two; a second Ctrl-C ends at once.

    Only the main thread may do this; elsewhere Ctrl-C works as always, and the last save stands.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    noted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal noted
        if noted:
            raise KeyboardInterrupt
        noted = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: noted
    finally:
        signal.signal(signal.SIGINT, before)
