"""What an exercise is: a function to write, inputs to try it on, and the mistakes that it knows by what they compute."""

import inspect
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from guppylm.fish import Fish

Function = Callable[..., Any]


class Case(NamedTuple):
    """One input."""

    name: str
    inputs: tuple[Any, ...]


class Mistake(NamedTuple):
    """A mistake that many make. It is recognised by its outputs: nobody's source is read."""

    name: str
    hint: str
    wrong: tuple[Function, ...]  # ways to make it


class Said(NamedTuple):
    """What a fish says to `prompt` with our code, and with the learner's in its place."""

    prompt: str
    ours: str
    theirs: str
    before: str = ""  # what it said before it was taught, if it is


class Raised(NamedTuple):
    """What came instead of an output."""

    error: BaseException


def call(function: Function, *inputs: Any) -> Any:
    """The plain way to try a function."""
    return function(*inputs)


@dataclass(frozen=True)
class Exercise:
    """One function of the fish, to be written by the learner."""

    name: str
    title: str
    right: Function  # ours
    cases: Callable[[torch.Generator], list[Case]]
    mistakes: tuple[Mistake, ...]
    where: Function | type  # where guppylm itself does it
    swapped: str  # what stands in the fish for the trial
    trial: "Callable[[Fish, Function], list[Said]]"  # a fish with the learner's function in place of ours
    drive: Function = call  # (function, *inputs) -> outcome
    in_place: bool = False  # it may change what it is given

    @property
    def function(self) -> str:
        """The name of the function to write, and of its file."""
        return self.name.replace("-", "_")

    def outcomes(self, function: Function) -> list[Any]:
        """What `function` makes of each case, or what it raised."""
        return [self._outcome(function, case) for case in self.all_cases()]

    def all_cases(self) -> list[Case]:
        """The same inputs every time."""
        return self.cases(torch.Generator().manual_seed(1))

    def _outcome(self, function: Function, case: Case) -> Any:
        inputs = deepcopy(case.inputs)
        try:
            outcome = self.drive(function, *inputs)
        except (Exception, SystemExit) as error:
            return Raised(error)
        if not self.in_place:
            for number, (before, after) in enumerate(zip(case.inputs, inputs, strict=True), 1):
                if difference(before, after) is not None:
                    said = f"argument {number} has changed; the caller still needs it as it was: make a new one"
                    return Raised(ValueError(said))
        return outcome


class Verdict(NamedTuple):
    """How a learner's function did."""

    right: int  # cases that came out right
    cases: int
    first: str = ""  # the first case that did not, and how
    error: BaseException | None = None  # raised in that case
    mistake: Mistake | None = None  # that gives the very same outputs

    @property
    def passed(self) -> bool:
        """Whether all cases came out right."""
        return self.right == self.cases

    @property
    def untouched(self) -> bool:
        """Whether the hole is still there."""
        return self.right == 0 and isinstance(self.error, NotImplementedError)


def check(exercise: Exercise, function: Function) -> Verdict:
    """Compares `function` with ours on every case; where it differs, with each mistake that is known."""
    cases, right, theirs = exercise.all_cases(), exercise.outcomes(exercise.right), exercise.outcomes(function)
    differences = [difference(*pair) for pair in zip(right, theirs, strict=True)]
    good = differences.count(None)
    if good == len(cases):
        return Verdict(good, good)
    number = next(number for number, found in enumerate(differences) if found is not None)
    outcome = theirs[number]
    verdict = Verdict(
        good,
        len(cases),
        f"{cases[number].name}: {differences[number]}",
        outcome.error if isinstance(outcome, Raised) else None,
        None,
    )
    return verdict if verdict.untouched else verdict._replace(mistake=recognise(exercise, theirs))


def recognise(exercise: Exercise, outcomes: Sequence[Any]) -> Mistake | None:
    """The mistake that gives these outcomes in every case."""
    for mistake in exercise.mistakes:
        for wrong in mistake.wrong:
            pairs = zip(exercise.outcomes(wrong), outcomes, strict=True)
            if all(difference(*pair) is None for pair in pairs):
                return mistake
    return None


def difference(right: Any, theirs: Any) -> str | None:
    """How one outcome differs from another, in words; None if they are the same up to rounding."""
    if isinstance(theirs, Raised):
        return None if isinstance(right, Raised) else f"{type(theirs.error).__name__}: {theirs.error}"
    if isinstance(right, Tensor) and isinstance(theirs, Tensor):
        return _between_tensors(right, theirs)
    if isinstance(right, Raised) or type(right) is not type(theirs):
        return f"it gives {_kind(theirs)}, where {_kind(right)} is needed"
    if isinstance(right, dict):
        found = ((name, difference(value, theirs[name])) for name, value in right.items())
        return next((f"{name}: {differs}" for name, differs in found if differs is not None), None)
    if isinstance(right, tuple | list) and any(isinstance(part, Tensor) for part in right):
        if len(right) != len(theirs):
            return f"it gives {len(theirs)} things, where {len(right)} are needed"
        for number, pair in enumerate(zip(right, theirs, strict=True), 1):
            if (differs := difference(*pair)) is not None:
                return f"number {number} of the {len(right)}: {differs}"
        return None
    return None if right == theirs else f"it gives {theirs}, where {right} is right"


def _kind(value: Any) -> str:
    return "nothing (None)" if value is None else f"a {type(value).__name__}"


def _between_tensors(right: Tensor, theirs: Tensor) -> str | None:
    if right.shape != theirs.shape:
        return f"it has the shape {tuple(theirs.shape)}, where {tuple(right.shape)} is needed"
    if right.dtype != theirs.dtype:
        return f"it holds {theirs.dtype}, where {right.dtype} is needed"
    right, theirs = right.detach(), theirs.detach()
    if right.dtype.is_floating_point:
        same = torch.isclose(theirs, right, rtol=1e-4, atol=1e-5, equal_nan=True)
    else:
        same = theirs == right
    if bool(same.all()):
        return None
    place = tuple((~same).nonzero()[0].tolist())
    at = f"at {list(place)} it" if place else "it"
    return f"{at} is {theirs[place].item():.6g}, where {right[place].item():.6g} is right"


def place_of(thing: Function | type) -> str:
    """File, line and name of a piece of guppylm, as the source has it now."""
    thing = inspect.unwrap(thing)
    file, line = Path(inspect.getsourcefile(thing) or ""), inspect.getsourcelines(thing)[1]
    if file.is_relative_to(Path.cwd()):
        file = file.relative_to(Path.cwd())
    return f"{file}, line {line}: {thing.__qualname__}"
