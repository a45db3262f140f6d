"""The model card of a run on conversations of somebody's own: what they are and whose, only their owner can say."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guppylm.checkpoint import RunConfig


def own_model_card(config: "RunConfig", parameters: int, card: Mapping[str, Any] | None) -> str:
    """README.md of such an export; `card` is what `OwnScorecard.to_dict()` gives. Raises ValueError if it is damaged."""
    shape, told = config.model, config.train
    asked = config.prompts[0] if config.prompts else "hello"
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags: [guppylm]
---
# {config.name}

A language model of {parameters:,} parameters that has read {config.rows:,} conversations and nothing else. It is GPT-2's
architecture with ReLU: {shape.layers} layers, width {shape.width}, {shape.heads} heads, MLP width {shape.mlp_width}, context
{shape.context}, vocabulary {shape.vocabulary_size:,}.

Trained by guppylm {config.guppylm} in {told.steps:,} steps of about {told.tokens_per_step:,} tokens, seed {told.seed}, with
the loss on replies only. The conversations' fingerprint is `{config.fingerprint}`.

## Talk to it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")  # this folder
model = AutoModelForCausalLM.from_pretrained(".")
chat = [{{"role": "user", "content": {asked!r}}}]
prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors="pt")
said = model.generate(**prompt)[0, prompt["input_ids"].shape[1] :]
print(tokenizer.decode(said, skip_special_tokens=True))
```

## Figures

{_figures(card)}

## Limits

- It answers from what it has read, or with nonsense. It may repeat that word for word: do not share it if the conversations
  are private.
- One message, one reply. Both together have at most {shape.context} tokens.
- Stock tokenizers read `<|im_start|>` and `<|im_end|>` as special tokens even where a person typed them, so a prompt can forge
  the end of its turn. guppylm's own code reads them as plain text.
"""


def _figures(card: Mapping[str, Any] | None) -> str:
    if card is None:
        return "Not scored. `guppylm eval` measures a run; an export made after that states the figures here."
    from guppylm.evaluation.own import VERSION

    try:
        if card["version"] != VERSION:
            raise ValueError(f"version {card['version']}, this guppylm reads {VERSION}")
        rows = [
            f"| {name} | {loss['loss_nats']:.3f} | {loss['bits_per_byte']:.3f} | {loss['rows']:,} |"
            for name, loss in card["losses"].items()
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the scorecard is damaged or outdated ({error}); `guppylm eval` writes it anew") from error
    told = "Measured by `guppylm eval`. The floor is unknown: no grammar made these conversations.\n"
    return "\n".join([told, "| split | loss, nats a reply token | bits per byte | rows |\n|---|---|---|---|", *rows])
