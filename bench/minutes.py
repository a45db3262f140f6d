"""How good the fish is after so many minutes: trains and scores one for each number of minutes and each seed.

python bench/minutes.py OUT --minutes 2,5,10,20,40 --seeds 1,2,3

The run folders stay in OUT. What is there already is not trained again, so this can be stopped and called again. Nothing
else should run on the machine: the clock decides how much each fish learns.
"""

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median

import torch

from guppylm.checkpoint import SCORECARD, RunFolder

FIGURES = {
    "gap, fresh": ("losses", "test_fresh", "gap_nats"),
    "gap, unseen asks": ("losses", "test_unseen_ask", "gap_nats"),
    "on topic": ("on_topic", "0.7", "value"),
    "slot echo": ("slot_echo", "test_fresh", "value"),
}


def measure(folder: Path, minutes: str, seed: str) -> dict[str, float]:
    """Trains and scores, as far as that has not been done; returns the figures and the number of steps."""
    run = RunFolder(folder)
    if not (folder / SCORECARD).exists():
        command = ["train", "--minutes", minutes, "--seed", seed, "--overwrite", "--out", str(folder)]
        for arguments in (command, ["eval", str(folder)]):
            subprocess.run([sys.executable, "-m", "guppylm", *arguments], check=True, stdout=subprocess.DEVNULL)
    card = json.loads(run.read(SCORECARD))
    figures = {label: float(card[first][second][third]) for label, (first, second, third) in FIGURES.items()}
    return {"steps": float(run.config().train.steps), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", default="2,5,10,20,40")
    parser.add_argument("--seeds", default="1")
    options = parser.parse_args()
    seeds = options.seeds.split(",")
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}, seeds {options.seeds}")
    print("| minutes | steps | " + " | ".join(FIGURES) + " |\n|" + "---|" * (len(FIGURES) + 2))
    for minutes in options.minutes.split(","):
        found = [measure(options.out / f"minutes_{minutes}_seed_{seed}", minutes, seed) for seed in seeds]
        middle = {label: median(figures[label] for figures in found) for label in found[0]}
        figures = " | ".join(f"{middle[label]:.3f}" for label in FIGURES)
        print(f"| {minutes} | {middle['steps']:,.0f} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
