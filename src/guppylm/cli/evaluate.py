"""`guppylm eval` and `guppylm report`: how good a fish is."""

import json
from pathlib import Path
from typing import Annotated

import typer

from guppylm.cli.shared import Json, RunArgument, app


@app.command("eval", epilog="Example: guppylm eval runs/guppy --json. Side by side: guppylm eval runs/a runs/b")
def evaluate(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="[RUN ...]", help="Run folders. Default: the newest.")] = None,
    as_json: Json = False,
) -> None:
    """Score a fish: how far from perfect, does it understand new phrasings, does it listen. Several runs are compared.

    Of a run on your own conversations or text the floor is unknown: it gets its loss, bits per byte, and what it repeats.
    """
    from guppylm.checkpoint import CHARACTER, SCORECARD
    from guppylm.evaluation.own import OwnScorecard, evaluate_own
    from guppylm.evaluation.scorecard import Scorecard
    from guppylm.evaluation.scorecard import evaluate as score
    from guppylm.fish import load, ships
    from guppylm.report import write_report

    cards: list[Scorecard | OwnScorecard] = []
    for run in runs or (None,):
        fish = load(run)
        cards.append(score(fish) if fish.run.config().kind == CHARACTER else evaluate_own(fish))
        if not ships(fish.run.path):  # a fish that ships has its own beside it
            fish.run.write(SCORECARD, json.dumps(cards[-1].to_dict(), indent=2) + "\n")
            write_report(fish.run)
    if as_json:
        print(json.dumps(cards[0].to_dict() if len(cards) == 1 else [card.to_dict() for card in cards]))
        return
    from guppylm.tables import show_comparison, show_own, show_scorecard

    scored = [card for card in cards if isinstance(card, Scorecard)]
    if len(scored) == 1:
        show_scorecard(scored[0])
    elif scored:
        show_comparison(scored)
    if own := [card for card in cards if isinstance(card, OwnScorecard)]:
        show_own(own)


@app.command(epilog="Example: guppylm report runs/guppy")
def report(run: RunArgument = None) -> None:
    """Write the report card of a run: report.html and report.md, with the scorecard if `guppylm eval` has made one."""
    from guppylm.checkpoint import RunFolder
    from guppylm.fish import find_run, ships
    from guppylm.report import PAGE, write_report

    folder = find_run(run)
    print(folder / PAGE if ships(folder) else write_report(RunFolder(folder)))
