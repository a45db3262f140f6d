"""What happens inside the model: vectors, attention, detectors, the residual stream."""

import torch.nn.functional as F
from draw import ACCENT, GRAVEL, LINE, MARGIN, QUIET, WARM, Picture
from example import Example, name

WORDS = ("castle", "ship", "bridge", "rock", "peas", "pizza", "monday", "friday", "you", "u")


def whole(example: Example) -> Picture:
    """From the sentence to the next token."""
    look = example.look
    guesses = look.guesses(count=5)
    likeliest = ", ".join(f"{name(guess.text)} {guess.probability:.2f}" for guess in guesses)
    picture = Picture(f"“{example.prompt}”, on its way", f"The likeliest tokens after it: {likeliest}.")
    step, wide = (720 - 2 * MARGIN) / len(look.ids), (720 - 2 * MARGIN) / len(look.ids) - 8
    picture.note(64, "tokens and their ids")
    vectors = look.activations["embedded"]
    scale = float(vectors.abs().max())
    for place, token in enumerate(look.ids):
        x = MARGIN + place * step
        picture.box(x, 74, wide, 42, ACCENT, 0.1, LINE)
        picture.text(x + wide / 2, 92, name(look.text(token)), 13, "middle", weight=600)
        picture.text(x + wide / 2, 109, str(token), 12, "middle", QUIET)
        for row in range(24):
            number = float(vectors[place, row])
            picture.box(x, 148 + row * 5, wide, 4, ACCENT if number > 0 else WARM, abs(number) / scale, round=0)
    picture.note(140, f"a vector each: the first 24 of {vectors.shape[1]} numbers (blue above zero, red below)")
    for layer in range(look.model.config.layers):
        y = 284 + layer * 27
        picture.box(MARGIN, y, 720 - 2 * MARGIN, 22, GRAVEL, 0.18)
        picture.text(MARGIN + 10, y + 15, f"layer {layer}:  attention adds, then the MLP adds", 12)
    below = 284 + look.model.config.layers * 27 + 26
    picture.note(below, f"after {name(look.text(look.ids[-1]))}: how likely each token comes next")
    for row, guess in enumerate(guesses):
        picture.bar(below + 14 + row * 24, name(guess.text), guess.probability, guess.probability, 430)
    return picture


def vectors(example: Example) -> Picture:
    """Which embeddings point the same way."""
    tokenizer = example.fish.tokenizer
    single = {word: ids[0] for word in WORDS if len(ids := tokenizer.encode(" " + word)) == 1}
    rows = F.normalize(example.fish.model.token_embedding.weight.detach(), dim=-1)
    alike = rows[list(single.values())] @ rows[list(single.values())].T
    pairs = [(float(alike[i, j]), a, b) for i, a in enumerate(single) for j, b in enumerate(single) if i < j]
    says = "Most alike: " + ", ".join(f"{a} and {b} {value:.2f}" for value, a, b in sorted(pairs, reverse=True)[:3]) + "."
    picture = Picture("Which words' vectors point the same way", says)
    picture.grid(list(single), alike, 110, 90, 56, scale=0.5)
    picture.note(90 + 36 * len(single) + 24, says, "Cosine: 1 the same direction, 0 at right angles, -1 opposite.")
    return picture


def attention(example: Example) -> Picture:
    """The head that looks most at the word that matters."""
    look = example.look
    word = len(look.ids) - 2
    heads = look.attention[:, :, -1, word]
    layer, head = divmod(int(heads.argmax()), heads.shape[1])
    pattern = look.attention[layer, head]
    share = float(pattern[-1, word])
    says = f"In layer {layer}, head {head}, the last token gives {share:.2f} of its attention to {look.texts[word]}."
    picture = Picture(f"Who looks at whom: layer {layer}, head {head}", says)
    texts = [name(text) for text in look.texts]
    picture.grid(texts, pattern, 90, 92, min(72, (720 - 110 - MARGIN) / len(texts)), causal=True)
    picture.note(
        92 + 36 * len(texts) + 24,
        "Each row is a token that looks, and sums to one. Grey: the future, hidden by the mask.",
        says,
    )
    return picture


def mlp(example: Example) -> Picture:
    """Which detectors fire."""
    before = example.look.activations["blocks.0.mlp.before"][-1].sort(descending=True).values
    fired = int((before > 0).sum())
    strongest = f"the strongest gives {float(before[0]):.2f}"
    says = f"At the last token {fired} of the first layer's {len(before)} detectors fire; {strongest}."
    picture = Picture("A row of detectors, strongest first", says)
    top, bottom = float(before[0]), float(before[-1])
    wide, scale = (720 - 2 * MARGIN) / len(before), 220 / (top - bottom)
    zero = 66 + top * scale
    tops = [(MARGIN + place * wide, zero - value * scale) for place, value in enumerate(before.tolist())]
    picture.area([(MARGIN, zero), *tops[:fired], (MARGIN + fired * wide, zero)], ACCENT)
    picture.area([(MARGIN + fired * wide, zero), *tops[fired:], (720 - MARGIN, zero)], LINE)
    picture.line([(MARGIN, zero), (720 - MARGIN, zero)], QUIET)
    picture.text(720 - MARGIN, zero - 10, "zero: below it, ReLU passes nothing on", 12, "end", QUIET)
    picture.note(312, says)
    return picture


def stream(example: Example) -> Picture:
    """How long the residual stream is after each half layer, and what it would say there."""
    look = example.look
    lengths = look.residuals[:, -1].norm(dim=-1)
    says = f"The last token's vector grows from length {float(lengths[0]):.1f} to {float(lengths[-1]):.1f}."
    picture = Picture("The residual stream at the last token", says)
    picture.text(160, 62, "its length", 12, colour=QUIET)
    picture.text(520, 62, "what it would say if it ended here", 12, colour=QUIET)
    for row, stage in enumerate(look.stages):
        layer = stage.split(".")[1] if "." in stage else ""
        label = f"{layer}: attention" if stage.endswith("middle") else f"{layer}: MLP" if layer else "embedded"
        guess = look.guesses(count=1, stage=row)[0]
        picture.bar(70 + row * 25, label, float(lengths[row]), float(lengths[row] / lengths.max()), 300)
        picture.text(520, 84 + row * 25, f"{name(guess.text)}  {guess.probability:.2f}", 13)
    picture.note(70 + len(look.stages) * 25 + 22, says)
    return picture
