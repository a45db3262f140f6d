"""`guppylm guess`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from guppylm.cli.shared import RunArgument, app, printable

if TYPE_CHECKING:
    from guppylm.guess import Round

BAR, FULL = 40, 10.0  # a bar of so many characters is so many nats; one who knows nothing has about eight


@app.command(epilog='Example: guppylm guess --seed 1. To watch only: guppylm guess --auto --prompt "i got you a new castle"')
def guess(
    run: RunArgument = None,
    auto: Annotated[bool, typer.Option("--auto", help="Nobody types: watch the others bet.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of the conversation that is drawn.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Play a reply to this. Default: a conversation of test_fresh.")] = None,
) -> None:
    """Guess the next token, against pair counts, an untrained fish, the fish, and the floor that nobody can pass."""
    if prompt is not None and not prompt.strip():
        raise ValueError('the prompt is empty; say something, for example --prompt "hi guppy"')
    from guppylm.fish import load
    from guppylm.guess import OVER, Table, fresh_row, row_of

    fish = load(run)
    print("everybody sits down ...", file=sys.stderr, flush=True)
    table = Table(fish)
    row = fresh_row(fish, seed) if prompt is None else row_of(table, prompt, seed)
    name = Path(fish.run.config().character).name
    listening = not auto

    def player(said: str) -> str | None:
        nonlocal listening
        if listening:
            print(f"\n{name} > {printable(said)} ...")
            try:
                return input("what comes next? > ").strip() or None
            except EOFError:
                listening = False
                print()
        return None

    print(f"\nyou > {printable(row.prompt)}")
    if listening:
        print(f'(guess a word or a mark, or "{OVER}" for the end of the reply; an empty line is no guess)')
    rounds = []
    for played in table.rounds(row, player):
        print("\n" + "\n".join(round_lines(played, name)), flush=True)
        rounds.append(played)
    print("\n" + "\n".join(score_lines(rounds)))


def round_lines(played: "Round", name: str) -> list[str]:
    """One round: what came, how right the player was, and a bar of surprise for each bettor."""
    told = "" if played.guess is None else f"   your guess: {printable(played.guess)} {'✓' if played.hit else '✗'}"
    lines = [f"{name} > {printable(played.said)}[{played.text}]{told}"]
    for bettor, bet in played.bets.items():
        bar = "█" * min(BAR, round(BAR * bet.surprise / FULL)) or "▏"
        expected = "" if bet.hit else f"  bet on {bet.favourite}"
        lines.append(f"  {bettor:14} {bet.surprise:6.2f} nats {bar}{expected}")
    return lines


def score_lines(rounds: Sequence["Round"]) -> list[str]:
    """The sums of a game."""
    from guppylm.guess import scores

    found = scores(rounds)
    lines = [f"{len(rounds)} tokens        surprise, in nats   a token   as a fair die of   favourite came"]
    for bettor, score in found.items():
        mean, sides = f"{score.nats / score.tokens:.2f}", f"{score.sides:,.1f} sides"
        lines.append(f"{bettor:14} {score.nats:17.1f} {mean:>11} {sides:>19} {score.hits:>10} times")
    fish, floor = found["fish"], found["floor"]
    lines += [
        "",
        f"the fish was as unsure as a fair die with {fish.sides:.1f} sides, the floor as one with {floor.sides:.1f}.",
        "over many replies nobody can be less unsure than the floor; on a single one, by luck.",
    ]
    guesses = [played for played in rounds if played.guess is not None]
    if guesses:
        lines.append(f"you guessed {sum(played.hit for played in guesses)} of {len(guesses)} tokens.")
    return lines
