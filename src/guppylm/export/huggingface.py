"""To Hugging Face's format and back: a folder that stock `transformers` loads without any code of ours.

The model is GPT-2's architecture with ReLU and a narrower MLP, so it needs no class of its own: GPT2LMHeadModel is it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from guppylm.checkpoint import CONFIG, SCORECARD, TOKENIZER, WEIGHTS, RunConfig, RunFolder, load_strictly, serialised
from guppylm.config import ModelConfig, TrainConfig
from guppylm.data.tokenizer import END, REPLY_TOKENS, START, Tokenizer
from guppylm.errors import RunError
from guppylm.export.cards import model_card
from guppylm.fish import Fish
from guppylm.model import Transformer

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}"
    "{% if not loop.last or add_generation_prompt %}{{ '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LAYER = {  # our name -> GPT-2's, in one block
    "attention_norm": "ln_1",
    "attention.output": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp.input": "mlp.c_fc",
    "mlp.output": "mlp.c_proj",
}
OUTSIDE = {
    "token_embedding.weight": "transformer.wte.weight",
    "position_embedding.weight": "transformer.wpe.weight",
    "final_norm.weight": "transformer.ln_f.weight",
    "final_norm.bias": "transformer.ln_f.bias",
}
RUN_CONFIG = "guppylm.json"  # the run's own config.json, for the way back
QUERY_KEY_VALUE = ("query", "key", "value")  # GPT-2 keeps the three in one matrix


def gpt2_config(config: ModelConfig, tokenizer: Tokenizer | None = None) -> dict[str, Any]:
    """config.json: this model as a GPT-2."""
    ids = {} if tokenizer is None else _special_ids(tokenizer)
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocabulary_size,
        "n_positions": config.context,
        "n_embd": config.width,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_inner": config.mlp_width,
        "activation_function": "relu",
        "layer_norm_epsilon": 1e-5,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "tie_word_embeddings": True,
        "dtype": "float32",
        **ids,
    }


def to_gpt2(weights: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Our weights under GPT-2's names. It stores the matrices of its linear layers transposed: (in, out)."""
    renamed = {theirs: weights[ours] for ours, theirs in OUTSIDE.items()}
    for layer in range(layers):
        ours, theirs = f"blocks.{layer}", f"transformer.h.{layer}"
        for kind in ("weight", "bias"):
            parts = {f"{theirs}.{name}.{kind}": weights[f"{ours}.{part}.{kind}"] for part, name in LAYER.items()}
            parts[f"{theirs}.attn.c_attn.{kind}"] = torch.cat(
                [weights[f"{ours}.attention.{p}.{kind}"] for p in QUERY_KEY_VALUE]
            )
            renamed |= {name: tensor.T if tensor.ndim == 2 else tensor for name, tensor in parts.items()}
    return {name: tensor.contiguous() for name, tensor in renamed.items()}


def from_gpt2(weights: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """The way back. Raises KeyError for a tensor that is missing; what is left over is kept under its own name."""
    rest = dict(weights)
    rest.pop("lm_head.weight", None)  # tied to the embedding
    renamed = {ours: rest.pop(theirs) for ours, theirs in OUTSIDE.items()}
    for layer in range(layers):
        ours, theirs = f"blocks.{layer}", f"transformer.h.{layer}"
        for kind in ("weight", "bias"):
            parts = {f"{ours}.{part}.{kind}": rest.pop(f"{theirs}.{name}.{kind}") for part, name in LAYER.items()}
            merged = rest.pop(f"{theirs}.attn.c_attn.{kind}").chunk(3, dim=-1)
            parts |= {f"{ours}.attention.{p}.{kind}": t for p, t in zip(QUERY_KEY_VALUE, merged, strict=True)}
            renamed |= {name: tensor.T if tensor.ndim == 2 else tensor for name, tensor in parts.items()}
    return renamed | rest


def export_huggingface(fish: Fish, out: Path) -> list[str]:
    """Writes model, tokenizer and their descriptions into `out`; returns the names of the files. Raises RunError."""
    config = fish.model.config
    if fish.continues:
        raise RunError(f"{fish.run.path} has learned from a text and has no chat format; only what replies is exported")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} already holds something; give an empty or new folder with --out")
    try:
        scored = json.loads(fish.run.read(SCORECARD)) if (fish.run.path / SCORECARD).exists() else None
        readme = model_card(fish.run.config(), scored)
    except ValueError as error:
        raise RunError(f"{fish.run.path / SCORECARD}: {error}") from error
    special = {"bos_token": START, "eos_token": END, "pad_token": END}
    sampling = {"do_sample": True, "temperature": 0.7, "top_k": 0, "max_new_tokens": REPLY_TOKENS}
    texts = {
        "config.json": gpt2_config(config, fish.tokenizer),
        "generation_config.json": {**_special_ids(fish.tokenizer), **sampling},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.context,
            "clean_up_tokenization_spaces": False,
            **special,
        },
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in texts.items():
            (out / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")
        (out / "tokenizer.json").write_text(fish.tokenizer.to_json(), encoding="utf-8", newline="\n")
        (out / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8", newline="\n")
        (out / RUN_CONFIG).write_text(fish.run.read(CONFIG), encoding="utf-8", newline="\n")
        (out / "README.md").write_text(readme, encoding="utf-8", newline="\n")
        save_file(to_gpt2(fish.model.state_dict(), config.layers), out / "model.safetensors", {"format": "pt"})
    except OSError as error:
        raise RunError(f"{out} can't be written: {error.strerror}; choose another folder with --out") from error
    return sorted(path.name for path in out.iterdir())


def import_huggingface(folder: Path) -> tuple[Transformer, Tokenizer]:
    """The model and the tokenizer of a folder that `export_huggingface` wrote. Raises RunError for anything else."""
    try:
        described = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = ModelConfig(
            layers=described["n_layer"],
            width=described["n_embd"],
            heads=described["n_head"],
            mlp_width=described["n_inner"],
            context=described["n_positions"],
            vocabulary_size=described["vocab_size"],
        )
        wanted = gpt2_config(config)
        wrong = [name for name, value in wanted.items() if name != "dtype" and described.get(name) != value]
        if wrong:
            raise RunError(
                f"{folder} is another architecture: {wrong[0]} is {described.get(wrong[0])}, not {wanted[wrong[0]]}"
            )
        tokenizer = Tokenizer.from_json((folder / "tokenizer.json").read_text(encoding="utf-8"))
        weights = from_gpt2(load_file(folder / "model.safetensors"), config.layers)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{folder} is no exported fish: {error}") from error
    model = Transformer(config)
    load_strictly(model.state_dict(), weights, str(folder))
    return model.eval(), tokenizer


def import_run(folder: Path, out: Path) -> RunFolder:
    """A run folder made from such an export, without data: it talks, but what it has read is unknown. Raises RunError."""
    model, tokenizer = import_huggingface(folder)
    told = RunConfig(model.config, TrainConfig())
    if (folder / RUN_CONFIG).exists():
        told = RunConfig.from_json((folder / RUN_CONFIG).read_text(encoding="utf-8"), folder / RUN_CONFIG)
    if told.model != model.config:
        raise RunError(f"{folder / RUN_CONFIG} describes another model than config.json; both must come from one export")
    run = RunFolder(out)
    run.create(overwrite=False)
    run.write(CONFIG, told.to_json())
    run.write(TOKENIZER, tokenizer.to_json())
    run.write(WEIGHTS, serialised(model.state_dict()))
    return run


def _special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    return {"bos_token_id": tokenizer.start, "eos_token_id": tokenizer.end, "pad_token_id": tokenizer.end}
