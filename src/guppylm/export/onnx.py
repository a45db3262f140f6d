"""To ONNX: a folder from which a web page, or any program with an ONNX runtime, runs the fish and looks inside it.

chat.onnx glass.onnx    the model as two graphs without weights: to talk, and to see and change what happens inside
weights.q8              the weights of both, 8 bits each
checkpoints/            the same from earlier in its training
tokenizer.json
manifest.json           what is where, and what must come out: shapes, offsets, replies, checksums
counts.json             how often training read each token
metrics.json            the loss along the way
seen.bin                hashes of what it read
README.md               how to use all this from Python
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from guppylm.checkpoint import load_strictly
from guppylm.data.batches import in_order
from guppylm.data.character import load_character
from guppylm.data.conversations import Row
from guppylm.data.tokenizer import ANSWER, END, REPLY_TOKENS, START, Tokenizer
from guppylm.errors import RunError
from guppylm.evaluation.loss import TOKENS_PER_BATCH
from guppylm.evaluation.rows import rows_of
from guppylm.export.folder import check_new, write_all
from guppylm.export.onnx_game import game
from guppylm.export.onnx_history import add_checkpoints, add_history, steps_done
from guppylm.export.onnx_readme import readme
from guppylm.export.onnx_weights import Layout
from guppylm.fish import Fish
from guppylm.inference.engine import stream
from guppylm.inference.sampling import SamplingConfig
from guppylm.model import Transformer

FORMAT = 1
MANIFEST = "manifest.json"
EXPORTED = "exported"  # in a run folder
PROMPT = "i got you a new castle"  # for a fish whose sheet names none
GOLDEN = 8  # prompts whose greedy replies are told
GREEDY = SamplingConfig(temperature=0)
KL_ROWS = 500  # of test_fresh
ODD_TEXTS = (  # what tokenizers in other languages are likely to get wrong
    "HELLO Guppy",
    "a cafe\u0301, a caf\u00e9",
    "two  spaces\n\tand a \U0001f41f",
    f"{END}\n{START}forged",
    "it's 42, isn't it?!",
)


def export_onnx(fish: Fish, out: Path) -> list[str]:
    """Writes the folder; returns the names of its files. Raises RunError if `out` holds something, or onnx is missing.

    What it finds out about a long training takes a minute. A fish whose run folder holds a folder "exported", made by this
    function, is copied from there.
    """
    if fish.continues:
        raise RunError(f"{fish.run.path} has learned from a text and has no chat format; only what replies is exported")
    check_new(out)
    layout = Layout(fish.model.state_dict())
    small = layout.quantised(fish.model.state_dict())
    files = _exported_before(fish, small) or _exported(fish, layout, small)
    write_all(out, files)
    return sorted(files)


def _exported(fish: Fish, layout: Layout, small: bytes) -> dict[str, bytes]:
    try:
        from guppylm.export.onnx_graph import chat_graph, glass_graph
    except ModuleNotFoundError as error:
        raise RunError(f'this needs the package {error.name}: pip install "guppylm[onnx]"') from error
    config = fish.model.config
    model = Transformer(config).eval()  # as every reader of the folder will have it
    load_strictly(model.state_dict(), layout.dequantised(small), "weights.q8")
    files = {
        "chat.onnx": chat_graph(config, layout),
        "glass.onnx": glass_graph(config, layout),
        "weights.q8": small,
        "tokenizer.json": fish.tokenizer.to_json().encode(),
    }
    manifest = _described(fish, model, layout)
    manifest["checkpoints"] = add_checkpoints(fish.run, layout, files)
    manifest |= add_history(fish.run, fish.tokenizer, files)
    manifest["game"] = game(fish, manifest["missing"])
    files["README.md"] = readme(manifest, files).encode()
    manifest["files"] = [
        {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in sorted(files.items())
    ]
    files[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    return files


def _exported_before(fish: Fish, small: bytes) -> dict[str, bytes] | None:
    """An earlier export of this very fish that lies whole in its run folder; None if there is none."""
    folder = fish.run.path / EXPORTED
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    same = files.get("weights.q8") == small and files.get("tokenizer.json") == fish.tokenizer.to_json().encode()
    if not same or MANIFEST not in files:
        return None
    try:
        manifest = json.loads(files[MANIFEST])
        sums = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
        whole = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != MANIFEST} == sums
        return files if whole and manifest["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError):
        return None


def _described(fish: Fish, model: Transformer, layout: Layout) -> dict[str, Any]:
    """The manifest, up to what depends on the files. `model` is the fish's with the weights of the folder."""
    run, tokenizer = fish.run.config(), fish.tokenizer
    tokens = max((int(entry["tokens"]) for entry in fish.run.lines("metrics.jsonl")), default=None)
    marks = {"start": (tokenizer.start, START), "answer": (tokenizer.answer, ANSWER), "end": (tokenizer.end, END)}
    return {
        "format": FORMAT,
        "character": {"name": Path(run.character).name, "title": _title(run.character)},
        "prompts": list(run.prompts),
        "model": {**asdict(model.config), "parameters": sum(place.size for place in layout.tensors.values())},
        "run": {
            "steps": steps_done(fish.run),
            "tokens": tokens,
            "rows": run.rows,
            "seed": run.train.seed,
            "guppylm": run.guppylm,
        },
        "tokens": {
            **{name: {"id": number, "text": text} for name, (number, text) in marks.items()},
            "known": tokenizer.size,
            "kept_for_reply": REPLY_TOKENS,
            "encoded": [{"text": text, "ids": tokenizer.encode(text)} for text in ODD_TEXTS],
        },
        "sampling": asdict(SamplingConfig()),
        "graphs": {"chat": "chat.onnx", "glass": "glass.onnx"},
        "weights": {
            "file": "weights.q8",
            "bytes": layout.q8_bytes,
            "f32_file": "weights.f32",
            "f32_bytes": layout.f32_bytes,
            **_cost(fish, model),
        },
        "tensors": [{"name": name, **asdict(place)} for name, place in layout.tensors.items()],
        "golden": golden_replies(model, tokenizer, run.prompts or (PROMPT,)),
    }


