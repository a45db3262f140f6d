"""What an exported fish brings along of its past: earlier weights, the loss, how often it read each token, what it read.

Each function adds files to `files` and returns what the manifest says about them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from guppylm.checkpoint import RunFolder
from guppylm.data.batches import Batches
from guppylm.data.tokenizer import Tokenizer
from guppylm.errors import RunError
from guppylm.evaluation.rows import rows_of
from guppylm.export.onnx_seen import seen
from guppylm.export.onnx_weights import Layout

CHECKPOINTS = 4
CURVE = 300  # points of the loss curve, at most


def steps_done(run: RunFolder) -> int:
    """How many steps the fish has learnt for."""
    return max((int(entry["step"]) for entry in run.lines("metrics.jsonl")), default=run.config().train.steps)


def add_checkpoints(run: RunFolder, layout: Layout, files: dict[str, bytes]) -> list[dict[str, Any]]:
    """The weights of a few earlier steps. The last of all are weights.q8 itself, and are not added again."""
    metrics = list(run.lines("metrics.jsonl"))
    losses = {int(entry["step"]): float(entry["loss"]) for entry in metrics if "loss" in entry}
    tokens = {int(entry["step"]): int(entry["tokens"]) for entry in metrics}
    kept = {int(path.stem.removeprefix("step_")): path.name for path in (run.path / "checkpoints").glob("step_*.safetensors")}
    told = []
    for step in spread(sorted(kept.keys() & tokens.keys()), losses, CHECKPOINTS):
        file = "weights.q8"
        if step != max(tokens):
            file = f"checkpoints/{step}.q8"
            files[file] = layout.quantised(run.model(f"checkpoints/{kept[step]}").state_dict())
        told.append({"step": step, "tokens": tokens[step], "file": file})
    return told


def spread(steps: Sequence[int], losses: Mapping[int, float], count: int) -> list[int]:
    """At most `count` of `steps`, first and last among them: from one to the next the loss falls by about the same factor.

    `losses` are those of single steps, which differ by chance: five together stand for one. Early on much is learnt in few
    steps, so steps as far apart as each other would show a baby and then three adults.
    """
    if len(steps) <= count:
        return list(steps)

    def log_loss(step: int) -> float:
        middle = max(step, 1)  # nothing is learnt in step 0
        return math.log(np.mean([losses[n] for n in range(middle - 2, middle + 3) if n in losses]))

    first, last, between = log_loss(steps[0]), log_loss(steps[-1]), list(steps[1:-1])
    chosen = [steps[0], steps[-1]]
    for part in range(1, count - 1):
        wanted = first + (last - first) * part / (count - 1)
        nearest = min(between, key=lambda step: abs(log_loss(step) - wanted))
        between.remove(nearest)
        chosen.append(nearest)
    return sorted(chosen)


def add_history(run: RunFolder, tokenizer: Tokenizer, files: dict[str, bytes]) -> dict[str, Any]:
    """metrics.json, counts.json, seen.bin. What can't be had any more is null; `missing` says why."""
    told: dict[str, Any] = {"metrics": None, "counts": None, "seen": None, "missing": {}}
    metrics = list(run.lines("metrics.jsonl"))
    if metrics:
        files["metrics.json"] = json.dumps(thinned(metrics)).encode()
        told["metrics"] = {"file": "metrics.json"}
    else:
        told["missing"]["metrics"] = "the run has no metrics.jsonl"
    try:
        rows = rows_of(run, "train")
    except (RunError, ValueError) as error:
        told["missing"] |= {"counts": str(error), "seen": str(error)}
        return told
    config, steps = run.config(), steps_done(run)
    batches = Batches(tokenizer.render_all([(row.prompt, row.reply) for row in rows]), config.train, config.model.context)
    read = batches.rows_read(steps)
    files["seen.bin"], told["seen"] = seen([row for number, row in enumerate(rows) if number in read])
    counts = token_counts(batches, steps, config.model.vocabulary_size)
    files["counts.json"] = json.dumps(counts).encode()
    told["counts"] = {"file": "counts.json", "total": sum(counts)}
    return told


def token_counts(batches: Batches, steps: int, size: int) -> list[int]:
    """How often the first `steps` steps met each token, by its id: read, or, as the end of a reply, to be said."""
    total = torch.zeros(size, dtype=torch.long)
    for step in range(steps):
        for batch in batches[step]:
            places = torch.arange(batch.ids.shape[1])
            last = (batch.counts * places).amax(1, keepdim=True)  # where the end is to be said; behind it is padding
            total += torch.bincount(batch.ids[places <= last], minlength=size)
            total += torch.bincount(batch.targets.gather(1, last)[:, 0], minlength=size)
    counts: list[int] = total.tolist()
    return counts


def thinned(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The loss of at most 300 steps, denser at the beginning, where it falls fast, and every look at the validation rows."""
    learnt = [entry for entry in metrics if "loss" in entry]
    looks = [entry for entry in metrics if "validation_loss" in entry]
    places: list[int] = []
    if learnt:
        evenly, early = np.linspace(0, len(learnt) - 1, CURVE // 2), np.geomspace(1, len(learnt), CURVE // 2) - 1
        places = sorted({round(place) for place in (*evenly, *early)})
    return {
        "loss": [{key: learnt[place][key] for key in ("step", "tokens", "loss")} for place in places],
        "looks": [
            {"step": look["step"], "tokens": look["tokens"], "loss": look["validation_loss"], "gap": look["gap"]}
            for look in looks
        ],
        "floor": looks[-1]["floor"] if looks else None,
    }
