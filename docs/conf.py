"""The site of the course: `make site` builds it from these pages. It loads nothing from elsewhere when it is read.

Sphinx, MyST Markdown, the theme Furo; formulas become MathML, which browsers draw themselves.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

PAGES = {
    "The course": (
        "data",
        "tokens",
        "vectors",
        "attention",
        "mlp",
        "norm-and-residual",
        "logits-and-loss",
        "learning",
        "sampling",
        "evaluating",
        "glossary",
        "from-9m-to-7b",
        "which-to-read",
    ),
    "Do it": ("tank", "labs", "exercises", "inside", "your-own"),
    "Teach it": ("teaching", "paper", "quiz"),
    "Measured": ("guppy", "evaluation", "performance", "log"),
}
HERE = Path(__file__).parent
METHOD = re.compile(r"^:pyobject: \w+\.\w+$", re.MULTILINE)
LEAVING = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]+)\)")

project = "guppylm"
author = "the guppylm contributors"
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a page may begin below its title
nitpicky = True
exclude_patterns = ["pictures"]
html_theme = "furo"
html_title = "guppylm"
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div style="overflow-x: auto">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def _prepare(app: Any, page: str, source: list[str]) -> None:
    """What the site needs and a reader of the Markdown does not: the sidebar, links that leave this folder."""
    source[0] = LEAVING.sub(_leaving, source[0])
    source[0] = METHOD.sub(r"\g<0>\n:dedent:", source[0])
    if page == "index":
        for caption, pages in PAGES.items():
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"


def _leaving(link: re.Match[str]) -> str:
    text, target = link.groups()
    if (HERE / target).is_dir():
        return text  # a folder has no page to lead to
    return f"{{download}}`{text.strip('`')} <{target}>`"


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("source-read", _prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
