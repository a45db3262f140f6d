"""Makes the fish that ships: a run, in half precision and without its data, in the package, scored as it lies there.

guppylm train --minutes 60 --seed 1 --out runs/shipped
python bench/ship.py runs/shipped
"""

import dataclasses
import json
import sys
from pathlib import Path

from guppylm.checkpoint import CONFIG, SCORECARD, TOKENIZER, WEIGHTS, RunFolder, serialised
from guppylm.evaluation.scorecard import evaluate
from guppylm.fish import SHIPPED, load
from guppylm.report import write_report

LINES = 300  # of metrics.jsonl that stay: enough for its curves


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    run = RunFolder(Path(sys.argv[1]))
    config = run.config()
    name = Path(config.character).name
    shipped = RunFolder(SHIPPED / name)
    shipped.create(overwrite=True)
    (shipped.path / "checkpoints").rmdir()
    shipped.write(CONFIG, run.read(CONFIG))
    shipped.write(TOKENIZER, run.read(TOKENIZER))
    shipped.write(WEIGHTS, serialised({name: tensor.half() for name, tensor in run.model().state_dict().items()}))
    shipped.write("samples.jsonl", run.read("samples.jsonl"))
    entries = list(run.lines("metrics.jsonl"))
    steps, looks = ([e for e in entries if key in e] for key in ("loss", "gap"))
    every = max(1, len(steps) // LINES)
    kept = sorted([*steps[::every], steps[-1], *looks], key=lambda entry: entry["step"])
    shipped.write("metrics.jsonl", "".join(json.dumps(entry) + "\n" for entry in kept))
    card = dataclasses.replace(evaluate(load(shipped.path)), run=name)
    shipped.write(SCORECARD, json.dumps(card.to_dict(), indent=2) + "\n")
    write_report(shipped)
    size = sum(file.stat().st_size for file in shipped.path.iterdir()) / 1e6
    gap, on_topic = card.losses["test_fresh"].gap_nats, card.on_topic["0.7"].value
    print(f"{shipped.path}: {size:.1f} MB, gap {gap:.3f}, on topic {on_topic:.3f}")


if __name__ == "__main__":
    main()
