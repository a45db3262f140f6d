"""How many steps a training by the clock will have."""

import dataclasses
import math
import time

from guppylm.config import TrainConfig

SHALLOW_TIME = 0.5  # the share of the time in which only the first third of the layers is trained,
SHALLOW = 0.7  # and about the share of the steps: they cost half as much as those with all layers, or less
LEAST = 1.0  # seconds of learning, also where preparing took all the time there was


class Clock:
    """Plans a training between two moments (time.monotonic).

    The shallow steps, and those after them at the full learning rates, do not depend on how many there will be. So the
    first number is decided when half of the time has passed, the second when so much has passed that the rates must begin
    to fall. A run that was planned for these numbers from the beginning takes the same steps.
    """

    def __init__(self, began: float, deadline: float, shallow: bool) -> None:
        """`shallow`: whether there are shallow steps at all."""
        self.began, self.deadline = began, max(deadline, began + LEAST)
        self.decided = False
        self._shallow_share = None if shallow else 0.0  # of the time, that the shallow steps took; None while they last

    def plan(self, step: int, config: TrainConfig) -> TrainConfig:
        """`config` with its numbers of steps as they are thought after `step` of them, one or more."""
        used = (time.monotonic() - self.began) / (self.deadline - self.began)
        if self._shallow_share is None:
            shallow = max(step + 1, round(step * SHALLOW_TIME / used))
            if used >= SHALLOW_TIME:
                self._shallow_share, shallow = used, step
            return dataclasses.replace(config, steps=max(shallow + 1, round(shallow / SHALLOW)), shallow_steps=shallow)
        deep, share = step - config.shallow_steps, (used - self._shallow_share) / max(1e-9, 1 - self._shallow_share)
        self.decided = share >= 1 - config.decay
        return dataclasses.replace(config, steps=config.shallow_steps + steps_in_time(deep, share, config.decay))


def steps_in_time(step: int, used: float, decay: float) -> int:
    """How many steps a run will have if its first `step` took the share `used` of its time.

    As many at least as leave those first steps on the plateau of `schedule`: a run that was planned for so many from the
    beginning would have taken the same ones.
    """
    plateau = math.ceil((step - 1) / (1 - decay)) if decay < 1 else 0
    return max(step, plateau, math.ceil(step / used))


def seconds_left(step: int, seconds: float, config: TrainConfig) -> float:
    """How long the rest takes if the first `step` steps took `seconds`; those with all layers take so much longer."""
    dearer = SHALLOW / (1 - SHALLOW) * (1 - SHALLOW_TIME) / SHALLOW_TIME

    def work(steps: int) -> float:
        return min(steps, config.shallow_steps) + dearer * max(0, steps - config.shallow_steps)

    return seconds * (work(config.steps) / work(step) - 1)
