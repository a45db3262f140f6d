"""What heads look at, and the castle's way to the answer: `python bench/inside.py RUN --write` measures and draws them."""

from collections.abc import Mapping, Sequence

from draw import ACCENT, INK, MARGIN, QUIET, WARM, Picture
from example import name
from torch import Tensor

from guppylm.interpretability.follow import Followed

ROW = 24  # pixels from one line of cells to the next


def heads(scores: Mapping[str, Tensor]) -> Picture:
    """One square for each thing that heads look at: layers by heads."""
    best = []
    for what, shares in scores.items():
        layer, head = divmod(int(shares.argmax()), shares.shape[1])
        best.append(f"{what}: layer {layer}, head {head}, {float(shares.max()):.2f}")
    says = f"The head that looks there most. {'; '.join(best)}."
    picture = Picture("What heads look at: each head's mean share of attention", says)
    wide = (720 - 2 * MARGIN) / len(scores)
    for column, (what, shares) in enumerate(scores.items()):
        x, cell = MARGIN + column * wide + 26, (wide - 40) / shares.shape[1]
        picture.text(x, 66, what, 13, weight=600)
        for head in range(shares.shape[1]):
            picture.text(x + (head + 0.5) * cell, 86, str(head), 12, "middle", QUIET)
        for layer, line in enumerate(shares.tolist()):
            picture.text(x - 8, 109 + layer * ROW, str(layer), 12, "end", QUIET)
            cells(picture, x, 93 + layer * ROW, cell, line)
    below = 93 + len(next(iter(scores.values()))) * ROW + 24
    picture.note(below, "Lines are layers, columns are heads. " + says)
    return picture


def way(word: Followed, opening: Followed) -> Picture:
    """At which place the difference between two texts is carried, stage by stage."""
    last = [name(case.look.texts[-1]) for case in (word, opening)]
    says = (
        f"What makes “{word.case.right.strip()}” likelier than “{word.case.wrong.strip()}” starts at "
        f"{name(word.look.texts[word.places[0]])} and ends at {last[0]}; what makes the reply open with "
        f"“{opening.case.right}” ends at {last[1]}."
    )
    picture = Picture("Where the difference is carried: share moved by a patch", says)
    left, cell = 118, (720 - 118 - MARGIN - 24) / (len(word.places) + len(opening.places))
    for row, stage in enumerate(word.look.stages):
        layer = stage.split(".")[1] if "." in stage else ""
        label = f"{layer}: attention" if stage.endswith("middle") else f"{layer}: MLP" if layer else "embedded"
        picture.text(left - 8, 118 + row * ROW, label, 12, "end", QUIET)
    x = float(left)
    for case in (word, opening):
        picture.text(x, 66, f"“{case.case.right.strip()}”, not “{case.case.wrong.strip()}”", 13, weight=600)
        for place, position in enumerate(case.places):
            picture.text(x + (place + 0.5) * cell, 90, name(case.look.texts[position]), 11, "middle")
        for row, shares in enumerate(case.stages):
            cells(picture, x, 102 + row * ROW, cell, shares)
        x += len(case.places) * cell + 24
    texts = [[f"“{f'{text} → {case.case.said}'.removesuffix(' → ')}”" for text in case.case[:2]] for case in (word, opening)]
    notes = [" against ".join(pair) for pair in texts]
    picture.note(102 + len(word.look.stages) * ROW + 22, f"Left: {notes[0]}. Right: {notes[1]}.", says)
    return picture


def cells(picture: Picture, x: float, y: float, wide: float, values: Sequence[float]) -> None:
    """A line of numbers, the stronger the darker."""
    for column, value in enumerate(round(value, 2) + 0 for value in values):  # + 0: no minus zero
        strength = min(abs(value), 1)
        picture.box(x + column * wide, y, wide - 2, ROW - 2, ACCENT if value >= 0 else WARM, 0.06 + 0.94 * strength)
        colour = "#ffffff" if strength > 0.55 else INK
        picture.text(x + (column + 0.5) * wide - 1, y + 15, f"{value:.2f}", 11, "middle", colour)
