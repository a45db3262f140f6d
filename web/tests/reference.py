"""Figures of PyTorch to compare the page with, as JSON: `python reference.py MODEL_DIR PROMPT`.

The weights are those of the exported folder, dequantised: the page and PyTorch then compute with the same numbers.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from guppylm.config import ModelConfig
from guppylm.data.tokenizer import Tokenizer
from guppylm.export.onnx_weights import Layout
from guppylm.inference.sampling import SamplingConfig, filtered
from guppylm.interpretability import lens
from guppylm.model import Transformer

DIALS = [(0.7, 0, 1.0, 0.0), (1.0, 5, 1.0, 0.0), (1.3, 0, 0.6, 0.0), (0.9, 0, 1.0, 0.1), (1.5, 40, 0.9, 0.02)]
SIZES = ("vocabulary_size", "context", "layers", "width", "heads", "mlp_width")


def reference(folder: Path, prompt: str) -> dict[str, Any]:
    """Every activation, the logit lens, and what each setting of the dials leaves of the next token's probabilities."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    model = Transformer(ModelConfig(**{name: manifest["model"][name] for name in SIZES})).eval()
    layout = Layout(model.state_dict())
    model.load_state_dict(layout.dequantised((folder / "weights.q8").read_bytes()))
    tokenizer = Tokenizer.from_json((folder / "tokenizer.json").read_text("utf-8"))
    with torch.inference_mode():
        look = lens.look(model, tokenizer, prompt)
        logits = look.activations["logits"][-1]
        return {
            "ids": list(look.ids),
            "labels": look.texts,
            "activations": {
                name: {"shape": list(tensor.shape), "data": torch.nan_to_num(tensor.double(), neginf=-1e30).flatten().tolist()}
                for name, tensor in look.activations.items()
            },
            "lens": look.lens.softmax(-1).topk(5).values.tolist(),
            "dials": [
                {"sampling": dials, "shares": filtered(logits, SamplingConfig(*dials)).softmax(-1).tolist()} for dials in DIALS
            ],
        }


if __name__ == "__main__":
    print(json.dumps(reference(Path(sys.argv[1]), sys.argv[2])))
