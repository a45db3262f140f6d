"""What a stranger reads first: the model card of an export and the dataset card of a data folder, each its README.md.

The head between the dashes is YAML for the Hugging Face hub and for `datasets`; the rest is for people.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # torch takes seconds to import, and `guppylm data` writes its card without it
    from guppylm.checkpoint import RunConfig

SHIPPED = "guppy"
SHIPPED_HEAD = "license: mit\nlanguage: en\n"  # of another sheet only its author can say
MARK = "<!-- written by guppylm data, which will write it anew -->"
SPLITS = {  # what training never saw
    "train": "",
    "validation": "nothing: drawn as training is, to decide by",
    "test_fresh": "nothing: drawn as training is, to report",
    "test_unseen_ask": "whole phrasings, about a tenth of each turn's",
    "test_unseen_say": "rare replies",
    "test_unseen_word": "words that replies take up, about a tenth of each pool",
    "test_unseen_pair": "a phrasing and a word together; training holds both apart",
}
COLUMNS = {  # name -> its type as `datasets` writes it, what it holds
    "prompt": ("dtype: string", "what a person says"),
    "reply": ("dtype: string", "what the character replies"),
    "topic": ("dtype: string", "where in the sheet both come from"),
    "turn": ("dtype: string", "the one thing that the person wants, as the sheet names it"),
    "bindings": ("list: [{name: slot, dtype: string}, {name: value, dtype: string}]", "words of the prompt, by their slot"),
    "surprisal": ("dtype: float64", "-log probability of the reply given turn and bindings, in nats; null in train"),
}


def model_card(config: "RunConfig", card: Mapping[str, Any] | None = None) -> str:
    """README.md of an exported model. `card` is what `Scorecard.to_dict()` gives; None says that nobody has scored it.

    Raises ValueError if the scorecard is damaged or from another version.
    """
    import torch

    from guppylm.checkpoint import CONVERSATIONS
    from guppylm.export.own_card import own_model_card
    from guppylm.model import Transformer

    with torch.device("meta"):  # shapes without numbers
        parameters = sum(parameter.numel() for parameter in Transformer(config.model).parameters())
    if config.kind == CONVERSATIONS:
        return own_model_card(config, parameters, card)
    shape, told, shipped = config.model, config.train, config.character == SHIPPED
    return f"""---
{SHIPPED_HEAD if shipped else ""}library_name: transformers
pipeline_tag: text-generation
tags: [guppylm, synthetic]
---
# {Path(config.character).name}

A language model of {parameters:,} parameters that talks as one character and knows nothing but that character's sheet. It is
GPT-2's architecture with ReLU and a narrower MLP: {shape.layers} layers, width {shape.width}, {shape.heads} heads,
MLP width {shape.mlp_width}, context {shape.context}, vocabulary {shape.vocabulary_size:,}.

Trained by guppylm {config.guppylm} in {told.steps:,} steps of about {told.tokens_per_step:,} tokens on {config.rows:,}
synthetic conversations, seed {told.seed}, with the loss on replies only.

