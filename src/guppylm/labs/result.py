"""What a lab finds, and its recorded form: small JSON files that ship with the package."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

DIGITS = 4  # of a recorded figure


class Look(NamedTuple):
    """Where a training stood."""

    step: int
    training: float  # nats a token that counts, mean of the steps since the last look
    validation: float  # nats a reply token


@dataclass(frozen=True)
class Figures:
    """One arm, trained. Losses in nats a token; shares are of `asked` replies at temperature 0.7."""

    arm: str
    parameters: int
    steps: int
    tokens: int  # read
    curve: tuple[Look, ...]
    training: float  # loss of the last tenth of the steps
    validation: float  # loss on conversations drawn like those for training, their replies only
    floor: float  # of the same: what nobody who reads from left to right can pass
    bits_per_byte: float  # of the same: fit to compare tokenizers
    asked: int
    on_topic: float  # replies that answer their prompt
    on_topic_unseen: float  # the same for asks that the data hold out
    on_topic_capitals: float  # the same as on_topic for the prompts in CAPITALS
    sentences: float  # replies that the character could say to anything at all: is it language?
    recited: float  # replies that stand word for word among the training rows
    replies: dict[str, str]

    @property
    def gap(self) -> float:
        """Validation loss minus floor."""
        return self.validation - self.floor


@dataclass(frozen=True)
class Result:
    """A lab, carried out once: all arms with one seed and one budget."""

    lab: str
    seed: int
    machine: str
    arms: tuple[Figures, ...]  # the one to compare with comes first

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it, figures rounded."""
        fields: dict[str, Any] = _rounded(asdict(self))
        return fields

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> "Result":
        """The result that `to_dict` wrote. Raises ValueError for anything else."""
        try:
            arms = tuple(Figures(**(arm | {"curve": tuple(Look(*look) for look in arm["curve"])})) for arm in fields["arms"])
            return Result(fields["lab"], fields["seed"], fields["machine"], arms)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the record of a lab: {error}") from error


def recorded(lab: str) -> list[Result]:
    """The runs of a lab that ship with the package, one a seed; none if it was never recorded."""
    file = resources.files("guppylm.labs").joinpath("recorded", f"{lab}.json")
    if not file.is_file():
        return []
    return [Result.from_dict(fields) for fields in json.loads(file.read_text(encoding="utf-8"))]


def record(folder: Path, results: Sequence[Result]) -> Path:
    """Writes the results of one lab, a line for each, and returns the file. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results[0].lab}.json"
    lines = [json.dumps(result.to_dict(), ensure_ascii=False, allow_nan=False) for result in results]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8", newline="\n")
    return path


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
