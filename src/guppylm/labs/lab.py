"""What a lab is: a question, a change of a few lines, and a lesson that its figures must bear out."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from textwrap import dedent
from typing import NamedTuple

from guppylm.labs.recipe import Data, Recipe
from guppylm.labs.result import Figures, Result
from guppylm.labs.training import STEPS, as_many_seconds, machine, train_arm
from guppylm.training.progress import Reporter, Silent

PLAIN = Recipe()


class Lesson(NamedTuple):
    """Whether the figures say what the lab teaches, and how they say it."""

    holds: bool
    says: str


@dataclass(frozen=True)
class Lab:
    """One experiment."""

    name: str
    title: str
    question: str
    choices: tuple[str, ...]  # of the prediction
    came: int  # which of them came true
    where: str  # the place in the package that the change is about
    why: str  # what comes out, and the reason
    changed: Recipe
    lesson: Callable[[Result], Lesson]
    plain: Recipe = PLAIN  # what it is compared with
    shown: tuple[Callable[..., object], ...] = ()  # more of what runs, if the recipe alone does not tell
    same_seconds: bool = False  # a third arm: the changed one again, for as many seconds as the plain one took
    core: bool = False

    @property
    def change(self) -> str:
        """The changed lines: the source of what runs."""
        recipes = (type(recipe) for recipe in (self.plain, self.changed) if type(recipe) is not Recipe)
        pieces: list[Callable[..., object]] = [*self.shown, *recipes]
        return "\n".join(dedent(inspect.getsource(piece)) for piece in pieces)


def carry_out(
    lab: Lab,
    data: Data,
    seed: int,
    steps: int = STEPS,
    reporter: Reporter | None = None,
    known: dict[str, Figures] | None = None,
) -> Result:
    """Trains the lab's arms, from one seed and with one budget. About half a minute an arm on two cores.

    `known`: arms that were trained before with this seed and these steps, by name; what is trained now is added to it.
    """
    reporter = reporter or Silent()
    known = {} if known is None else known
    for recipe in (lab.plain, lab.changed):
        if recipe.name not in known:
            reporter.say(f"{lab.name}: training the arm {recipe.name!r}, seed {seed}")
            known[recipe.name] = train_arm(recipe, data, seed, steps, reporter)
    plain, changed = known[lab.plain.name], known[lab.changed.name]
    arms = [plain, changed]
    if lab.same_seconds:
        again = as_many_seconds(lab.plain, lab.changed, data, seed, steps)
        reporter.say(f"{lab.name}: the arm {changed.arm!r} again, {again} steps, which take as long as the plain arm took")
        timed = train_arm(lab.changed, data, seed, again, reporter)
        arms.append(replace(timed, arm=f"{changed.arm}, same seconds"))
    return Result(lab.name, seed, machine(), tuple(arms))
