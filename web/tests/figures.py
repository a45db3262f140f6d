"""Figures of PyTorch and of Python's tokenizer to compare the page with: `python figures.py MODEL_DIR`.

Reads questions from standard input, a line of JSON each: the name of a function below and its arguments. Answers each with a
line of JSON. The fish is that of the exported folder, its weights dequantised: page and PyTorch then compute with the same
numbers.
"""

import ast
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers.normalizers import NFC

import guppylm
import guppylm.fish
from guppylm.checkpoint import RunFolder
from guppylm.config import ModelConfig
from guppylm.data.tokenizer import Tokenizer
from guppylm.export.onnx_weights import Layout
from guppylm.fish import Fish
from guppylm.guess import model_shares
from guppylm.inference.engine import stream
from guppylm.inference.sampling import SamplingConfig, filtered
from guppylm.model import Transformer

SIZES = ("vocabulary_size", "context", "layers", "width", "heads", "mlp_width")
DIALS = [(0.7, 0, 1.0, 0.0), (1.0, 5, 1.0, 0.0), (1.3, 0, 0.6, 0.0), (0.9, 0, 1.0, 0.1), (1.5, 40, 0.9, 0.02)]
GREEDY = SamplingConfig(temperature=0)


def told(folder: Path, name: str) -> Any:
    """A JSON file of the folder."""
    return json.loads((folder / name).read_text("utf-8"))


def exported(folder: Path, weights: str = "weights.q8") -> Fish:
    """The fish that the page shows, or with these weights a younger one."""
    model = Transformer(ModelConfig(**{name: told(folder, "manifest.json")["model"][name] for name in SIZES})).eval()
    model.load_state_dict(Layout(model.state_dict()).dequantised((folder / weights).read_bytes()))
    return Fish(model, Tokenizer.from_json((folder / "tokenizer.json").read_text("utf-8")), RunFolder(folder))


def lines(folder: Path, *asked: str) -> list[Any]:
    """What the last expression of each line of Python gives, with this fish as `guppylm.load()`: the page's own lines run."""
    guppylm.fish.load = lambda run=None: exported(folder)  # a new one each time: a line may change it
    return [plain(value_of(line)) for line in asked]


def value_of(line: str) -> Any:
    """What the last expression of this line gives."""
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


def engine(folder: Path, prompt: str) -> dict[str, Any]:
    """Every activation, the logit lens, and what each setting of the dials leaves of the next token's probabilities."""
    look = exported(folder).look(prompt)
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


def guess(folder: Path) -> list[Any]:
    """The chance that the fish gives each token of the game's conversations."""
    fish, found = exported(folder), []
    for one in told(folder, "manifest.json")["game"]["conversations"]:
        rendered = fish.tokenizer.render(one["prompt"], one["reply"])
        tokens = rendered.ids[-sum(rendered.is_reply) :]
        shares = model_shares(fish.model, rendered)
        found.append({"tokens": tokens, "chances": [float(shares[place, token]) for place, token in enumerate(tokens)]})
    return found


def chop(folder: Path, text: str) -> dict[str, Any]:
    """Tokens and the likeliest replies, with the normalizer's lowercasing and without."""
    fish, counts = exported(folder), told(folder, "counts.json")
    tokenizer, found = fish.tokenizer, {}
    for name in ("lower", "as it is"):
        if name == "as it is":
            tokenizer.bpe.normalizer = NFC()
        ids = tokenizer.encode(text)
        found[name] = {
            "ids": ids,
            "labels": [tokenizer.token_text(token) for token in ids],
            "times": [counts[token] for token in ids],
            "reply": said(fish, [tokenizer.start, *ids, tokenizer.answer], 30),
        }
    vectors = fish.model.token_embedding.weight[: tokenizer.size][torch.tensor(counts[: tokenizer.size]) == 0].double()
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    cosines = vectors @ vectors.T
    found["cosine"] = float((cosines.sum() - cosines.diagonal().sum()) / (len(vectors) * (len(vectors) - 1)))
    return found


def growing(folder: Path, text: str) -> list[Any]:
    """The likeliest reply of each age, and all its attention patterns over the prompt."""
    found = []
    for one in told(folder, "manifest.json")["checkpoints"]:
        fish = exported(folder, one["file"])
        look = fish.look(text)
        found.append({"step": one["step"], "reply": said(fish, look.ids, 40), "attention": look.attention.tolist()})
    return found


def said(fish: Fish, ids: Sequence[int], most: int) -> str:
    """The likeliest reply, cut off after `most` tokens."""
    new = stream(fish.model, ids, fish.tokenizer.end, GREEDY, seed=1)
    return fish.tokenizer.decode([token for token, _ in zip(new, range(most), strict=False)])


if __name__ == "__main__":
    answers: dict[str, Callable[..., Any]] = {one.__name__: one for one in (lines, engine, guess, chop, growing)}
    out, sys.stdout = sys.stdout, sys.stderr  # so that nothing else comes between the answers
    for question in sys.stdin:
        name, *arguments = json.loads(question)
        try:
            with torch.no_grad():
                answer = {"answer": answers[name](Path(sys.argv[1]), *arguments)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=out, flush=True)
