"""What a person sees while a model trains: a bar on a terminal, plain lines elsewhere, nothing where nobody asked."""

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn


@dataclass(frozen=True)
class Measured:
    """Where a training stands. `gap` is that of the last look at the validation rows."""

    step: int
    steps: int
    loss: float  # nats a reply token, averaged over the last steps
    gap: float | None
    tokens_per_second: float
    seconds_left: float
    bits_per_byte: float | None = None  # where the floor, and so the gap, is unknown


class Reporter(Protocol):
    """Is told what a training does."""

    def say(self, text: str) -> None:
        """One line about what happens now."""

    def step(self, measured: Measured) -> None:
        """After each update."""


class Silent:
    """Says nothing: for tests and notebooks that draw their own picture."""

    def say(self, text: str) -> None:
        """Nothing."""

    def step(self, measured: Measured) -> None:
        """Nothing."""


class Terminal:
    """Reports to stderr: a live bar on a terminal, a line every ten seconds elsewhere. Use it in a `with` block."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._last_line = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def say(self, text: str) -> None:
        """One line, above the bar if there is one."""
        self.console.print(text, markup=False)

    def step(self, measured: Measured) -> None:
        """Moves the bar, or prints a line if the last one is ten seconds old."""
        gap = "" if measured.gap is None else f"gap {measured.gap:.3f}"
        if measured.bits_per_byte is not None:
            gap = f"{measured.bits_per_byte:.3f} bits per byte, floor unknown"
        left = f"{measured.seconds_left:.0f} s left"
        figures = f"loss {measured.loss:.3f}  {gap}  {measured.tokens_per_second:,.0f} tokens/s"
        if self.console.is_terminal:
            if self._bar is None:
                columns = (TextColumn("step {task.completed}/{task.total}"), BarColumn(), TextColumn("{task.fields[figures]}"))
                self._bar = Progress(*columns, console=self.console)
                self._task = self._bar.add_task("", total=measured.steps, figures="")
                self._bar.start()
            self._bar.update(self._task, completed=measured.step, total=measured.steps, figures=f"{figures}  {left}")
        elif measured.step == measured.steps or time.monotonic() - self._last_line > 10:
            self._last_line = time.monotonic()
            print(f"step {measured.step}/{measured.steps}  {figures}  {left}", file=sys.stderr, flush=True)
        if measured.step == measured.steps:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
