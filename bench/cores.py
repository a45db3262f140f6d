"""A step of training with the cores together at every product, and with each at its own batches: `python bench/cores.py`.

Both take their steps in turn, so that a slow moment of the machine hits both; medians. Random tokens: what they say does not
matter to the clock.
"""

import time
from random import Random
from statistics import median

import torch

from guppylm.config import TrainConfig, preset
from guppylm.data.batches import Batches
from guppylm.data.tokenizer import Rendered
from guppylm.training.loop import new_optimizer, update
from guppylm.training.run import best_device, fastest_precision, new_model
from guppylm.training.workers import Workers, workers_for

STEPS = 30  # of each kind


def rows(count: int, vocabulary: int) -> list[Rendered]:
    """Conversations as long as Guppy's, of random tokens."""
    random = Random(1)
    lengths = [random.randint(14, 38) for _ in range(count)]
    return [Rendered([random.randrange(vocabulary) for _ in range(n)], [at > n // 2 for at in range(n)]) for n in lengths]


def main() -> None:
    """Prints the seconds of a step, for both kinds of steps."""
    config = preset("guppy")
    model = new_model(config, 1)
    precision, all_cores = fastest_precision(best_device()), torch.get_num_threads()
    workers = workers_for(best_device(), TrainConfig().batches_per_step)
    print(f"torch {torch.__version__}, {precision}, {all_cores} threads, {workers.count} workers; milliseconds a step")
    for name, shallow in (("first layers only", STEPS), ("all layers", 0)):
        train = TrainConfig(steps=2 * STEPS + 1, shallow_steps=2 * shallow, precision=precision)
        optimizer, batches = new_optimizer(model, train), Batches(rows(20_000, config.vocabulary_size), train, config.context)
        taken: dict[str, list[float]] = {"together": [], "apart": []}
        with workers:
            for step in range(2 * STEPS):
                how = "apart" if step % 2 else "together"
                torch.set_num_threads(1 if how == "apart" else all_cores)
                began = time.perf_counter()
                float(update(model, optimizer, batches, train, step, workers if how == "apart" else Workers()).loss)
                taken[how].append(time.perf_counter() - began)
        together, apart = (1000 * median(seconds[5:]) for seconds in taken.values())
        print(f"{name:18} together {together:4.0f}, apart {apart:4.0f}: {together / apart:.2f} times as fast")


if __name__ == "__main__":
    main()
