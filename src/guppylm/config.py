"""Every dial of the model and of its training, with the presets fry, guppy and koi."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, TypeVar

PRECISIONS = ("float32", "bfloat16", "float16")

C = TypeVar("C", "ModelConfig", "TrainConfig")


@dataclass(frozen=True)
class ModelConfig:
    """The shape of the transformer. The defaults are Guppy's: 8,726,016 parameters."""

    vocabulary_size: int = 4096  # tokens it can read and say
    context: int = 128  # tokens it can look back on
    layers: int = 6
    width: int = 384  # numbers in a token's vector
    heads: int = 6  # each looks with width / heads of them
    mlp_width: int = 768

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} is {getattr(self, field.name)}; it must be at least 1")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads; make it a multiple")


@dataclass(frozen=True)
class TrainConfig:
    """How the model is trained."""

    steps: int = 500  # weight updates
    tokens_per_step: int = 2048  # read for one update
    batches_per_step: int = 4  # in which they come, each of rows of one length, from short to long
    matrix_learning_rate: float = 0.01  # Muon: how far, in units of the matrix's own scale, one step moves it
    learning_rate: float = 0.006  # Adam: embeddings, gains and biases
    momentum: float = 0.75  # of Muon's mean gradient, how much is kept at each step
    warmup_steps: int = 10  # the learning rates climb to their full value
    shallow_steps: int = 0  # so many steps, at first, run and teach a third of the layers only: the others add nothing yet
    deep_rate: float = 0.6  # of the learning rates, what is left of them when the other layers join in
    decay: float = 0.5  # the share of the steps after those, at the end, over which the learning rates fall to zero
    seed: int = 1  # of the weights and of the order of the rows
    first_token: float = 1.0  # what the first token of a reply weighs in the loss, where each of the others weighs 1
    precision: str = "float32"  # of the matrix products; "bfloat16", or else "float16", where the machine is faster with it
    evaluations: int = 16  # looks at the validation rows along the way
    evaluation_rows: int = 128  # how many of them

    def __post_init__(self) -> None:
        for name in ("steps", "tokens_per_step", "batches_per_step", "evaluations", "evaluation_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.shallow_steps < self.steps:
            raise ValueError(f"shallow_steps is {self.shallow_steps}; it must be at least 0 and less than steps, {self.steps}")
        if not 0 < self.first_token < math.inf:
            raise ValueError(f"first_token is {self.first_token}; it must be above 0")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay is {self.decay}; it must be above 0 and at most 1")
        if self.precision not in PRECISIONS:
            raise ValueError(f"no precision {self.precision!r}; there are {', '.join(PRECISIONS)}")


PRESETS = {
    "fry": ModelConfig(layers=3, width=128, heads=4, mlp_width=256),  # about 1 M parameters: for experiments
    "guppy": ModelConfig(),
    "koi": ModelConfig(layers=10, width=512, heads=8, mlp_width=2048),  # about 34 M: for those with a GPU
}


def preset(name: str) -> ModelConfig:
    """The model of that name. Raises ValueError for an unknown one."""
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def from_dict(kind: type[C], values: dict[str, Any]) -> C:
    """A config from its saved form. Raises ValueError for an unknown, missing or mistyped key."""
    fields = {field.name: field.type for field in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            raise ValueError(f"{kind.__name__} has no {name!r}; it knows {', '.join(fields)}")
    for name, kind_of_value in fields.items():
        if name not in values:
            raise ValueError(f"{kind.__name__} lacks {name!r}")
        allowed = (int, float) if kind_of_value is float else kind_of_value
        if not isinstance(values[name], allowed) or isinstance(values[name], bool):  # type: ignore[arg-type]
            raise ValueError(f"{name} is {values[name]!r}; it must be of type {kind_of_value.__name__}")  # type: ignore[union-attr]
    return kind(**values)
