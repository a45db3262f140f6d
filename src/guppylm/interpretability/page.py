"""A look as a page: one file without scripts that asks the network for nothing. What was read in it is text, never markup.

Each number that a shade stands for is in its cell's title, and in its text for those who do not see the shade.
"""

from importlib import resources

from guppylm.interpretability.heads import named_heads
from guppylm.interpretability.lens import Look
from guppylm.report.page import document, escaped

STRONGEST = 12  # contributions that are listed one by one
LONGEST = 10  # characters of a token in a heading; the list of tokens has them whole


def look_html(look: Look) -> str:
    """The page: the tokens, every head's attention, the logit lens, the likeliest next tokens and what made them likely."""
    sections = {
        "What it reads": _tokens(look),
        "What each head looks at": _attention(look),
        "What it would say after each layer": _lens(look),
        "What comes next": _next(look),
        "What made it likely": _contributions(look),
    }
    anchors = {title: title.lower().replace(" ", "-") for title in sections}
    links = [f'<a href="#{anchors[title]}">{title}</a>' for title in sections]
    parts = [f'<h2 id="{anchors[title]}">{title}</h2>\n{body}' for title, body in sections.items()]
    style = resources.files("guppylm.interpretability").joinpath("style.css").read_text(encoding="utf-8")
    return document(f"Inside: {_text(look)}", [f'<nav aria-label="On this page">{" ".join(links)}</nav>', *parts], style)


def _text(look: Look) -> str:
    """The prompt, and the reply as far as it has come."""
    answer = look.tokenizer.answer
    end = look.ids.index(answer) if answer in look.ids else len(look.ids)
    halves = (look.tokenizer.decode(look.ids[:end]), look.tokenizer.decode(look.ids[end:]))
    return " → ".join(half for half in halves if half)


def _tokens(look: Look) -> str:
    items = [
        f"<li>{at} <code>{escaped(text)}</code> <small>id {token}</small></li>"
        for at, (text, token) in enumerate(zip(look.texts, look.ids, strict=True))
    ]
    told = "The text as tokens, each with its position and its id. ␣ is a space, ␤ a line end."
    return f'<p>{told}</p>\n<ol class="tokens">\n' + "\n".join(items) + "\n</ol>"


def _attention(look: Look) -> str:
    told = (
        "Each row is a token, each column a token that it may look at; the stronger the colour, the larger the share of "
        "attention that goes there. Under each head's number stands what the last token looks at most. Open "
        "one to read its map."
    )
    titles = [[escaped(f"{text} looks at {look.texts[x]}") for x in range(y + 1)] for y, text in enumerate(look.texts)]
    layers = []
    for layer, heads in enumerate(look.attention.tolist()):
        names = [f"blocks.{layer}.attention.head.{head}" for head in range(len(heads))]
        maps = "\n".join(_head(look, name, rows, titles) for name, rows in zip(names, heads, strict=True))
        layers.append(f'<h3>Layer {layer}</h3>\n<div class="heads">\n{maps}\n</div>')
    return f"<p>{told}</p>\n{_named(look)}\n" + "\n".join(layers)


def _named(look: Look) -> str:
    """What can be measured about heads, with the score beside the name."""
    named = named_heads(look)
    told = f" and its likeliest reply, <q>{escaped(named.reply)}</q>" if named.reply else ""
    lines = [
        f'<tr><th scope="row">{escaped(what)}</th>'
        + "".join(f'<td>{name} <span class="number">{score:.2f}</span></td>' for name, score in strongest)
        + "</tr>"
        for what, strongest in named.heads.items()
    ]
    return (
        f"<p>The heads that look most at one thing, with the mean share that goes there, in this text{told}.</p>\n"
        f'<div class="scroll" tabindex="0"><table>\n{"".join(lines)}\n</table></div>'
    )


