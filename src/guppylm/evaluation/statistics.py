"""Shares of a sample, and how far the sample can be trusted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """How many of `count` cases hold, with the 95 % interval of that share (Wilson, 1927)."""

    value: float
    low: float
    high: float
    count: int

    @staticmethod
    def of(cases: Sequence[bool]) -> "Share":
        """The share of true cases. Raises ValueError if there are none at all."""
        if not cases:
            raise ValueError("a share of nothing is not defined")
        n, share, z = len(cases), sum(cases) / len(cases), 1.96
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return Share(share, max(0.0, middle - reach), min(1.0, middle + reach), n)
