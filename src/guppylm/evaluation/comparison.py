"""Runs side by side: each figure of their scorecards, and whether a difference is more than chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from guppylm.evaluation.scorecard import Scorecard
from guppylm.evaluation.statistics import Share

REACH = 1.96  # standard errors either side: a 95 % interval


@dataclass(frozen=True)
class Figure:
    """A measured figure and its standard error; 0 for one that is counted and not sampled."""

    value: float
    error: float


@dataclass(frozen=True)
class Difference:
    """How much a run's figure is above the first run's, with the 95 % interval of that."""

    value: float
    low: float
    high: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval leaves out zero. One comparison in twenty does so by luck alone."""
        return self.low > 0 or self.high < 0


def figures(card: Scorecard) -> dict[str, Figure]:
    """The figures of a scorecard that can be compared, by name."""
    found: dict[str, Figure] = {}
    for test, loss in card.losses.items():
        found[f"gap, {test}"] = Figure(loss.gap_nats, loss.gap_standard_error)
    shares: dict[str, Share | None] = {f"on_topic, temperature {t}": share for t, share in card.on_topic.items()}
    shares |= {"on_topic, capitals": card.uppercase_on_topic, "on_topic, typing errors": card.typo_on_topic}
    shares |= {f"slot_echo, {test}": share for test, share in card.slot_echo.items()}
    shares |= {**card.origins, "in voice": card.in_voice}
    for name, share in shares.items():
        if share is not None:
            found[name] = Figure(share.value, (share.high - share.low) / (2 * REACH))
    return found


def differences(cards: Sequence[Scorecard]) -> dict[str, list[tuple[Figure | None, Difference | None]]]:
    """For each figure of any card: its value in each, and its difference from the first card's (None where one lacks it).

    The runs are taken as independent samples, so the interval is wide rather than narrow for runs with the same tests.
    """
    all_figures = [figures(card) for card in cards]
    names = dict.fromkeys(name for found in all_figures for name in found)
    table: dict[str, list[tuple[Figure | None, Difference | None]]] = {}
    for name in names:
        first = all_figures[0].get(name)
        table[name] = [(found.get(name), _difference(first, found.get(name)) if place else None)
                       for place, found in enumerate(all_figures)]  # fmt: skip
    return table


def _difference(first: Figure | None, other: Figure | None) -> Difference | None:
    if first is None or other is None:
        return None
    value = other.value - first.value
    reach = REACH * (first.error**2 + other.error**2) ** 0.5
    return Difference(value, value - reach, value + reach)
