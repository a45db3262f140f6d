"""Runs Python lines with the fish of an exported folder, as JSON: `python expected.py MODEL_DIR LINE...`.

Its weights are dequantised as the page does it. `guppylm.load()` gives this fish, so that the lines which the page shows can
be run as they stand.
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any

import torch

import guppylm
import guppylm.fish
from guppylm.checkpoint import RunFolder
from guppylm.config import ModelConfig
from guppylm.data.tokenizer import Tokenizer
from guppylm.export.onnx_weights import Layout
from guppylm.fish import Fish
from guppylm.model import Transformer

SIZES = ("vocabulary_size", "context", "layers", "width", "heads", "mlp_width")


def exported(folder: Path) -> Fish:
    """The fish that the page shows."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    model = Transformer(ModelConfig(**{name: manifest["model"][name] for name in SIZES})).eval()
    model.load_state_dict(Layout(model.state_dict()).dequantised((folder / "weights.q8").read_bytes()))
    return Fish(model, Tokenizer.from_json((folder / "tokenizer.json").read_text("utf-8")), RunFolder(folder))


def value_of(line: str) -> Any:
    """What the last expression of a line of Python gives."""
    *before, last = ast.parse(line).body
    if not isinstance(last, ast.Expr):
        raise ValueError(f"the line ends in no expression: {line}")
    names: dict[str, Any] = {"guppylm": guppylm, "torch": torch}
    exec(compile(ast.Module(before, []), "line", "exec"), names)
    return eval(compile(ast.Expression(last.value), "line", "eval"), names)


def plain(value: Any) -> Any:
    """For JSON: a tensor as lists, whatever is hidden as None."""
    if isinstance(value, torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if value in (float("inf"), float("-inf")) else value


if __name__ == "__main__":
    folder, *lines = sys.argv[1:]
    guppylm.fish.load = lambda run=None: exported(Path(folder))  # a new one each time: a line may change it
    with torch.no_grad():
        print(json.dumps([plain(value_of(line)) for line in lines]))
