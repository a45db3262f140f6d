"""README.md of an exported folder: how to run it without any code of ours. A test runs the program in it."""

import json
from collections.abc import Collection, Mapping
from typing import Any

PROGRAM = """\
import json
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

manifest = json.loads(Path("manifest.json").read_text(encoding="utf-8"))
model, tokens = manifest["model"], manifest["tokens"]

small, large = Path("weights.q8").read_bytes(), b""
for tensor in manifest["tensors"]:  # they stand in weights.f32 in this order, one after the other
    shape, scales = tensor["shape"], np.float32(1)
    kind = "<f4" if tensor["scale_offset"] is None else "<i1"
    numbers = np.frombuffer(small, kind, int(np.prod(shape)), tensor["q8_offset"]).reshape(shape)
    if tensor["scale_offset"] is not None:
        scales = np.frombuffer(small, "<f4", shape[0], tensor["scale_offset"])[:, None]  # one for each row
    large += (numbers * scales).astype("<f4").tobytes()
Path("weights.f32").write_bytes(large)

tokenizer = Tokenizer.from_file("tokenizer.json")
tokenizer.encode_special_tokens = True  # <|im_end|> in a person's text is text
asked = tokenizer.encode(PROMPT, add_special_tokens=False).ids
new, said = [tokens["start"]["id"], *asked, tokens["answer"]["id"]], []
chat = onnxruntime.InferenceSession("chat.onnx")
past = np.zeros((model["layers"], 2, 1, model["heads"], 0, model["width"] // model["heads"]), np.float32)
while past.shape[4] + len(new) <= model["context"]:
    logits, past = chat.run(["logits", "present"], {"ids": np.array([new]), "past": past})
    new = [int(logits[0].argmax())]  # always the likeliest; manifest["sampling"] says how guppylm draws
    if new[0] == tokens["end"]["id"]:
        break
    said += new
print(tokenizer.decode(said))
"""


FILES = {  # name -> what it is
    "chat.onnx": "for talking: `ids` and `past` to the `logits` after the last token, and `present`, the next call's `past`",
    "glass.onnx": "for looking inside: every activation by name, and gates that switch parts off",
    "weights.q8": "the weights of both graphs, 8 bits each; a reader makes `weights.f32` from them, once",
    "checkpoints/": "weights from earlier in the training, in the same layout",
    "manifest.json": "shapes, places of tensors, greedy replies that every reader must come to, checksums",
    "tokenizer.json": "for the library `tokenizers` and its relatives",
    "counts.json": "how often training met each token, by its id",
    "metrics.json": "the loss along the way",
    "seen.bin": "sorted 64-bit hashes of what training read: replies, pairs of prompt and reply, sentences",
}


def readme(manifest: Mapping[str, Any], files: Collection[str]) -> str:
    """The text, for the folder that `manifest` describes, with `files` in it."""
    model, golden = manifest["model"], manifest["golden"][0]
    there = {*files, "manifest.json", *(f"{name.partition('/')[0]}/" for name in files if "/" in name)}
    table = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in FILES.items() if name in there)
    return f"""# {manifest["character"]["title"]}

A language model of {model["parameters"]:,} parameters that talks as one character, made by guppylm and exported with
`guppylm export --to onnx`. Any program with an ONNX runtime can run it:

```python
{PROGRAM.replace("PROMPT", json.dumps(golden["prompt"], ensure_ascii=False))}```

This prints `{golden["reply"]}`

| file | what it is |
|---|---|
{table}

{_cost(manifest["weights"])}

Inputs of `glass.onnx` beside `ids` (batch, time), all 1 in the model as it was trained: `heads` (batch, layers, heads) is
multiplied with what a head takes over before the output matrix, `mlps` (batch, layers) with what an MLP adds, its bias
included; 0 is an ablation. `causal` 0 lets every token see all, `positions_on` 0 takes the position embedding away. Texts in
one batch are of one length: nothing is padded.
"""


def _cost(weights: Mapping[str, Any]) -> str:
    if weights["kl_nats"] is None:
        return f"What 8 bits cost was not measured: {weights['kl_missing']}"
    return (
        f"What 8 bits cost: {weights['kl_nats']:.2g} nats a reply token, the mean KL divergence from the unrounded weights on"
        f" {weights['kl_rows']} rows of `test_fresh`."
    )
