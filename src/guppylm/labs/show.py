"""A lab on the terminal: curves drawn in letters, and the figures."""

import math
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from guppylm.labs.lab import Lab
from guppylm.labs.result import Figures, Look, Result

MARKS = "o×+"  # the arms, in their order; where two meet stands the first one's
GRAVEL = "░"
WIDTH, HEIGHT = 60, 12  # of a plot, in characters


def letters(lab: Lab) -> list[tuple[str, str]]:
    """The choices, each with its letter."""
    return [("abcdef"[number], choice) for number, choice in enumerate(lab.choices)]


def question_lines(lab: Lab) -> list[str]:
    """What is changed, and what is asked."""
    return [
        lab.title,
        "",
        f"the change ({lab.where}):",
        "",
        *(f"    {line}".rstrip() for line in lab.change.strip().splitlines()),
        "",
        lab.question,
        "",
        *(f"  {letter}  {choice}" for letter, choice in letters(lab)),
    ]


def answer_lines(lab: Lab, result: Result, predicted: str | None) -> list[str]:
    """How the prediction did, the lesson in figures, and the reason."""
    came, choice = letters(lab)[lab.came]
    told = "" if predicted is None else f"you said {predicted}: {'right' if predicted == came else 'not this time'}. "
    lesson = lab.lesson(result)
    if not lesson.holds:  # then nobody was right or wrong
        return [f"expected was {came}: {choice}.", f"this run does not bear it out: {lesson.says}"]
    return [f"{told}it is {came}: {choice}.", lesson.says, lab.why]


def seed_lines(lab: Lab, results: Sequence[Result]) -> list[str]:
    """The main figures of every seed, side by side."""
    lines = [f"seeds {', '.join(f'{result.seed}' for result in results)}:"]
    for number, arm in enumerate(results[0].arms):
        gaps = " ".join(f"{result.arms[number].gap:.3f}" for result in results)
        shares = " ".join(f"{result.arms[number].on_topic:.2f}" for result in results)
        lines.append(f"  {arm.arm:32} gap {gaps}   on topic {shares}")
    held = sum(lab.lesson(result).holds for result in results)
    return [*lines, f"  the lesson holds for {held} of {len(results)}"]


def plot(arms: Sequence[Figures], title: str, value: Callable[[Look], float]) -> list[str]:
    """A curve for each arm over the share of its training, with the floor as gravel. Height is nats, from 0 up."""
    values = [[value(look) for look in arm.curve] for arm in arms]
    top = max([number for row in values for number in row if math.isfinite(number)], default=1.0)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    ground = _row(arms[0].floor, top)
    for row in grid[ground:]:
        row[:] = GRAVEL * WIDTH
    for mark, arm, numbers in reversed(list(zip(MARKS, arms, values, strict=False))):
        for look, number in zip(arm.curve, numbers, strict=True):
            if math.isfinite(number):
                grid[_row(number, top)][round((WIDTH - 1) * look.step / arm.steps)] = mark
    scale = {0: top, ground: arms[0].floor, HEIGHT - 1: 0.0}
    lines = [f"{scale[y]:6.2f} │{''.join(row)}" if y in scale else f"{'':6} │{''.join(row)}" for y, row in enumerate(grid)]
    legend = "   ".join(f"{mark} {arm.arm}" for mark, arm in zip(MARKS, arms, strict=False))
    head = f"{title}, nats a token   {legend}   {GRAVEL} below the floor"
    return [head, *lines, f"{'':6} └{'─' * WIDTH} {arms[0].steps} steps"]


def show(result: Result, console: Console) -> None:
    """Curves and figures."""
    for title, value in (("training loss", _training), ("validation loss", _validation)):
        console.print("\n".join(plot(result.arms, title, value)) + "\n", soft_wrap=True)
    table = Table("", *(arm.arm for arm in result.arms))
    for label, cell in FIGURES.items():
        table.add_row(label, *(cell(arm) for arm in result.arms))
    console.print(table)


FIGURES: dict[str, Callable[[Figures], str]] = {
    "training loss, last tenth": lambda arm: f"{arm.training:.3f}",
    "validation loss": lambda arm: f"{arm.validation:.3f}",
    "floor": lambda arm: f"{arm.floor:.3f}",
    "gap": lambda arm: f"{arm.gap:.3f}",
    "bits per byte": lambda arm: f"{arm.bits_per_byte:.3f}",
    "on topic": lambda arm: f"{arm.on_topic:.0%}",
    "on topic, unseen asks": lambda arm: f"{arm.on_topic_unseen:.0%}",
    "on topic, IN CAPITALS": lambda arm: f"{arm.on_topic_capitals:.0%}",
    "sentences of the sheet": lambda arm: f"{arm.sentences:.0%}",
    "word for word from its rows": lambda arm: f"{arm.recited:.0%}",
    "parameters": lambda arm: f"{arm.parameters:,}",
    "steps": lambda arm: f"{arm.steps:,}",
    "tokens read": lambda arm: f"{arm.tokens:,}",
}


def _row(number: float, top: float) -> int:
    """The line of a plot that this value belongs to; the first one is the highest."""
    return min(HEIGHT - 1, max(0, round((HEIGHT - 1) * (1 - number / top))))


def _training(look: Look) -> float:
    return look.training


def _validation(look: Look) -> float:
    return look.validation