def _title(character: str) -> str:
    try:
        return load_character(character).title
    except ValueError:  # the sheet is gone, or no longer fits this version
        return Path(character).name


def golden_replies(model: Transformer, tokenizer: Tokenizer, prompts: Sequence[str]) -> list[dict[str, Any]]:
    """What every reader of the folder must come to: ids of the prompt, ids and text of the reply, always the likeliest."""
    golden = []
    for prompt in prompts[:GOLDEN]:
        ids, _ = tokenizer.render_prompt(prompt, model.config.context)
        said = list(stream(model, ids, tokenizer.end, GREEDY, seed=1))
        golden.append({"prompt": prompt, "prompt_ids": ids, "reply_ids": said, "reply": tokenizer.decode(said)})
    return golden


def _cost(fish: Fish, model: Transformer) -> dict[str, Any]:
    """What 8 bits cost: the KL divergence a reply token, in nats, on rows of test_fresh; null if there are none."""
    try:
        rows = rows_of(fish.run, "test_fresh")[:KL_ROWS]
    except (RunError, ValueError) as error:
        return {"kl_nats": None, "kl_missing": str(error)}
    nats, tokens = divergence(fish.model, model, fish.tokenizer, rows)
    return {"kl_nats": nats, "kl_rows": len(rows), "kl_tokens": tokens}


@torch.inference_mode()
def divergence(model: Transformer, other: Transformer, tokenizer: Tokenizer, rows: Sequence[Row]) -> tuple[float, int]:
    """Mean KL divergence of `other` from `model` over the reply tokens of `rows`, in nats, and their number."""
    rendered = tokenizer.render_all([(row.prompt, row.reply) for row in rows])
    total, tokens = 0.0, 0
    for _, batch in in_order(rendered, TOKENS_PER_BATCH):
        said, said_by_other = (one(batch.ids, only=batch.counts).double().log_softmax(-1) for one in (model, other))
        total += float((said.exp() * (said - said_by_other)).sum())
        tokens += len(said)
    return total / tokens, tokens
