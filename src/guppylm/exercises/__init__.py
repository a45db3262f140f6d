"""Exercises: write one function of the fish yourself; when it is right, the fish talks with it.

exercise = find("attention")
verdict = check(exercise, attention)    # yours, compared with ours and with mistakes that many make
verdict.mistake, verdict.first          # which one it is, if it is one that is known, and where it first shows
"""

from guppylm.exercises.attending import ATTENTION, MASK
from guppylm.exercises.caching import CACHE
from guppylm.exercises.choosing import SAMPLING
from guppylm.exercises.exercise import Exercise, Mistake, Verdict, check, place_of
from guppylm.exercises.learning import ADAM, LOSS
from guppylm.exercises.reading import LOOKUP, MERGE
from guppylm.exercises.thinking import NORM, PERCEPTRON

__all__ = ["EXERCISES", "Exercise", "Mistake", "Verdict", "check", "find", "place_of"]

EXERCISES = (MERGE, LOOKUP, MASK, ATTENTION, NORM, PERCEPTRON, LOSS, ADAM, SAMPLING, CACHE)  # in the order of the data


def find(name: str) -> Exercise:
    """The exercise of that name. Raises ValueError, with the names that there are."""
    for exercise in EXERCISES:
        if exercise.name == name.replace("_", "-"):
            return exercise
    raise ValueError(f"no exercise {name!r}; there are {', '.join(exercise.name for exercise in EXERCISES)}")
