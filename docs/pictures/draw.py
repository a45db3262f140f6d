"""A small pen: SVG on a light card of its own, so that it reads alike on a light page and on a dark one."""

from collections.abc import Sequence
from html import escape
from textwrap import wrap

from torch import Tensor

PAGE, INK, QUIET, LINE, ACCENT, GRAVEL, WARM = "#fdfcf9", "#22262a", "#5b6269", "#dcd8cf", "#0067a3", "#a08c69", "#b4512b"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
MARGIN = 24


class Picture:
    """Marks are added from the top left corner, in pixels; `save` puts the card behind them."""

    def __init__(self, title: str, says: str, width: float = 720) -> None:
        """`says` is the whole picture in a sentence, for those who do not see it."""
        self.title = title
        self.says = says
        self.width = width
        self.height = 0.0
        self.parts: list[str] = []
        self.text(MARGIN, 36, title, 17, weight=600)

    def text(
        self, x: float, y: float, text: str, size: float = 13, anchor: str = "start", colour: str = INK, weight: int = 400
    ) -> None:
        """A line of text whose letters stand on `y`."""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}" fill="{colour}" '
            f'font-weight="{weight}" xml:space="preserve">{escape(text)}</text>'
        )
        self._reach(y + 8)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        opacity: float = 1,
        stroke: str = "none",
        round: int = 2,
    ) -> None:
        """A filled rectangle."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" rx="{round}" fill="{fill}" '
            f'fill-opacity="{opacity:.3f}" stroke="{stroke}"/>'
        )
        self._reach(y + height)

    def line(self, points: Sequence[tuple[float, float]], colour: str = LINE, width: float = 1, dashed: bool = False) -> None:
        """A line through these points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashes}/>')
        self._reach(max(y for _, y in points))

    def area(self, points: Sequence[tuple[float, float]], fill: str) -> None:
        """The surface inside these points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polygon points="{path}" fill="{fill}"/>')
        self._reach(max(y for _, y in points))

    def note(self, y: float, *texts: str) -> None:
        """Quiet lines at the left margin; a long text takes several."""
        lines = [line for text in texts for line in wrap(text, 88)]
        for number, text in enumerate(lines):
            self.text(MARGIN, y + 18 * number, text, 13, colour=QUIET)

    def bar(self, y: float, label: str, value: float, share: float, room: float, colour: str = ACCENT) -> None:
        """A labelled bar that fills this share of its room."""
        self.text(150, y + 14, label, 13, "end")
        self.box(160, y + 2, room * share, 16, colour)
        self.text(166 + room * share, y + 14, f"{value:.2f}", 12, colour=QUIET)

    def grid(
        self, names: Sequence[str], values: Tensor, x: float, y: float, wide: float, scale: float = 1, causal: bool = False
    ) -> None:
        """A square of numbers, the stronger the darker; with `causal`, without those above the diagonal."""
        for row, text in enumerate(names):
            self.text(x + (row + 0.5) * wide, y - 8, text, 12, "middle")
            self.text(x - 8, y + row * 36 + 22, text, 12, "end")
            for column, value in enumerate(values[row].tolist()):
                left, top = x + column * wide, y + row * 36
                if causal and column > row:
                    self.box(left, top, wide - 2, 34, LINE, 0.35)
                    continue
                strength = min(abs(value) / scale, 1)
                self.box(left, top, wide - 2, 34, ACCENT if value >= 0 else WARM, 0.06 + 0.94 * strength)
                colour = "#ffffff" if strength > 0.55 else INK
                self.text(left + wide / 2 - 1, top + 21, f"{value:.2f}", 12, "middle", colour)

    def svg(self) -> str:
        """The file's text."""
        width, height = self.width, self.height + 14
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:.0f}" width="{width:g}" '
            f'height="{height:.0f}" role="img" font-family="{FONT}">\n<title>{escape(self.title)}</title>\n'
            f"<desc>{escape(self.says)}</desc>\n"
            f'<rect width="{width:g}" height="{height:.0f}" rx="8" fill="{PAGE}"/>\n{body}\n</svg>\n'
        )

    def _reach(self, y: float) -> None:
        self.height = max(self.height, y)
