"""Tables of what bench/inside.py follows through a fish: from one text to another, stage by stage and part by part."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from guppylm.data.conversations import Row
from guppylm.evaluation.loss import reply_tokens
from guppylm.fish import Fish
from guppylm.interpretability.follow import Followed

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
LISTED = 8  # parts in a table
TOGETHER = 3  # heads that are also ablated all at once
LOSS_ROWS = 200  # of test_fresh, for the loss without a layer


def stages(case: Followed) -> str:
    """Which token at which stage carries what tells the two texts apart."""
    rows = [
        [f"`{stage}`", *(f"{round(share, 2) + 0:.2f}" for share in shares)]  # without + 0 some zeros are -0.00
        for stage, shares in zip(case.look.stages, case.stages, strict=True)
    ]
    columns = [f"{place} {shown(case.look.texts[place])}" for place in case.places]
    right, wrong = (shown(case.look.text(token)) for token in (case.right, case.wrong))
    here, there = f"{case.here:+.2f} after *{case.case.prompt}*", f"{case.there:+.2f} after *{case.case.other}*"
    return f"{table(['patched at', *columns], rows)}\n\nLogit of {right} minus logit of {wrong}: {here}, {there}."


def strongest(case: Followed) -> str:
    """What the parts give directly, do in all, and what is missing without them."""
    right = shown(case.look.text(case.right))
    chance = float(case.look.probabilities[-1, case.right])
    found = case.strongest(LISTED)
    rows = [["none", "", "", f"{case.here:+.2f}, {chance:.3f}", f"{case.here:+.2f}, {chance:.3f}"]]
    for part in found:
        gone = [f"{difference:+.2f}, {share:.3f}" for difference, share in (part.without, part.mean)]
        rows.append([called(part.name), f"{part.direct:+.2f}", f"{part.moved:.2f}", *gone])
    group = [part.name for part in found if ".head." in part.name][:TOGETHER]
    gone = [f"{difference:+.2f}, {share:.3f}" for difference, share in (case.ablated(group, how) for how in ("zero", "mean"))]
    rows.append([", ".join(map(called, group)), "", "", *gone])
    head = ["part", "gives directly", "moved by its patch", f"without it: difference, {right}", "its mean instead"]
    return table(head, rows)


def lens(case: Followed) -> str:
    """The logit lens at the last token."""
    right, wrong = (shown(case.look.text(token)) for token in (case.right, case.wrong))
    rows = []
    for number, stage in enumerate(case.look.stages):
        [guess], logits = case.look.guesses(count=1, stage=number), case.look.lens[number]
        chance = float(logits[-1].softmax(-1)[case.right])
        said = [shown(guess.text), f"{guess.probability:.3f}", f"{chance:.3f}", f"{case.difference(logits):+.2f}"]
        rows.append([f"`{stage}`", *said])
    return table(["after", "likeliest", "its probability", right, f"{right} minus {wrong}"], rows)


def layers(fish: Fish, word: Followed, opening: Followed, fresh: Sequence[Row]) -> str:
    """What is left without a layer, of the two cases and of everything else."""
    count, some = fish.model.config.layers, fresh[:LOSS_ROWS]
    tokens = float(reply_tokens(fish.tokenizer.render_all([(row.prompt, row.reply) for row in some])).sum())
    single = {f"layer {n}": [f"blocks.{n}"] for n in range(count)}
    upper = {f"layers 2 to {count - 1}": [f"blocks.{n}" for n in range(2, count)]}
    rows = []
    ablated: dict[str, list[str]] = {"nothing": [], **single, **upper}
    for label, names in ablated.items():
        left = [f"{share:.3f}" for _, share in (case.ablated(names) for case in (word, opening))]
        rows.append([label, *left, f"{float(fish.ablate(names).losses(some).sum()) / tokens:.3f}"])
    right = [shown(case.look.text(case.right)) for case in (word, opening)]
    return table(["without", *right, "loss, nats a reply token"], rows)


def head_name(layer: int, head: int) -> str:
    """As `fish.ablate` takes it."""
    return f"blocks.{layer}.attention.head.{head}"


def called(part: str) -> str:
    """A part as it is called in a table: head 2.4, MLP 3."""
    _, layer, *rest = part.split(".")
    return f"MLP {layer}" if rest == ["mlp"] else f"head {layer}.{rest[-1]}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(token: str) -> str:
    """A token as Markdown; the marks get the names that they have in the pictures."""
    return f"`{from_pictures('example').name(token)}`"


def from_pictures(name: str) -> ModuleType:
    """A module of docs/pictures."""
    folder = str(PICTURES)
    if folder not in sys.path:
        sys.path.append(folder)
    return import_module(name)