def _head(look: Look, name: str, rows: list[list[float]], titles: list[list[str]]) -> str:
    """One head's map, small as a picture and large as a table."""
    time = len(rows)
    picture = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1" opacity="{share:.2f}"/>'
        for y, row in enumerate(rows)
        for x, share in enumerate(row[: y + 1])
        if share >= 0.02
    )
    most = max(range(time), key=rows[-1].__getitem__)
    lines = []
    for y, row in enumerate(rows):
        cells = [_cell(share, title) for share, title in zip(row, titles[y], strict=False)]  # the future has no title
        future = f'<td colspan="{time - y - 1}"></td>' if y < time - 1 else ""
        lines.append(f'<tr><th scope="row">{_heading(look, y)}</th>{"".join(cells)}{future}</tr>')
    return (
        f"<details><summary>head {name.rpartition('.')[2]} <small>{rows[-1][most]:.2f} at {_heading(look, most)}</small>"
        f'<svg viewBox="0 0 {time} {time}" aria-hidden="true">{picture}</svg></summary>\n'
        f'<div class="scroll" tabindex="0"><table class="heat">\n<caption>{name}</caption>\n'
        f"{_columns(look, 'looks at')}\n<tbody>\n" + "\n".join(lines) + "\n</tbody></table></div></details>"
    )


def _lens(look: Look) -> str:
    told = (
        "The likeliest next token after each token, if the model ended after this layer: the logit lens. The stronger the "
        "colour, the likelier. The last row is what the model really says. Training asks only for replies, so what stands "
        "under the prompt's own tokens was never corrected."
    )
    lines = []
    for stage, name in enumerate(look.stages):
        if not name.endswith("residual_middle"):
            guesses = [look.guesses(position, 1, stage)[0] for position in range(len(look.ids))]
            cells = [_cell(guess.probability, escaped(guess.text), _short(guess.text)) for guess in guesses]
            lines.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return (
        f'<p>{told}</p>\n<div class="scroll" tabindex="0"><table class="lens">\n'
        f"{_columns(look, 'after')}\n<tbody>\n" + "\n".join(lines) + "\n</tbody></table></div>"
    )


def _next(look: Look) -> str:
    rows = [
        f'<tr><th scope="row"><code>{escaped(guess.text)}</code></th><td class="number">{guess.token}</td>'
        f'<td class="number">{guess.probability:.3f}</td>'
        f'<td class="bar"><i style="--share:{100 * guess.probability:.1f}"></i></td></tr>'
        for guess in look.guesses()
    ]
    head = '<tr><th>token</th><th class="number">id</th><th class="number">probability</th><td></td></tr>'
    return f"<p>The five likeliest tokens to follow.</p>\n<table>\n{head}\n" + "\n".join(rows) + "\n</table>"


def _contributions(look: Look) -> str:
    best, second = look.guesses(count=2)
    logit, more = look.contributions(-1, best.token), look.contributions(-1, best.token, second.token)
    names = sorted(logit, key=lambda name: -abs(logit[name]))
    rows = [(name, logit[name], more[name]) for name in names[:STRONGEST]]
    others = names[STRONGEST:]
    if others:
        rows.append((f"the other {len(others)}", sum(logit[name] for name in others), sum(more[name] for name in others)))
    lines = [
        f'<tr><th scope="row">{name}</th><td class="number">{one:+.2f}</td><td class="number">{two:+.2f}</td></tr>'
        for name, one, two in rows
    ]
    likeliest, runner_up = escaped(best.text), escaped(second.text)
    told = (
        f"What each part gave directly to the logit (the score) of <code>{likeliest}</code>, strongest first, and how much "
        f"more than to the runner-up, <code>{runner_up}</code>. What parts did through later parts is not in it."
    )
    return (
        f'<p>{told}</p>\n<div class="scroll" tabindex="0"><table>\n<tr><th>part</th><th class="number">to {likeliest}</th>'
        f'<th class="number">more than to {runner_up}</th></tr>\n'
        + "\n".join(lines)
        + f'\n<tr class="total"><th scope="row">together</th><td class="number">{sum(logit.values()):+.2f}</td>'
        + f'<td class="number">{sum(more.values()):+.2f}</td></tr>\n</table></div>'
    )


def _cell(share: float, title: str, text: str = "") -> str:
    """A shaded cell; title and text are escaped."""
    number = f"{share:.3f}"
    shown = f'{text} <span class="hidden">{number}</span>' if text else f'<span class="hidden">{number}</span>'
    return f'<td style="--share:{100 * share:.0f}" title="{title}: {number}">{shown}</td>'


def _columns(look: Look, corner: str) -> str:
    """The head of a table with a column for each token."""
    cells = [f'<th scope="col">{_heading(look, at)}</th>' for at in range(len(look.ids))]
    return f"<thead><tr><th>{corner}</th>{''.join(cells)}</tr></thead>"


def _heading(look: Look, position: int) -> str:
    return f"{position} {_short(look.texts[position])}"


def _short(text: str) -> str:
    return escaped(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")
