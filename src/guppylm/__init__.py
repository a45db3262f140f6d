"""guppylm: a language model small enough to understand completely.

>>> import guppylm
>>> fish = guppylm.train(minutes=5)      # or guppylm.load("runs/guppy")
>>> fish.reply("i got you a new castle", seed=1)
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Fish", "SamplingConfig", "load", "train"]

if TYPE_CHECKING:
    from guppylm.fish import Fish, load
    from guppylm.inference.sampling import SamplingConfig


def train(character: str = "guppy", **options: Any) -> "Fish":
    """Trains a character and returns it; the options are those of `guppylm.training.run.run_training`."""
    from guppylm.fish import load
    from guppylm.training.run import run_training

    return load(run_training(character, **options).path)


def __getattr__(name: str) -> Any:
    """torch takes seconds to import, so what needs it is imported when it is first asked for."""
    if name in ("Fish", "load"):
        from guppylm import fish

        return getattr(fish, name)
    if name == "SamplingConfig":
        from guppylm.inference.sampling import SamplingConfig

        return SamplingConfig
    raise AttributeError(f"module 'guppylm' has no attribute {name!r}")
