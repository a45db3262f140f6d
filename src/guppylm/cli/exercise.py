"""`guppylm exercise`."""

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from guppylm.cli.shared import Json, app, printable
from guppylm.errors import RunError

if TYPE_CHECKING:
    from guppylm.exercises import Exercise, Verdict
    from guppylm.exercises.exercise import Function

DIFFERENT = (
    "not the same: either some input in the fish is unlike those of the check, or two tokens were as good as equally likely"
)


@app.command(epilog="Example: guppylm exercise attention. It writes exercises/attention.py; fill that in, and call it again.")
def exercise(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Which one. Default: list them.")] = None,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where your files are.")] = Path("exercises"),
    again: Annotated[bool, typer.Option("--again", help="Begin anew; what you wrote is kept under another name.")] = False,
    solution: Annotated[bool, typer.Option("--solution", help="Say where guppylm itself does it.")] = False,
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The fish that then talks with your code. Default: the newest.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one function of the fish yourself: it is checked, mistakes are named, and then the fish talks with it."""
    from guppylm.exercises import find, place_of
    from guppylm.exercises.learner import file_of

    if name is None:
        if again or solution:
            raise ValueError(f"--{'again' if again else 'solution'} needs a name, for example: guppylm exercise attention")
        _list(folder, as_json)
        return
    chosen = find(name)
    path = file_of(chosen, folder)
    if solution:
        print(place_of(chosen.where))
    elif as_json:
        with redirect_stdout(sys.stderr):  # what the learner's code prints is no JSON
            done = _judge(chosen, path, run) if path.exists() else Outcome(False, None, [f"{path} is not begun"])
        print(json.dumps({"exercise": chosen.name, **done._asdict()}, ensure_ascii=False))
        raise typer.Exit(0 if done.passed else 1)
    elif again or not path.exists():
        _begin(chosen, folder)
    else:
        try:
            done = _judge(chosen, path, run)
        except KeyboardInterrupt:
            print(f"guppylm: stopped while {path} was at work; does a loop in it never end?", file=sys.stderr)
            raise typer.Exit(130) from None
        print("\n".join(done.says))
        raise typer.Exit(0 if done.passed else 1)


class Outcome(NamedTuple):
    """What a call tells the learner."""

    passed: bool
    mistake: str | None
    says: list[str]


def _begin(chosen: "Exercise", folder: Path) -> None:
    from guppylm.exercises.learner import file_of, write

    kept = write(chosen, folder)
    if kept:
        print(f"what you wrote is now {kept}")
    print(
        f"{file_of(chosen, folder)} waits for you: {chosen.title}\nwhen you have filled it in: guppylm exercise {chosen.name}"
    )


def _judge(chosen: "Exercise", path: Path, run: Path | None) -> Outcome:
    """Checks the function in the file; if it is right, a fish talks with it."""
    from guppylm.exercises import check, place_of
    from guppylm.exercises.learner import LearnerError, load

    try:
        function = load(chosen, path)
    except LearnerError as error:
        return Outcome(False, None, [str(error)])
    verdict = check(chosen, function)
    if not verdict.passed:
        return Outcome(False, verdict.mistake.name if verdict.mistake else None, _help(verdict, path))
    same, trial = _trial(chosen, function, path, run)
    lines = [f"right: all {verdict.cases} inputs come out as they should", "", *trial]
    if same:
        lines += ["", f"where guppylm does it: {place_of(chosen.where)}"]
    return Outcome(same, None, lines)


def _help(verdict: "Verdict", path: Path) -> list[str]:
    """What is wrong, and what may be the cause."""
    from guppylm.exercises.learner import describe

    if verdict.untouched:
        return [f"{path} has still its hole; put your code where it says `raise NotImplementedError`"]
    lines = [f"not yet: {verdict.right} of {verdict.cases} inputs come out right"]
    lines.append(verdict.first)
    if verdict.error is not None:
        lines.append(describe(verdict.error, path))
    if verdict.mistake:
        lines += ["", f"this looks like: {verdict.mistake.name}", verdict.mistake.hint]
    return lines


def _trial(chosen: "Exercise", function: "Function", path: Path, run: Path | None) -> tuple[bool, list[str]]:
    """The fish with the learner's function, beside the fish as it is: false if they differ. Without a fish, how to get one."""
    import guppylm
    from guppylm.exercises.learner import describe
    from guppylm.exercises.trial import Counted

    try:
        fish = guppylm.load(run)
    except RunError as error:
        return True, [f"no fish to try it in: {error}"]
    counted = Counted(function)
    try:
        said = chosen.trial(fish, counted)
    except (Exception, SystemExit) as error:
        return False, ["but in the fish, with longer texts and larger numbers, it fails", describe(error, path)]
    lines = [f"the fish of {fish.run.path}, {chosen.swapped} ({counted.calls:,} calls):"]
    for one in said:
        said_by = {"you": one.prompt, "before": one.before, "with ours": one.ours, "with yours": one.theirs}
        lines += [f"  {who:10} > {_shown(text)}" for who, text in said_by.items() if text or who != "before"]
    same = all(one.ours == one.theirs for one in said)
    lines.append("letter for letter the same" if same else DIFFERENT)
    return same, lines


def _shown(reply: str) -> str:
    return printable(reply).replace("\n", " ")


def _list(folder: Path, as_json: bool) -> None:
    from guppylm.exercises import EXERCISES
    from guppylm.exercises.learner import file_of

    begun = {one.name: file_of(one, folder).exists() for one in EXERCISES}
    if as_json:
        print(json.dumps([{"name": one.name, "title": one.title, "begun": begun[one.name]} for one in EXERCISES]))
        return
    widest = max(len(one.name) for one in EXERCISES)
    for one in EXERCISES:
        print(f"  {one.name:{widest}}  {one.title}{'  (begun)' if begun[one.name] else ''}")
    print(f"\nbegin: guppylm exercise {EXERCISES[0].name}")
