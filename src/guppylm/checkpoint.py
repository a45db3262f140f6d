"""The run folder: the only code that reads or writes one.

config.json                  the model, the training, the character: what it takes to do it again
tokenizer.json               and vocabulary.tsv, its readable twin
training_state.safetensors   the one authority: weights, optimizer, step. Written in one piece or not at all
model.safetensors            the weights alone, derived from it
checkpoints/                 about eight sets of weights along the way, in half precision
metrics.jsonl samples.jsonl  what was measured and said along the way
data/                        the conversations, or the text
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from guppylm.config import ModelConfig, TrainConfig, from_dict
from guppylm.data.text import tokenizer_from_json
from guppylm.data.tokenizer import Tokenizer
from guppylm.errors import RunError
from guppylm.model import Transformer

FORMAT = 1
STATE, WEIGHTS, CONFIG, TOKENIZER = "training_state.safetensors", "model.safetensors", "config.json", "tokenizer.json"
SCORECARD = "scorecard.json"
CHARACTER, CONVERSATIONS, TEXT = KINDS = ("character", "conversations", "text")  # what a run may have learned from
OURS = (
    STATE,
    WEIGHTS,
    CONFIG,
    TOKENIZER,
    "vocabulary.tsv",
    "metrics.jsonl",
    "samples.jsonl",
    SCORECARD,
    "report.html",
    "report.md",
    "data",
    "checkpoints",
)


@dataclass(frozen=True)
class RunConfig:
    """config.json: everything that a training was told, and the number of steps that came of it."""

    model: ModelConfig
    train: TrainConfig
    character: str = ""  # the name that it was trained by: a shipped one's, or a folder; else the file that it learned from
    fingerprint: str = ""  # of the character's files, or of that file
    prompts: tuple[str, ...] = ()  # the character's, answered when the training is done
    rows: int = 0  # training conversations
    guppylm: str = ""  # the version that wrote it
    kind: str = CHARACTER  # what it learned from

    @property
    def name(self) -> str:
        """What to call it."""
        return Path(self.character).name if self.kind == CHARACTER else Path(self.character).stem

    def to_json(self) -> str:
        """The text of config.json."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=2) + "\n"

    @staticmethod
    def from_json(text: str, where: Path) -> "RunConfig":
        """Raises RunError for another format, and for unknown, missing or wrong entries."""
        try:
            values = json.loads(text)
            written = values.pop("format")
            if written != FORMAT:
                raise RunError(f"{where} has format {written}, this guppylm reads {FORMAT}; install the version that wrote it")
            model = from_dict(ModelConfig, values.pop("model"))
            train = from_dict(TrainConfig, values.pop("train"))
            config = RunConfig(model, train, prompts=tuple(values.pop("prompts")), **values)
            if config.kind not in KINDS:
                raise ValueError(f"no kind {config.kind!r}; there are {', '.join(KINDS)}")
            return config
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunError(f"{where} is damaged or from another version: {error}; train again with --overwrite") from error


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands after `step` updates. The random state and the place in the data follow from seed and step."""

    step: int
    tokens: int  # read so far
    seconds: float  # spent on updates so far
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]


class RunFolder:
    """One training's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def has_run(self) -> bool:
        """Whether a training has got as far as its first save."""
        return (self.path / STATE).exists() or (self.path / WEIGHTS).exists()

    def create(self, overwrite: bool) -> None:
        """Makes the folder ready for a new run. Raises RunError if it holds one and `overwrite` is false, or can't be made."""
        if self.has_run and not overwrite:
            raise RunError(
                f"{self.path} already holds a run: --resume goes on with it, --overwrite deletes it, --out takes another"
            )
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; give a folder with --out")
        try:
            for name in OURS:  # a stranger's files in this folder stay
                entry = self.path / name
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink(missing_ok=True)
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path} can't be written: {error.strerror}; choose another folder with --out") from error

    def write(self, name: str, content: str | bytes) -> None:
        """Writes one file in one piece: readers see the old file or the new one, never half of one. Raises RunError."""
        target = self.path / name
        unfinished = target.with_name(target.name + ".unfinished")
        data = content.encode() if isinstance(content, str) else content
        try:
            with open(unfinished, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise RunError(
                f"{target} could not be saved: {error.strerror}; the last saved state is whole, make room and --resume"
            ) from error

    def read(self, name: str) -> str:
        """A text file of the run. Raises RunError if it is missing."""
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise RunError(self._missing(name)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{self.path / name} can't be read: {error}") from error

    def append(self, name: str, entry: Mapping[str, Any]) -> None:
        """Adds one line to a JSON-lines file. Raises RunError if the disk is full."""
        try:
            with open(self.path / name, "a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        except OSError as error:
            raise RunError(f"{self.path / name} could not be written: {error.strerror}; make room and --resume") from error

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The entries of a JSON-lines file; a last line that a crash cut short is left out."""
        path = self.path / name
        if path.exists():
            for line in path.read_text(encoding="utf-8").split("\n"):
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    return

    def truncate(self, name: str, step: int) -> None:
        """Drops the entries of a JSON-lines file that come after `step`."""
        kept = [entry for entry in self.lines(name) if entry["step"] <= step]
        self.write(name, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in kept))

    def config(self) -> RunConfig:
        """What the run was told. Raises RunError."""
        return RunConfig.from_json(self.read(CONFIG), self.path / CONFIG)

    def tokenizer(self) -> Tokenizer:
        """The run's tokenizer. Raises RunError."""
        try:
            return tokenizer_from_json(self.read(TOKENIZER))
        except ValueError as error:
            raise RunError(f"{self.path / TOKENIZER} is damaged: {error}") from error

    def fix(self, train: TrainConfig) -> None:
        """Writes into config.json what a training by the clock has turned out to be."""
        self.write(CONFIG, dataclasses.replace(self.config(), train=train).to_json())

    def save_state(self, state: TrainingState) -> None:
        """Saves the training state, and from it the weights."""
        tensors = {f"model.{name}": tensor for name, tensor in state.weights.items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in state.optimizer.items()}
        numbers = {"format": FORMAT, "step": state.step, "tokens": state.tokens, "seconds": state.seconds}
        self.write(STATE, serialised(tensors, {name: str(value) for name, value in numbers.items()}))
        self.write(WEIGHTS, serialised(state.weights))

    def save_weights_along_the_way(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Keeps a half-precision copy of the weights at this step in checkpoints/."""
        self.write(f"checkpoints/step_{step:06d}.safetensors", serialised({n: t.half() for n, t in weights.items()}))

    def load_state(self, device: torch.device) -> TrainingState:
        """The last saved training state. Raises RunError if there is none or it does not fit config.json."""
        if not (self.path / STATE).exists():
            raise RunError(f"there is nothing to resume in {self.path}: no training state; train without --resume")
        tensors, numbers = _read_tensors(self.path / STATE)
        if numbers.get("format") != str(FORMAT):
            raise RunError(f"{self.path / STATE} has format {numbers.get('format')}, this guppylm reads {FORMAT}")
        parts = {
            part: {name.removeprefix(part): t.to(device) for name, t in tensors.items() if name.startswith(part)}
            for part in ("model.", "optimizer.")
        }
        return TrainingState(
            int(numbers["step"]), int(numbers["tokens"]), float(numbers["seconds"]), parts["model."], parts["optimizer."]
        )

    def model(self, weights: str = WEIGHTS) -> Transformer:
        """The trained model, from `weights` (a file of the run, checkpoints among them). Raises RunError."""
        config = self.config().model
        if weights == WEIGHTS and (self.path / STATE).exists() and not (self.path / WEIGHTS).exists():
            tensors = self.load_state(torch.device("cpu")).weights  # a crash came between the two saves
        elif (self.path / weights).exists():
            tensors, _ = _read_tensors(self.path / weights)
        else:
            raise RunError(self._missing(weights))
        model = Transformer(config)
        load_strictly(model.state_dict(), {name: tensor.float() for name, tensor in tensors.items()}, str(self.path / weights))
        return model.eval()

    def _missing(self, name: str) -> str:
        if not self.path.is_dir():
            return f"there is no run folder {self.path}; `guppylm train` makes one"
        return f"{self.path} is no complete run: {name} is missing; train again with --overwrite"


def load_strictly(target: Mapping[str, Tensor], source: Mapping[str, Tensor], where: str) -> None:
    """Copies each tensor of `source` into the one of the same name. Raises RunError that names what does not fit."""
    missing, extra = sorted(target.keys() - source.keys()), sorted(source.keys() - target.keys())
    if missing or extra:
        problem = f"lacks {missing[0]}" if missing else f"has {extra[0]}, which the model does not"
        raise RunError(f"{where} does not fit config.json: it {problem}; both must come from one run")
    with torch.no_grad():
        for name, tensor in source.items():
            if tensor.shape != target[name].shape:
                shapes = f"{tuple(tensor.shape)} where {tuple(target[name].shape)} is needed"
                raise RunError(f"{where} does not fit config.json: {name} has shape {shapes}; both must come from one run")
            if not torch.isfinite(tensor).all():
                raise RunError(
                    f"{where} is damaged: {name} holds numbers that are not finite; resume from a save, or train again"
                )
            target[name].copy_(tensor)


def serialised(tensors: Mapping[str, Tensor], numbers: dict[str, str] | None = None) -> bytes:
    """The bytes of a safetensors file."""
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, numbers)


def _read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (no dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}); copy it again, or train again with --overwrite") from error


def newest_run(root: Path = Path("runs")) -> Path | None:
    """The run folder under `root` that was trained last, if there is one."""
    runs = [path.parent for path in root.glob(f"*/{WEIGHTS}")]
    return max(runs, key=lambda run: (run / WEIGHTS).stat().st_mtime, default=None)
