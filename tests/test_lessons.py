"""Labs, trained now for three seeds: their lessons hold."""

import pytest

from guppylm.cli.lab import SEEDS
from guppylm.data.character import Character
from guppylm.labs import Figures, Lab, Result, carry_out, prepare
from guppylm.labs.core import CORE


@pytest.fixture(scope="module", params=SEEDS)
def live(request: pytest.FixtureRequest, guppy: Character) -> dict[str, Result]:
    """All core labs, trained now."""
    data = prepare(guppy, request.param)
    known: dict[str, Figures] = {}
    return {lab.name: carry_out(lab, data, request.param, known=known) for lab in CORE}


@pytest.mark.slow
@pytest.mark.parametrize("lab", CORE, ids=lambda lab: lab.name)
def test_the_core_lessons_hold(lab: Lab, live: dict[str, Result]) -> None:
    lesson = lab.lesson(live[lab.name])
    assert lesson.holds, lesson.says
