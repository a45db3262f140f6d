"""What happens around the model: the sheet, the tokenizer, loss, learning, sampling, the tests."""

import json
import math
from collections.abc import Mapping
from typing import Any

from draw import ACCENT, GRAVEL, LINE, MARGIN, QUIET, WARM, Picture
from example import Example, name
from torch.distributions import Categorical

from guppylm.checkpoint import SCORECARD
from guppylm.guess import model_shares
from guppylm.inference.sampling import SamplingConfig, filtered

Entry = Mapping[str, Any]  # a line of metrics.jsonl


def data(example: Example) -> Picture:
    """What the sheet may say, token by token."""
    chance = 1.0
    for word, shares in zip(example.words, example.floor, strict=True):
        chance *= shares[word]
    says = f"The shares of “{example.reply}” multiply to 1 in {1 / chance:.0f}: its surprisal is {-math.log(chance):.2f} nats."
    picture = Picture("What the sheet may say next, and how likely", says)
    for row, (word, shares) in enumerate(zip(example.words, example.floor, strict=True)):
        others = [f"{other.lstrip('␣')} {share:.2f}" for other, share in shares.items() if other != word]
        y = 56 + row * 26
        picture.bar(y, word, shares[word], shares[word], 190)
        shown = others[:3] + ["..."] * (len(others) > 3)
        picture.text(400, y + 14, "or " + ", ".join(shown) if others else "nothing else", 12, colour=QUIET)
    picture.note(56 + len(example.ids) * 26 + 20, says)
    return picture


def tokens(example: Example) -> Picture:
    """How the merges built a word."""
    tokenizer = example.fish.tokenizer
    word = example.prompt.split()[-1]
    merges = json.loads(tokenizer.to_json())["model"]["merges"]
    halves = {first + second: (first, second) for first, second in map(tuple, merges)}
    found = tokenizer.encode(" " + word)
    says = f"“ {word}” is {len(found)} token{'s' * (len(found) > 1)}, built from {len(word) + 1} bytes."
    picture = Picture(f"“ {word}”, merge by merge", says + " Each number is the merge's rank: 1 was learnt first.")
    rank = {first + second: number + 1 for number, (first, second) in enumerate(map(tuple, merges))}
    column = (720 - 2 * MARGIN) / (len(word) + 1)

    def grow(token: str, left: int) -> tuple[float, int]:
        """Draws a token above its halves; returns its middle and its height."""
        if token not in halves:
            x, level = MARGIN + (left + 0.5) * column, 0
        else:
            first, second = halves[token]
            (x1, level1), (x2, level2) = grow(first, left), grow(second, left + len(first))
            x, level = (x1 + x2) / 2, max(level1, level2) + 1
            for below, at in ((x1, level1), (x2, level2)):
                picture.line([(x, top(level) + 34), (below, top(at))], QUIET)
        picture.box(x - 34, top(level), 68, 34, "#eef4f8" if level else "#f4efe6", stroke=LINE)
        picture.text(x, top(level) + (15 if level else 22), token.replace("Ġ", "␣"), 14, "middle", weight=600)
        if level:
            picture.text(x, top(level) + 29, f"merge {rank[token]:,}", 10, "middle", QUIET)
        return x, level

    deepest = max(depth(tokenizer.bpe.id_to_token(token) or "", halves) for token in found)

    def top(level: int) -> float:
        return 60 + (deepest - level) * 58

    left = 0
    for token in found:
        spelled = tokenizer.bpe.id_to_token(token) or ""
        grow(spelled, left)
        left += len(spelled)
    picture.note(60 + deepest * 58 + 62, says, "A merge's number is its rank: 1 was learnt first, from the commonest pair.")
    return picture


def depth(token: str, halves: dict[str, tuple[str, str]]) -> int:
    """How many merges lie on top of each other in a token."""
    return 1 + max(depth(half, halves) for half in halves[token]) if token in halves else 0


def loss(example: Example) -> Picture:
    """Surprise at each token of the reply, the grammar's and the fish's."""
    fish = example.fish
    shares = model_shares(fish.model, fish.tokenizer.render(example.prompt, example.reply))
    surprise = [-math.log(float(shares[place, token])) for place, token in enumerate(example.ids)]
    least = [abs(math.log(expected[word])) for expected, word in zip(example.floor, example.words, strict=True)]
    says = f"The reply costs the fish {sum(surprise):.2f} nats and the grammar {sum(least):.2f}."
    picture = Picture("Surprise at each token of a reply", says)
    scale = 380 / max(*surprise, *least)
    for row, (word, nats, floor) in enumerate(zip(example.words, surprise, least, strict=True)):
        y = 58 + row * 30
        picture.text(150, y + 17, word, 13, "end")
        for at, value, colour in ((y + 1, nats, ACCENT), (y + 13, floor, GRAVEL)):
            picture.box(160, at, max(value * scale, 1), 10, colour)
            picture.text(168 + value * scale, at + 9, f"{value:.2f}", 11, colour=QUIET)
    picture.note(58 + len(surprise) * 30 + 22, "Blue: the fish. Sand: the grammar, the floor. In nats.", says)
    return picture


