"""The object that a notebook, a test or the command line talks to."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

from guppylm.checkpoint import CONFIG, RunFolder, newest_run
from guppylm.data.conversations import Row
from guppylm.data.text import TextTokenizer
from guppylm.data.tokenizer import Tokenizer
from guppylm.errors import RunError
from guppylm.evaluation.loss import row_losses
from guppylm.evaluation.memory import Memory, Remembered, memory_of
from guppylm.evaluation.rows import rows_of
from guppylm.inference.engine import reply_to_all, stream_text
from guppylm.inference.sampling import SamplingConfig
from guppylm.inference.text import TOKENS, continue_text
from guppylm.interpretability import interventions, lens
from guppylm.model import Transformer

SHIPPED = Path(__file__).resolve().parent / "shipped"  # run folders that come with the package: no data, half precision
REFERENCE_ROWS = 200  # of the validation set, over which a mean ablation takes its mean


class Fish:
    """A trained character: its model and its tokenizer, and the run folder that they come from."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer, run: RunFolder) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.run = run

    def reply(self, prompt: str, seed: int | None = None, sampling: SamplingConfig | None = None) -> str:
        """The reply to `prompt`. The same seed gives the same reply; None draws afresh. Raises ValueError on no prompt.

        A fish that learned from a text does not reply: it goes on where `prompt` ends.
        """
        return "".join(self.stream(prompt, seed, sampling))

    def stream(
        self, prompt: str, seed: int | None = None, sampling: SamplingConfig | None = None, tokens: int = TOKENS
    ) -> Iterator[str]:
        """The same reply, in pieces, as it is made. `tokens` says how far a text is continued; a reply ends by itself."""
        sampling = sampling or SamplingConfig()
        check_prompt(prompt)
        ids, _ = self.tokenizer.render_prompt(prompt, self.model.config.context)
        if self.continues:
            return continue_text(self.model, self.tokenizer, ids, sampling, seed, tokens)
        return stream_text(self.model, self.tokenizer, ids, sampling, seed)

    @property
    def continues(self) -> bool:
        """Whether it learned from a text, so that it goes on with what it is given and does not reply."""
        return isinstance(self.tokenizer, TextTokenizer)

    def reply_to_all(
        self, prompts: Sequence[str], seed: int | None = None, sampling: SamplingConfig | None = None
    ) -> list[str]:
        """A reply to each of many prompts, many times faster than one by one."""
        for prompt in prompts:
            check_prompt(prompt)
        replies = reply_to_all(self.model, self.tokenizer, prompts, sampling or SamplingConfig(), seed)
        return [reply.text for reply in replies]

    def losses(self, rows: Sequence[Row]) -> Tensor:
        """-log probability of each row's reply given its prompt, in nats: (rows,), float64."""
        return row_losses(self.model, self.tokenizer.render_all([(row.prompt, row.reply) for row in rows]))

    def look(self, prompt: str, reply: str = "") -> lens.Look:
        """Everything that happens inside while it reads `prompt`, and after it what it has said of its `reply` so far.

        Activations by name, attention, the residual stream, the logit lens: `Look` gives the shapes. Raises ValueError.
        """
        check_prompt(prompt)
        return lens.look(self.model, self.tokenizer, prompt, reply)

    def ablate(self, what: str | Sequence[str], how: str = "zero", rows: Sequence[Row] | None = None) -> "Fish":
        """A changed fish in which a part, "blocks.2.attention.head.4", or several are silent; this one stays as it is.

        With how="mean" a part always adds its mean over `rows`; without them, over 200 rows of the run's validation set.
        `interventions.ablate` says what parts there are. Raises ValueError, and RunError if the validation set is gone.
        """
        reference: list[list[int]] = []
        if how == "mean":
            if rows is None:
                rows = rows_of(self.run, "validation")[:REFERENCE_ROWS]
            rendered = self.tokenizer.render_all([(row.prompt, row.reply) for row in rows])
            reference = [one.ids[:-1] for one in rendered]  # the end is never read
        return Fish(interventions.ablate(self.model, what, how, reference), self.tokenizer, self.run)

    def patch(
        self, prompt: str, other: str, point: str, position: int | None = None, other_position: int | None = None
    ) -> Tensor:
        """Logits (time, vocabulary) for `prompt` with the activation at `point` taken from `other`: `interventions.patch`."""
        ids, other_ids = (self.look(text).ids for text in (prompt, other))
        return interventions.patch(self.model, ids, other_ids, point, position, other_position)

    def remember(self, prompt: str, reply: str) -> Remembered:
        """Whether `reply` to `prompt` is remembered, recombined or invented, with the nearest training row.

        The first call reads what the run was trained on, which takes some seconds. Raises RunError if that is gone.
        """
        rendered = self.tokenizer.render(prompt, reply)
        if len(rendered.ids) > self.model.config.context + 1:
            raise ValueError(
                f"prompt and reply together have {len(rendered.ids)} tokens; at most {self.model.config.context + 1}"
            )
        return replace(self.memory.look_up(prompt, reply), model_nats=float(row_losses(self.model, [rendered])[0]))

    @cached_property
    def memory(self) -> Memory:
        """What the run has read. Reading it takes some seconds, once. Raises RunError if it is gone."""
        return memory_of(self.run)

    def left_out(self, prompt: str) -> int:
        """How many characters at the beginning of `prompt` are dropped because it is too long for the context."""
        return self.tokenizer.render_prompt(prompt, self.model.config.context)[1]


def check_prompt(prompt: str) -> None:
    """Raises ValueError if there is nothing to reply to."""
    if not prompt.strip():
        raise ValueError('there is nothing to reply to; say something, for example "hi guppy"')


def load(run: str | Path | None = None) -> Fish:
    """A fish from a run folder; without one, from the newest under runs/, or else the one that ships. Raises RunError."""
    folder = RunFolder(find_run(run))
    return Fish(folder.model(), folder.tokenizer(), folder)


def find_run(run: str | Path | None) -> Path:
    """The run folder meant by `run`: a path, a name under runs/ or of a fish that ships, or nothing. Raises RunError.

    Nothing is the newest run, and where there is none Guppy as he ships.
    """
    if run is None:
        found = newest_run() or SHIPPED / "guppy"
        if not (found / CONFIG).exists():
            raise RunError("there is no trained fish under runs/ yet; `guppylm train` makes one in five minutes")
        return found
    places = (Path(run), Path("runs") / run, SHIPPED / run)
    runs = [place for place in places if (place / CONFIG).exists()]  # a character's folder may have the same name
    return next((place for place in (*runs, *places) if place.is_dir()), places[0])


def ships(run: Path) -> bool:
    """Whether this run folder came with the package; nothing is written into such a one."""
    return SHIPPED in run.resolve().parents
