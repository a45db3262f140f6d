"""The curves of all recorded labs in one picture: `python docs/pictures/labs.py` draws docs/pictures/labs/loss.svg."""

import math
from pathlib import Path

from draw import ACCENT, GRAVEL, INK, LINE, MARGIN, QUIET, Picture

from guppylm.labs import LABS, Lab, Result, recorded

COLUMNS, WIDE, HIGH, BETWEEN = 4, 154, 84, 18  # panels, in pixels
LOWEST, HIGHEST = 0.1, 10.0  # nats; what lies below is drawn at the edge


def labs() -> Picture:
    """Validation loss over steps, plain and changed, seed 1, one panel a lab."""
    pairs = [(lab, recorded(lab.name)[0]) for lab in LABS if recorded(lab.name)]
    ends = "; ".join(f"{lab.name} {result.arms[1].validation:.2f} ({result.arms[0].validation:.2f})" for lab, result in pairs)
    picture = Picture("What each lab does to the loss", f"Validation loss in the end, changed (plain): {ends}.", 720)
    picture.note(60, "loss on validation rows, nats a token (0.1 to 10, logarithmic), over 400 steps; seed 1")
    for place, (lab, result) in enumerate(pairs):
        row, column = divmod(place, COLUMNS)
        _panel(picture, MARGIN + column * (WIDE + BETWEEN), 84 + row * (HIGH + 40), lab, result)
    below = 84 + -(-len(pairs) // COLUMNS) * (HIGH + 40)
    for x, colour, says in (
        (MARGIN, QUIET, "plain"),
        (MARGIN + 90, ACCENT, "changed"),
        (MARGIN + 200, GRAVEL, "the floor of plain"),
    ):
        picture.line([(x, below), (x + 20, below)], colour, 2, dashed=colour == GRAVEL)
        picture.text(x + 26, below + 4, says, 12, colour=INK)
    return picture


def _panel(picture: Picture, left: float, top: float, lab: Lab, result: Result) -> None:
    picture.text(left, top + 10, lab.name, 12, weight=600)
    bottom = top + 18 + HIGH

    def height(nats: float) -> float:
        share = math.log(min(max(nats, LOWEST), HIGHEST) / LOWEST) / math.log(HIGHEST / LOWEST)
        return bottom - HIGH * share

    picture.line([(left, bottom), (left + WIDE, bottom)], LINE)
    picture.line([(left, height(result.arms[0].floor)), (left + WIDE, height(result.arms[0].floor))], GRAVEL, 1, dashed=True)
    for arm, colour in zip(result.arms[:2], (QUIET, ACCENT), strict=True):
        picture.line([(left + WIDE * look.step / arm.steps, height(look.validation)) for look in arm.curve], colour, 2)


if __name__ == "__main__":
    drawn = labs()
    path = Path(__file__).parent / "labs" / "loss.svg"
    path.write_text(drawn.svg(), encoding="utf-8")
    print(f"{path.name}: {drawn.says}")