def learning(example: Example) -> Picture:
    """The loss on its way down, and the learning rate."""
    entries = list(example.fish.run.lines("metrics.jsonl"))
    steps, looks = ([e for e in entries if key in e] for key in ("loss", "gap"))
    first, last = looks[0], looks[-1]
    sank = f"from {first['validation_loss']:.2f} to {last['validation_loss']:.3f} nats"
    says = f"The loss sank {sank} in {steps[-1]['step']:,} steps; the floor is {last['floor']:.3f}."
    picture = Picture("Learning: the loss sinks towards the floor", says)
    end, every = steps[-1]["step"], max(1, len(steps) // 300)
    high = max(e["loss"] for e in [*steps, {"loss": first["validation_loss"]}])
    low = 0.7 * last["floor"]

    def at(entry: Entry, value: float) -> tuple[float, float]:
        """The vertical scale is logarithmic: each halving takes the same room."""
        return 70 + entry["step"] / end * 620, 300 - math.log(value / low) / math.log(high / low) * 230

    ground = at(last, last["floor"])[1]
    picture.box(70, ground, 620, 300 - ground, GRAVEL, 0.5)
    picture.line([at(e, e["loss"]) for e in steps[::every]], "#8fbcd8")
    picture.line([at(e, e["validation_loss"]) for e in looks], ACCENT, 2)
    for value in (0.25, 0.5, 1, 2, 4, 8):
        if low < value < high:
            picture.text(60, at(last, value)[1] + 4, f"{value:g}", 12, "end", QUIET)
    fastest = max(e["learning_rate"] for e in steps)
    rates = [(at(e, high)[0], 380 - e["learning_rate"] / fastest * 50) for e in steps[::every]]
    picture.line([*rates, (690, 380)], WARM, 1.5)
    picture.line([(70, 380), (690, 380)], LINE)
    picture.text(690, 318, f"step {end:,}", 12, "end", QUIET)
    legend = ("pale: each batch; blue: validation rows; sand: the floor", "in nats; each halving takes as much room")
    for row, text in enumerate(legend):
        picture.text(690, 84 + 17 * row, text, 12, "end", QUIET)
    picture.text(70, 322, f"the learning rate, at most {fastest:g}", 12, colour=WARM)
    picture.note(404, says)
    return picture


def sampling(example: Example) -> Picture:
    """The same logits at three temperatures, where the fish is least sure what his reply says next."""
    before = example.fish.look(example.prompt, example.reply).activations["logits"][-len(example.ids) :]  # each of its tokens
    place = int(Categorical(logits=before).entropy().argmax())
    logits, said = before[place], example.fish.tokenizer.decode(example.ids[:place])
    best = logits.topk(min(8, len(logits))).indices.tolist()
    shares = {t: filtered(logits, SamplingConfig(temperature=t)).softmax(-1) for t in (1.0, 0.7, 0.3)}
    top = name(example.look.text(best[0]))
    says = f"“{top}” has " + ", ".join(f"{float(p[best[0]]):.2f} at {t:g}" for t, p in shares.items()) + "."
    picture = Picture(f"What comes after “{said}”, at three temperatures" if said else "The first token of the reply", says)
    for column, (temperature, p) in enumerate(shares.items()):
        x = 110 + column * 200
        picture.text(x, 66, f"temperature {temperature:g}", 13, weight=600)
        for row, token in enumerate(best):
            share = float(p[token])
            picture.box(x, 78 + row * 26, 130 * share / max(float(q.max()) for q in shares.values()), 17, ACCENT)
            picture.text(
                x + 6 + 130 * share / max(float(q.max()) for q in shares.values()),
                91 + row * 26,
                f"{share:.2f}",
                12,
                colour=QUIET,
            )
    for row, token in enumerate(best):
        picture.text(100, 91 + row * 26, name(example.look.text(token)), 13, "end")
    picture.note(78 + len(best) * 26 + 22, says)
    return picture


def evaluating(example: Example) -> Picture:
    """Floor and gap on each test."""
    losses = json.loads(example.fish.run.read(SCORECARD))["losses"]
    says = " ".join(f"{test}: floor {found['floor_nats']:.3f}, gap {found['gap_nats']:.3f}." for test, found in losses.items())
    picture = Picture("Loss on replies: the floor, and the gap above it", says)
    scale = 420 / max(found["loss_nats"] for found in losses.values())
    for row, (test, found) in enumerate(losses.items()):
        y, floor = 60 + row * 44, found["floor_nats"] * scale
        picture.text(180, y + 19, test, 13, "end")
        picture.box(190, y, floor, 28, GRAVEL, 0.6)
        picture.box(190 + floor, y, found["gap_nats"] * scale, 28, ACCENT)
        picture.text(200, y + 19, f"floor {found['floor_nats']:.3f}", 12)
        picture.text(196 + found["loss_nats"] * scale, y + 19, f"{found['gap_nats']:.3f}", 12, colour=QUIET)
    picture.note(
        60 + len(losses) * 44 + 16, "Nats a reply token. Sand: what nobody can know. Blue: what the fish has still to learn."
    )
    return picture
