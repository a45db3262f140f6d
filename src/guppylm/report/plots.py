"""The report's plots: SVG in the page's own colours, each with a sentence that states its figures."""

import io
import math
import re
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from guppylm.checkpoint import RunConfig
from guppylm.report.page import Plot, escaped

Entry = Mapping[str, Any]
POINTS = 400  # of a curve, at most: neighbours are averaged
# Stand-ins for the page's own colours, light or dark:
INK, ACCENT, GRAVEL, WATER = "#010101", "#020202", "#030303", "#040404"
COLOURS = {INK: "currentColor", ACCENT: "var(--accent)", GRAVEL: "var(--gravel)", WATER: "var(--page)"}
STYLE = {
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.xmargin": 0, "axes.linewidth": 0.6, "font.size": 12},
    **{"svg.fonttype": "none", "svg.hashsalt": "guppylm", "savefig.transparent": True},
}


def _plot(name: str, says: str, draw: Callable[[Axes], None], small: bool = False) -> Plot:
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(3.6, 2.2) if small else (6.4, 4), layout="constrained")
        draw(figure.add_subplot())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    head, _, body = file.getvalue().partition("<svg")[2].partition(">")
    box = head.partition('viewBox="')[2].partition('"')[0]
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(
        r'(id="|url\(#|xlink:href="#)', rf"\1{name.replace(' ', '-')}-", body
    )  # several plots share the page's names
    for stand_in, colour in COLOURS.items():
        body = body.replace(stand_in, colour)
    label = f'<svg role="img" viewBox="{box}" aria-label="{escaped(says)}"><title>{escaped(name)}</title>'
    return Plot(label + body.strip(), says, small)


def _points(entries: list[Entry], key: str) -> Any:
    """Tokens read and the value there, where there is a finite one: (points, 2)."""
    finite = [(entry["tokens"], entry[key]) for entry in entries if holds(entry, key) and math.isfinite(entry[key])]
    parts: list[Any] = np.array_split(np.array(finite or [(0.0, math.nan)]), min(max(len(finite), 1), POINTS))
    return np.array([part.mean(axis=0) for part in parts])


def _time(axes: Axes, entries: list[Entry]) -> None:
    """Tokens below, seconds above."""
    tokens, seconds = ([entry[key] for entry in entries] for key in ("tokens", "seconds"))
    axes.set_xlim(0, tokens[-1])
    axes.set_xlabel("tokens read")
    axes.xaxis.set_major_formatter(EngFormatter())
    ticks = [tick for tick in MaxNLocator(5).tick_values(0, seconds[-1]) if 0 <= tick <= seconds[-1]]
    above = axes.secondary_xaxis("top")
    above.set_xticks(np.interp(ticks, seconds, tokens), [f"{tick:g}" for tick in ticks])
    above.set_xlabel("seconds")


def loss_plot(config: RunConfig, steps: list[Entry], looks: list[Entry]) -> Plot:
    """The loss, from knowing nothing down to the gravel; where the floor is unknown there is none."""
    size, floor, tokens = config.model.vocabulary_size, looks[-1].get("floor"), steps[-1]["tokens"]
    first, last, nothing = looks[0]["validation_loss"], looks[-1]["validation_loss"], math.log(size)
    batches, validation = _points(steps, "loss"), _points(looks, "validation_loss")
    top = max(nothing, validation[:, 1].max())

    def draw(axes: Axes) -> None:
        bottom = -0.11 * top if floor is not None else 0.0  # the gravel reaches below zero, so that it can be seen
        if floor is not None:
            axes.axhspan(bottom, floor, facecolor=GRAVEL, alpha=0.3, linewidth=0)
            x, y, size_of_pebble = np.random.default_rng(1).uniform(size=(3, 220))
            axes.scatter(x * tokens, bottom + (0.05 + 0.8 * y) * (floor - bottom), 4 + 30 * size_of_pebble, GRAVEL, alpha=0.6)
            axes.axhline(floor, color=GRAVEL, linewidth=1.2)
        axes.axhline(nothing, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.plot(*batches.T, color=ACCENT, alpha=0.4, linewidth=0.8, label="each step's batch")
        axes.plot(*validation.T, color=ACCENT, linewidth=2, marker="o", markersize=3.5, clip_on=False, label="validation rows")
        axes.legend(loc="center right", frameon=False)
        axes.text(tokens, nothing, f"knows nothing: ln {size:,} = {nothing:.2f}", ha="right", va="bottom")
        box = {"facecolor": WATER, "alpha": 0.85, "linewidth": 0, "boxstyle": "round,pad=0.25"}
        sunk, told = (0.04 * top, "floor unknown") if floor is None else ((bottom + floor) / 2, f"the floor: {floor:.3f}")
        axes.text(0.985 * tokens, sunk, told, ha="right", va="center", bbox=box)
        axes.set_ylim(bottom, 1.1 * top)
        axes.set_ylabel("loss (nats)")
        _time(axes, [looks[0], *steps])

    says = f"The loss goes from {first:.2f} to {last:.3f} nats over {tokens:,} tokens; knowing nothing is {nothing:.2f}, "
    return _plot("loss", f"{says}the floor is {'unknown' if floor is None else f'{floor:.3f}'}.", draw)


def gap_plot(looks: list[Entry]) -> Plot:
    """The gap on a logarithmic scale; each look's must be above 0."""

    def draw(axes: Axes) -> None:
        axes.plot(*_points(looks, "gap").T, color=ACCENT, linewidth=2, marker="o", markersize=3.5, clip_on=False)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
        axes.set_ylabel("gap (nats)")
        _time(axes, looks)

    first, last = looks[0], looks[-1]
    return _plot(
        "gap", f"The gap goes from {first['gap']:.2f} to {last['gap']:.3f} nats over {last['tokens']:,} tokens.", draw
    )


def small_plot(steps: list[Entry], key: str) -> Plot:
    """One dial or figure over the run."""
    name, points = key.replace("_", " ").replace("per", "a"), _points(steps, key)
    values = [step[key] for step in steps if holds(step, key)] or [math.nan]

    def draw(axes: Axes) -> None:
        axes.plot(*points.T, color=ACCENT, linewidth=1.2)
        axes.set_ylim(bottom=0)
        axes.set_title(name, loc="left", fontsize=12)
        axes.yaxis.set_major_formatter(EngFormatter() if max(values) >= 1000 else "{x:g}")
        axes.xaxis.set_major_formatter(EngFormatter())
        axes.set_xlabel("tokens read")

    middle, most, last = (
        f"{value:,.0f}" if value >= 1000 else f"{value:.2g}" for value in (median(values), max(values), values[-1])
    )
    return _plot(name, f"{name.capitalize()}: the median is {middle}, the most {most}, the last {last}.", draw, small=True)


def holds(entry: Entry, key: str) -> bool:
    """Whether an entry has a value of the right type."""
    return isinstance(entry.get(key), str if key in ("prompt", "reply") else (int, float))
