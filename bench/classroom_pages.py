"""The pages of the class folder that nothing else builds: the recorded labs and the lessons, to be read in any browser.

A lab's answer is folded until somebody opens it, which a text file could not do, and no page needs a script.
"""

import html
import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from guppylm.cli.lab import one_line
from guppylm.labs import LABS, Lab, Result, recorded
from guppylm.labs.show import FIGURES, answer_lines, letters, plot, seed_lines

STYLE = """
:root { color-scheme: light dark; --ink: #1b2b34; --paper: #fdfdfb; --line: #c9d3d6; --box: #f0f4f4; --link: #0b6478; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dde6e8; --paper: #10191e; --line: #3a4a52; --box: #19262d; --link: #7cc9dc; }
}
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.6 system-ui, sans-serif;
  color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 2.5rem; }
a { color: var(--link); }
pre, table { font-size: 0.85rem; }
pre { padding: 0.75rem; overflow-x: auto; line-height: 1.35; background: var(--box); border-radius: 4px; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { overflow-wrap: normal; padding: 0.25rem 0.75rem; border: 1px solid var(--line); text-align: left; }
summary { padding: 0.5rem 0; cursor: pointer; font-weight: 600; }
details { margin: 1rem 0; padding: 0 1rem; border: 1px solid var(--line); border-radius: 4px; }
img { max-width: 100%; background: #fff; }
li { margin: 0.25rem 0; }
@media print { details { border: 0; padding: 0; } }
"""
ANSI = re.compile(r"\x1b\[[0-9;]*m")
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:)([^)#\s]*)(#[^)\s]*)?\)")

escape = html.escape


def document(title: str, body: str) -> str:
    """A page that loads nothing."""
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{body}\n</html>\n"
    )


def labs_page() -> str:
    """Every recorded lab: the question, the change, and, folded, what came out."""
    shown = [(lab, results) for lab in LABS if (results := recorded(lab.name))]
    head = (
        "<h1>Labs: break it on purpose</h1>\n<p>Each lab changes a few lines of the model or of its training. Decide what "
        'will happen, better together and aloud, and then open the answer. <a href="START.html">Back to the start</a></p>\n'
    )
    listed = "".join(f'<li><a href="#{lab.name}">{escape(lab.title)}</a></li>' for lab, _ in shown)
    return document("Labs", f"{head}<ul>{listed}</ul>\n" + "\n".join(_lab(lab, results) for lab, results in shown))


def _lab(lab: Lab, results: list[Result]) -> str:
    result = results[0]
    choices = "".join(f"<li>{escape(choice)}</li>" for _, choice in letters(lab))
    curves = [("training loss", "training"), ("validation loss", "validation")]
    plots = "\n\n".join("\n".join(plot(result.arms, title, _curve(name))) for title, name in curves)
    rows = [[label, *(cell(arm) for arm in result.arms)] for label, cell in FIGURES.items()]
    return (
        f'<h2 id="{lab.name}">{escape(lab.title)}</h2>\n<p>{_prose(lab.question)}</p>\n<ol type="a">{choices}</ol>\n'
        f"<details><summary>The lines that are changed</summary><p>{_prose(lab.where)}</p>"
        f"<pre>{escape(lab.change.strip())}</pre></details>\n"
        "<details><summary>What came out</summary>\n"
        + "".join(f"<p>{_prose(line)}</p>\n" for line in answer_lines(lab, result, None))
        + f"<pre>{escape(plots)}</pre>\n"
        + "".join(_said(result, prompt) for prompt in result.arms[0].replies)
        + f"{_table(['', *(arm.arm for arm in result.arms)], rows)}\n"
        f"<pre>{escape(chr(10).join(seed_lines(lab, results)))}</pre>\n"
        f"<p>Shown is seed {result.seed}; {escape(result.machine)}.</p></details>"
    )


def _curve(name: str) -> Callable[[Any], float]:
    return lambda look: getattr(look, name)


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _said(result: Result, prompt: str) -> str:
    replies = "".join(f"<br>\n{escape(arm.arm)}: <i>{escape(one_line(arm.replies[prompt]))}</i>" for arm in result.arms)
    return f"<p><b>{escape(prompt)}</b>{replies}</p>\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def line(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line(head, 'th')}" + "".join(line(row, "td") for row in rows) + "</table>"


def lesson_page(notebook: Path, folder: Path) -> str:
    """A notebook as a page to stand in `folder`. Links lead to what is there; to what is not, their text is left.

    Raises ValueError for what is no notebook.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        body = "\n".join(_cell(cell, folder) for cell in cells)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{notebook} is no notebook that can be read: {error}") from error
    return document(notebook.stem, f'<p><a href="../START.html">Back to the start</a></p>\n{body}')


@cache
def markdown() -> MarkdownIt:
    """The reader of a lesson's prose. Without the extra docs formulas stay as they were typed."""
    reader = MarkdownIt("commonmark").enable("table")
    try:
        dollars = import_module("mdit_py_plugins.dollarmath").dollarmath_plugin
        convert = import_module("latex2mathml.converter").convert
    except ModuleNotFoundError:
        return reader

    def drawn(formula: str, options: dict[str, Any]) -> str:
        mathml: str = convert(formula, display="block" if options["display_mode"] else "inline")
        return mathml

    return reader.use(dollars, renderer=drawn)


def _cell(cell: dict[str, Any], folder: Path) -> str:
    source = _text(cell["source"])
    if cell["cell_type"] == "markdown":
        rendered: str = markdown().render(LINK.sub(lambda link: _link(link, folder), source))
        return rendered
    if not source.strip():
        return ""
    shown = f"<pre>{escape(source)}</pre>\n" + "\n".join(_output(output) for output in cell.get("outputs", []))
    if cell["metadata"].get("jupyter", {}).get("source_hidden"):
        return f"<details><summary>A solution</summary>{shown}</details>"
    return shown


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        packed = "".join(_text(data["image/png"]).split())
        return f'<p><img alt="what the cell above draws" src="data:image/png;base64,{packed}"></p>'
    text = _text(output.get("text") or data.get("text/plain") or "")
    return f"<pre>{escape(ANSI.sub('', text))}</pre>" if text.strip() else ""


def _text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


def _link(link: re.Match[str], folder: Path) -> str:
    """Pages of the course and other lessons lie elsewhere, or under another name, than in a checkout."""
    picture, text, target, anchor = link.groups(default="")
    target = re.sub(r"^\.\./docs/pictures/", "../course/_images/", target)
    target = re.sub(r"^\.\./docs/(.*)\.md$", r"../course/\1.html", target)
    target = re.sub(r"\.ipynb$", ".html", target)
    if target and not (folder / target).exists():
        return text
    return f"{picture}[{text}]({target}{anchor})"