## Talk to it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")  # this folder
model = AutoModelForCausalLM.from_pretrained(".")
chat = [{{"role": "user", "content": "i got you a new castle"}}]
prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors="pt")
said = model.generate(**prompt)[0, prompt["input_ids"].shape[1] :]
print(tokenizer.decode(said, skip_special_tokens=True))
```

It draws at temperature 0.7 (`generation_config.json`). The tokenizer itself makes all text lower case.

## Figures

{_figures(card)}

## Limits

- It is {"one fish, in English" if shipped else "one character, in the language of its sheet"}. Whatever else it is asked, it \
answers from that sheet, or with nonsense.
- All it ever read was drawn from templates. It knows no fact of the world; a reply that sounds like one is none.
- One message, one reply: it was never trained on a second turn. Both together have at most {shape.context} tokens; guppylm
  shortens a longer prompt at its beginning, stock `transformers` does not.
- Stock tokenizers read `<|im_start|>` and `<|im_end|>` as special tokens even where a person typed them, so a prompt can forge
  the end of its turn. guppylm's own code reads them as plain text.
"""


def _figures(card: Mapping[str, Any] | None) -> str:
    if card is None:
        return "Not scored. `guppylm eval` measures a run; an export made after that states the figures here."
    from guppylm.evaluation.scorecard import VERSION

    try:
        if card["version"] != VERSION:
            raise ValueError(f"version {card['version']}, this guppylm reads {VERSION}")
        losses = [
            f"| `{test}` | {SPLITS.get(test, '')} | {loss['loss_nats']:.3f} | {loss['floor_nats']:.3f} "
            f"| {loss['gap_nats']:.3f} ± {1.96 * loss['gap_standard_error']:.3f} |"
            for test, loss in card["losses"].items()
        ]
        shares = [
            f"| {name} | {share['value']:.3f} | {share['low']:.3f} to {share['high']:.3f} | {share['count']:,} |"
            for name, share in _shares(card).items()
            if share is not None
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the scorecard is damaged or outdated ({error}); `guppylm eval` writes it anew") from error
    return "\n".join(
        [
            "Measured by `guppylm eval`, in nats a reply token. The floor is the grammar's own uncertainty, known exactly.\n",
            "| test | what training never saw | loss | floor | gap, 95 % |\n|---|---|---|---|---|",
            *losses,
            "\nShares of replies, by temperature. On topic: the right turn of the sheet can say the reply, no other can.\n",
            "| figure | share | 95 % | replies |\n|---|---|---|---|",
            *shares,
        ]
    )


def _shares(card: Mapping[str, Any]) -> dict[str, Mapping[str, Any] | None]:
    """The shares of a scorecard by what they mean; None for one that its sheet has no case for."""
    shares = {}
    for temperature, share in card["on_topic"].items():
        shares[f"on topic, `test_unseen_ask`, {temperature}"] = share
        shares[f"the same replies dealt to other prompts, {temperature}"] = card["on_topic_shuffled"][temperature]
    shares["on topic, the prompts in capitals, 0.7"] = card["uppercase_on_topic"]
    shares["on topic, a typing error in each, 0.7"] = card["typo_on_topic"]
    shares |= {f"takes up the prompt's word, `{test}`, 1.0": share for test, share in card["slot_echo"].items()}
    shares |= {f"{kind}, `test_fresh`, 1.0": share for kind, share in card["origins"].items()}
    shares["remembered, fresh samples of the grammar itself"] = card["grammar_remembered"]
    shares["within the character's rules, `test_fresh`, 1.0"] = card["in_voice"]
    return shares


def dataset_card(statistics: Mapping[str, Any]) -> str:
    """README.md of a data folder, from what its `splits.json` holds. A split without rows can't be loaded: it is left out."""
    name, rows = str(statistics["character"]), {split: count for split, count in statistics["rows"].items() if count}
    total = sum(rows.values())
    files = "\n".join(f"  - {{split: {split}, path: {split}.jsonl}}" for split in rows)
    features = "\n".join(f"  - {{name: {column}, {kind}}}" for column, (kind, _) in COLUMNS.items())
    columns = "\n".join(f"| `{column}` | {meaning} |" for column, (_, meaning) in COLUMNS.items())
    splits = "\n".join(f"| `{split}` | {count:,} | {SPLITS.get(split, '')} |" for split, count in rows.items())
    again = f"guppylm data --character {shlex.quote(name)} --rows {rows.get('train', 0)} --seed {statistics['seed']}"
    return f"""---
{SHIPPED_HEAD if name == SHIPPED else ""}pretty_name: {json.dumps(f"{name}: synthetic conversations")}
task_categories: [text-generation]
tags: [guppylm, synthetic]
configs:
- config_name: default
  data_files:
{files}
dataset_info:  # train lacks a column, so `datasets` must be told
  features:
{features}
---
{MARK}
# {name}: synthetic conversations

One prompt and one reply, {total:,} times, drawn from the sentence templates of a character sheet. Nobody ever said any of it.

```python
from datasets import load_dataset

print(load_dataset(".")["train"][0])  # this folder
```

| column | what it holds |
|---|---|
{columns}

| split | rows | what training never saw |
|---|---|---|
{splits}

In train: {statistics["distinct_prompts"]:,} distinct prompts, {statistics["distinct_replies"]:,} replies,
{statistics["distinct_pairs"]:,} pairs. Held out: {statistics["held_out_asks"]:,} phrasings,
{sum(map(len, statistics["held_out_words"].values())):,} words (`splits.json` names them), and the replies of
{statistics["removed_mass"]:.2%} of the drawn training rows. Hashes of the text choose what is held out, whatever the
seed. No pair of prompt and reply of a `test_unseen` split stands in train.

The grammar that made a reply also knows how likely it was, summed over every way to derive it: `surprisal`. The mean of that
over a split is the least loss that any model can have in the long run.

Made by `{again}` from the sheet with the fingerprint `{statistics["fingerprint"]}`.
"""


def write_dataset_card(folder: Path, statistics: Mapping[str, Any]) -> bool:
    """Writes README.md into a data folder; false if a stranger's README.md is there, which stays. Raises OSError."""
    path = folder / "README.md"
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return False
    path.write_text(dataset_card(statistics), encoding="utf-8", newline="\n")
    return True
