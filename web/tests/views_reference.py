"""Figures of PyTorch and of Python's tokenizer for the views Guess, Chop and Growing, as JSON.

`python views_reference.py guess MODEL_DIR`: what the fish puts on each token of the game's conversations.
`python views_reference.py chop MODEL_DIR TEXT`: the tokens with the normalizer's lowercasing and without, and greedy replies.
`python views_reference.py growing MODEL_DIR TEXT`: greedy replies and attention patterns of each checkpoint.

The weights are those of the exported folder, dequantised: the page and PyTorch then compute with the same numbers.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers.normalizers import NFC

from guppylm.config import ModelConfig
from guppylm.data.tokenizer import Tokenizer
from guppylm.export.onnx_weights import Layout
from guppylm.guess import model_shares
from guppylm.inference.engine import stream
from guppylm.inference.sampling import SamplingConfig
from guppylm.interpretability import lens
from guppylm.model import Transformer

SIZES = ("vocabulary_size", "context", "layers", "width", "heads", "mlp_width")
GREEDY = SamplingConfig(temperature=0)


class Folder:
    """An exported folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = json.loads((path / "manifest.json").read_text("utf-8"))
        self.config = ModelConfig(**{name: self.manifest["model"][name] for name in SIZES})
        self.tokenizer = Tokenizer.from_json((path / "tokenizer.json").read_text("utf-8"))

    def model(self, file: str = "weights.q8") -> Transformer:
        """The model with these weights."""
        model = Transformer(self.config).eval()
        model.load_state_dict(Layout(model.state_dict()).dequantised((self.path / file).read_bytes()))
        return model

    def reply(self, model: Transformer, ids: Sequence[int], most: int) -> str:
        """The likeliest reply, cut off after `most` tokens."""
        said = [token for token, _ in zip(stream(model, ids, self.tokenizer.end, GREEDY, seed=1), range(most), strict=False)]
        return self.tokenizer.decode(said)


def guess(folder: Folder) -> Any:
    """The chance that the fish gave each token."""
    model, found = folder.model(), []
    for one in folder.manifest["game"]["conversations"]:
        rendered = folder.tokenizer.render(one["prompt"], one["reply"])
        tokens = rendered.ids[-sum(rendered.is_reply) :]
        shares = model_shares(model, rendered)
        found.append({"tokens": tokens, "chances": [float(shares[place, token]) for place, token in enumerate(tokens)]})
    return found


def chop(folder: Folder, text: str) -> Any:
    """Tokens and replies, with the normalizer's lowercasing and without."""
    model, tokenizer, counts = folder.model(), folder.tokenizer, json.loads((folder.path / "counts.json").read_text("utf-8"))
    found: dict[str, Any] = {}
    for name in ("lower", "as it is"):
        if name == "as it is":
            tokenizer.bpe.normalizer = NFC()
        ids = tokenizer.encode(text)
        found[name] = {
            "ids": ids,
            "labels": [tokenizer.token_text(token) for token in ids],
            "times": [counts[token] for token in ids],
            "reply": folder.reply(model, [tokenizer.start, *ids, tokenizer.answer], 30),
        }
    vectors = model.token_embedding.weight[: tokenizer.size][torch.tensor(counts[: tokenizer.size]) == 0].double()
    vectors /= vectors.norm(dim=1, keepdim=True)
    cosines = vectors @ vectors.T
    found["cosine"] = float((cosines.sum() - cosines.diagonal().sum()) / (len(vectors) * (len(vectors) - 1)))
    return found


def growing(folder: Folder, text: str) -> Any:
    """The likeliest reply of each age, and all its attention patterns over the prompt."""
    found = []
    for one in folder.manifest["checkpoints"]:
        model = folder.model(one["file"])
        look = lens.look(model, folder.tokenizer, text)
        reply = folder.reply(model, look.ids, 40)
        found.append({"step": one["step"], "reply": reply, "attention": look.attention.tolist()})
    return found


if __name__ == "__main__":
    asked: dict[str, Callable[..., Any]] = {"guess": guess, "chop": chop, "growing": growing}
    with torch.inference_mode():
        print(json.dumps(asked[sys.argv[1]](Folder(Path(sys.argv[2])), *sys.argv[3:])))
