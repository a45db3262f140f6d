"""`guppylm look`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guppylm.cli.shared import Json, app, printable
from guppylm.errors import RunError

if TYPE_CHECKING:
    from guppylm.interpretability.lens import Look

BAR = 30  # characters for a probability of one
LONGEST = 8  # characters of a token in the table of heads


@app.command(epilog='Example: guppylm look "i got you a new castle" --html look.html')
def look(
    words: Annotated[list[str], typer.Argument(metavar="[RUN] TEXT", help="A run folder (default: the newest), and a text.")],
    reply: Annotated[str, typer.Option(help="What the fish has said so far; it goes on from there.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write it all as a page that a browser opens.")] = None,
    as_json: Json = False,
) -> None:
    """See what happens inside a fish while it reads a text: tokens, attention, layer by layer, the next token."""
    if len(words) > 2:
        raise ValueError(f'{len(words)} words are no run and text; put the text in quotation marks: guppylm look "hi guppy"')
    from guppylm.fish import check_prompt, load
    from guppylm.interpretability import lens

    check_prompt(words[-1])
    fish = load(words[0] if len(words) == 2 else None)
    seen = lens.look(fish.model, fish.tokenizer, words[-1], reply)
    left_out = fish.left_out(words[-1])
    if left_out:
        typer.echo(f"(too long: the first {left_out:,} characters are left out)", err=True)
    if html is not None:
        from guppylm.interpretability.page import look_html

        try:
            html.write_text(look_html(seen), encoding="utf-8")
        except OSError as error:
            raise RunError(f"{html} can't be written: {error.strerror}; choose another file with --html") from error
    if as_json:
        print(json.dumps(_as_dict(seen), ensure_ascii=False))
    elif html is not None:
        print(html)
    else:
        _show(seen)


def _as_dict(seen: "Look") -> dict[str, Any]:
    """What `--json` prints. Attention is (layers, heads, time, time looked at); the lens has a guess for each position.

    "heads" names the heads that look most at one thing, measured in this text and its likeliest reply.
    """
    from guppylm.interpretability.heads import named_heads

    guesses, named = seen.guesses(), named_heads(seen)
    positions = range(len(seen.ids))
    lens = {
        stage: [seen.guesses(position, 1, number)[0]._asdict() for position in positions]
        for number, stage in enumerate(seen.stages)
    }
    return {
        "tokens": [{"token": token, "text": text} for token, text in zip(seen.ids, seen.texts, strict=True)],
        "attention": seen.attention.tolist(),
        "heads": {"reply": named.reply, "looks_at": named.heads},
        "lens": lens,
        "next": [guess._asdict() for guess in guesses],
        "contributions": {"token": guesses[0].token, "to_logit": seen.contributions(-1, guesses[0].token)},
    }


def _show(seen: "Look") -> None:
    from rich.console import Console
    from rich.table import Table

    from guppylm.interpretability.heads import named_heads

    console = Console(highlight=False, markup=False)
    console.print("  ".join(f"{text} {token}" for text, token in zip(seen.texts, seen.ids, strict=True)))
    console.print("(the tokens, each with its id; ␣ is a space, ␤ a line end)\n")

    heads = Table("layer", *(f"head {head}" for head in range(seen.model.config.heads)))
    for layer, patterns in enumerate(seen.attention[:, :, -1].tolist()):  # those of the last token: (heads, time looked at)
        most = [max(range(len(shares)), key=shares.__getitem__) for shares in patterns]
        looked = [f"{_short(seen.texts[at])}\n{at}: {shares[at]:.2f}" for at, shares in zip(most, patterns, strict=True)]
        heads.add_row(f"{layer}", *looked)
    console.print("what the last token looks at most, by head: the token, its position, the share of attention")
    console.print(heads)

    named = named_heads(seen)
    told = f" and the likeliest reply, “{printable(named.reply)}”" if named.reply else ""
    console.print(f"\nheads that look most at one thing: layer.head, mean share of attention over this text{told}")
    for what, strongest in named.heads.items():
        found = (f"{layer}.{head} {score:.2f}" for (_, layer, _, _, head), score in ((n.split("."), s) for n, s in strongest))
        console.print(f"  {what}:  {'   '.join(found)}")

    best = seen.guesses()[0]
    layers = Table("after", "likeliest next token", "probability", f"of {best.text}")
    for number, stage in enumerate(seen.stages):
        guess = seen.guesses(stage=number, count=1)[0]
        share = float(seen.lens[number, -1].softmax(-1)[best.token])
        layers.add_row(stage, guess.text, f"{guess.probability:.3f}", f"{share:.3f}")
    console.print("\nwhat it would say if it ended there (the logit lens)")
    console.print(layers)

    console.print("\nthe likeliest next tokens")
    widest = max(len(guess.text) for guess in seen.guesses())
    for guess in seen.guesses():
        bar = "█" * round(BAR * guess.probability)
        console.print(f"  {guess.text:{widest}}  {guess.token:5}  {guess.probability:.3f}  {bar}")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
