"""How a report is set: its blocks, as HTML and as Markdown. Text in them is never markup."""

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Table:
    """Rows of text below a head."""

    head: tuple[str, ...]
    rows: Rows
    caption: str = ""


FACTS = ("figure", "value", "how sure", "what it means")  # the head of a table that the page sets as large figures


@dataclass(frozen=True)
class Plot:
    """A picture, and the sentence that states its figures."""

    svg: str
    says: str
    small: bool


@dataclass(frozen=True)
class Code:
    """A command to type."""

    text: str


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it; a string is a paragraph."""

    title: str
    blocks: list[str | Table | Plot | Code]


def die(nats: float) -> str:
    """A loss as the fair die that is as unsure (perplexity)."""
    sides = math.exp(min(nats, 700))
    return f"a fair die with {sides:,.0f} sides" if sides >= 100 else f"a fair die with {sides:.2f} sides"


def plain(text: str) -> str:
    """Text on one line and without control characters: a model can say any byte."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in text)


def escaped(text: str) -> str:
    """Text as HTML that shows just this text."""
    return html.escape(plain(text))


def page(title: str, sections: list[Section]) -> str:
    """The whole page, one file."""
    parts = [part for section in sections for part in (f"<h2>{escaped(section.title)}</h2>", *map(_html, section.blocks))]
    return document(title, parts)


def document(title: str, parts: Sequence[str], style: str = "") -> str:
    """A page of these pieces of HTML below its title: one file, `style` added to ours, that loads and runs nothing."""
    look = resources.files("guppylm.report").joinpath("style.css").read_text(encoding="utf-8")
    head = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">""",
        f"<title>{escaped(title)}</title>\n<style>\n{look}{style}</style>\n</head>\n<body>\n<main>\n<h1>{escaped(title)}</h1>",
    ]
    return "\n".join([*head, *parts, "</main>\n</body>\n</html>\n"])


def _html(block: str | Table | Plot | Code) -> str:
    if isinstance(block, str):
        return f"<p>{escaped(block)}</p>"
    if isinstance(block, Code):
        return f'<pre tabindex="0"><code>{escaped(block.text)}</code></pre>'
    if isinstance(block, Plot):
        size, says = "small" if block.small else "large", escaped(block.says)
        return f'<figure class="{size}">\n{block.svg}\n<figcaption aria-hidden="true">{says}</figcaption>\n</figure>'
    kinds = [_kind([row[column] for row in block.rows]) for column in range(len(block.head))]
    rows = [_html_row("th", block.head, kinds), *(_html_row("td", row, kinds) for row in block.rows)]
    caption = f"<caption>{escaped(block.caption)}</caption>\n" if block.caption else ""
    box, kind = ('<div class="scroll" tabindex="0">', "plain") if block.head != FACTS else ("<div>", "facts")
    return f'{box}<table class="{kind}">\n{caption}' + "\n".join([*rows, "</table></div>"])


def _html_row(tag: str, cells: tuple[str, ...], kinds: list[str]) -> str:
    row = [f'<{tag} class="{kind}">{escaped(cell)}</{tag}>' for cell, kind in zip(cells, kinds, strict=True)]
    return f"<tr>{''.join(row)}</tr>"


def _kind(cells: list[str]) -> str:
    if all(re.fullmatch(r"[-\d.,]*( %)?|nan|inf", cell) for cell in cells):
        return "number"
    return "long" if max(map(len, cells)) > 30 else "short"


def markdown(title: str, sections: list[Section]) -> str:
    """The same as Markdown."""
    parts = [part for section in sections for part in (f"## {_marked(section.title)}", *map(_text, section.blocks))]
    return "\n\n".join([f"# {_marked(title)}", *parts]) + "\n"


def _text(block: str | Table | Plot | Code) -> str:
    if isinstance(block, Code):
        return f"    {plain(block.text)}"  # indented: there is no fence that the text could close
    if not isinstance(block, Table):
        return _marked(block if isinstance(block, str) else block.says)
    lines = [block.head, ("---",) * len(block.head), *(tuple(map(_marked, row)) for row in block.rows)]
    caption = f"**{_marked(block.caption)}**\n\n" if block.caption else ""
    return caption + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _marked(text: str) -> str:
    """Markdown that shows just this text."""
    return re.sub(r"[\\`*\[\]<>|~&$]|(?<!\w)_|_(?!\w)", r"\\\g<0>", plain(text))
