"""`guppylm lab`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guppylm.cli.shared import Json, app, printable
from guppylm.errors import RunError

if TYPE_CHECKING:
    from guppylm.labs import Lab, Result

SEEDS = (1, 2, 3)  # that a record holds
LONGEST = 100  # characters of a reply; a fish has at most twenty words


@app.command(epilog="Example: guppylm lab no-mask. To train its arms here and now: guppylm lab no-mask --live")
def lab(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which one. Default: list them.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Train the arms now: about a minute on two cores.")] = False,
    seed: Annotated[int, typer.Option(help="Of the data, the weights and the order; recorded are 1, 2 and 3.")] = 1,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Train this lab, or all, for three seeds; write the results there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Break the model on purpose: guess what a change of a few lines does, then see what it did."""
    from guppylm.labs import LABS, find

    chosen = find(name) if name is not None else None
    if record is not None:
        _record([chosen] if chosen else LABS, record)
    elif chosen is None:
        if live:
            raise ValueError("--live needs a name, for example: guppylm lab no-mask --live")
        _list(as_json)
    elif as_json:
        results = [_live(chosen, seed)] if live else _recorded(chosen)
        lessons = [{**result.to_dict(), "lesson": chosen.lesson(result)._asdict()} for result in results]
        print(json.dumps({**_as_dict(chosen), "change": chosen.change, "results": lessons}, ensure_ascii=False))
    else:
        _carry_on(chosen, seed, live)


def _carry_on(chosen: "Lab", seed: int, live: bool) -> None:
    """The question, a prediction where somebody can make one, and what came out."""
    from rich.console import Console

    from guppylm.labs.show import answer_lines, letters, question_lines, seed_lines, show

    results = [] if live else _recorded(chosen)
    by_seed = {result.seed: result for result in results}
    if not live and seed not in by_seed:
        raise ValueError(f"no run with seed {seed} is recorded, but {', '.join(map(str, by_seed))}; add --live to train one")
    console = Console(highlight=False, markup=False)
    for line in question_lines(chosen):
        console.print(line, soft_wrap=line.startswith("    "))  # code is not wrapped
    console.print()
    predicted = _prediction([letter for letter, _ in letters(chosen)]) if sys.stdin.isatty() else None
    result = _live(chosen, seed) if live else by_seed[seed]
    kind = "trained just now" if live else "a recorded run"
    console.print(f"{kind}: seed {seed}, {result.machine}\n", soft_wrap=True)
    show(result, console)
    widest = max(len(arm.arm) for arm in result.arms)
    for prompt in result.arms[0].replies:
        print(f"\nyou > {prompt}")
        for arm in result.arms:
            print(f"{arm.arm:>{widest}} > {one_line(arm.replies[prompt])}")
    print()
    console.print("\n\n".join(answer_lines(chosen, result, predicted)))
    if results:
        console.print("\n" + "\n".join(seed_lines(chosen, results)), soft_wrap=True)


def one_line(reply: str) -> str:
    """A reply as it can be printed: a broken model may say any byte, and find no end."""
    text = printable(reply).replace("\n", " ")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _prediction(letters: Sequence[str]) -> str | None:
    """The letter that somebody types; None for an empty line or the end of the input."""
    while True:
        try:
            said = input(f"your prediction ({', '.join(letters)}; Enter for none) > ").strip().lower()
        except EOFError:
            print()
            return None
        if said in ("", *letters):
            print()
            return said or None


def _recorded(chosen: "Lab") -> "list[Result]":
    from guppylm.labs import recorded

    results = recorded(chosen.name)
    if not results:
        raise RunError(f"the lab {chosen.name} has no recorded run; train it with: guppylm lab {chosen.name} --live")
    return results


def _live(chosen: "Lab", seed: int) -> "Result":
    """Trains the arms of one lab. Raises KeyboardInterrupt after saying that nothing is kept."""
    from guppylm.data.character import load_character
    from guppylm.labs import carry_out, prepare
    from guppylm.training.progress import Terminal

    with Terminal() as reporter:
        try:
            reporter.say("drawing conversations")
            return carry_out(chosen, prepare(load_character(), seed), seed, reporter=reporter)
        except KeyboardInterrupt:
            reporter.say(f"\nnothing is kept of a lab that was stopped; its recorded run: guppylm lab {chosen.name}")
            raise


def _record(labs: "Sequence[Lab]", folder: Path) -> None:
    """The recorded runs, anew: every arm is trained once a seed, also if several labs need it."""
    from guppylm.data.character import load_character
    from guppylm.labs import Figures, carry_out, prepare, record
    from guppylm.training.progress import Terminal

    found: dict[str, list[Result]] = {one.name: [] for one in labs}
    with Terminal() as reporter:
        for seed in SEEDS:
            reporter.say(f"seed {seed}: drawing conversations")
            data = prepare(load_character(), seed)
            known: dict[str, Figures] = {}
            for one in labs:
                found[one.name].append(carry_out(one, data, seed, reporter=reporter, known=known))
    for results in found.values():
        try:
            print(record(folder, results))
        except OSError as error:
            raise RunError(f"{folder} can't be written: {error.strerror}; choose another folder with --record") from error


def _list(as_json: bool) -> None:
    from guppylm.labs import LABS, recorded

    if as_json:
        print(json.dumps([_as_dict(one) for one in LABS], ensure_ascii=False))
        return
    widest = max(len(one.name) for one in LABS)
    for title, core in (("take a part out", True), ("turn a dial", False)):
        print(f"{title}:")
        for one in LABS:
            if one.core == core:
                draft = "" if recorded(one.name) else "  (a draft: its answer is not measured yet)"
                print(f"  {one.name:{widest}}  {one.title}{draft}")
    print(f"\nguess, then see: guppylm lab {LABS[0].name}")


def _as_dict(one: "Lab") -> dict[str, Any]:
    """A lab without its runs, as JSON takes it; `came` is the place of the choice that came true."""
    return {name: getattr(one, name) for name in ("name", "title", "core", "question", "choices", "came", "where", "why")}
