"""The pictures of the course, from the real values of a run.

    python docs/pictures/make.py runs/guppy

Without a run folder: the newest one, or the fish that ships. Each picture states its figures in a sentence, which is
printed and stands in the file.
"""

import sys
from pathlib import Path

from around import data, evaluating, learning, loss, sampling, tokens
from example import Example
from inside import attention, mlp, stream, vectors, whole

from guppylm.fish import load


def make(example: Example, folder: Path) -> None:
    """Writes every picture into this folder."""
    for drawn in (whole, data, tokens, vectors, attention, mlp, stream, loss, learning, sampling, evaluating):
        picture = drawn(example)
        path = folder / f"{drawn.__name__}.svg"
        path.write_text(picture.svg(), encoding="utf-8")
        print(f"{path.name}: {picture.says}")


if __name__ == "__main__":
    make(Example(load(sys.argv[1] if len(sys.argv) > 1 else None)), Path(__file__).parent)
