"""The figures and pictures of docs/inside.md: what heads look at, what they are for, and the castle's way to the answer.

python bench/inside.py RUN [BLOCK...]            prints the tables, as Markdown
python bench/inside.py RUN --write [BLOCK...]    writes them into docs/inside.md; with `heads` and `word` go their pictures

Without BLOCK: all of them, which takes some minutes on one core.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from random import Random

import numpy as np
import torch
from pages import fill
from torch import Tensor
from walk import PICTURES, called, from_pictures, head_name, layers, lens, stages, strongest, table

from guppylm.data.conversations import Conversations, Row
from guppylm.data.grammar import normalise, probability, readings, split
from guppylm.evaluation.replies import Judge, slot_echo
from guppylm.evaluation.rows import rows_of, sheet_of
from guppylm.evaluation.statistics import Share
from guppylm.fish import Fish, load
from guppylm.inference.sampling import SamplingConfig
from guppylm.interpretability.follow import Case, Followed
from guppylm.interpretability.heads import (
    Copied,
    copied_words,
    copying_scores,
    first_token_scores,
    named_heads,
    previous_token_scores,
)
from guppylm.interpretability.lens import Look
from guppylm.interpretability.page import look_html

PAGE = PICTURES.parent / "inside.md"
KINDS = ("previous token", "first token", "copied word")
SEED = 1
SCORED_ROWS = 500  # of test_fresh, for the heads' scores
REFERENCE_ROWS = 50  # of the validation set, over which a mean ablation takes its mean
BEST = 3  # copying heads that are ablated
LISTED = 8  # replies in a table
DRAWN = 400  # replies to the castle, to find the likeliest
TIMES = 20  # that a look is timed
FORTY = "i got you a new castle " * 6 + "and you"  # with the two marks around it 40 tokens, if each word is one
WORD = Case("i got you a new castle", "i got you a new rock", "a", " castle", " rock")
OPENING = Case("i got you a new castle", "do you really like the castle", "", "a", "the")
CASES = (WORD, OPENING)


class Inside:
    """A fish, and what is measured on it once."""

    def __init__(self, fish: Fish) -> None:
        self.fish = fish
        self.fresh, self.reference = rows_of(fish.run, "test_fresh"), rows_of(fish.run, "validation")[:REFERENCE_ROWS]
        ids = self.ids(self.reference)
        self.word, self.opening = (Followed(fish.model, fish.tokenizer, case, ids) for case in CASES)

    def ids(self, rows: Sequence[Row]) -> list[list[int]]:
        """The rows as they are read; the end never is."""
        return [one.ids[:-1] for one in self.fish.tokenizer.render_all([(row.prompt, row.reply) for row in rows])]

    @cached_property
    def scores(self) -> dict[str, Tensor]:
        """(layers, heads) of each kind."""
        model, ids = self.fish.model, self.ids(self.fresh[:SCORED_ROWS])
        return dict(zip(KINDS, (previous_token_scores(model, ids), first_token_scores(model, ids), self.copying), strict=True))

    @cached_property
    def copying(self) -> Tensor:
        """(layers, heads): the third kind alone."""
        return copying_scores(self.fish.model, self.copied)

    @cached_property
    def copied(self) -> list[Copied]:
        """Where these rows' replies take up a word."""
        return copied_words(self.fish.tokenizer, self.fresh[:SCORED_ROWS])

    @cached_property
    def judge(self) -> Judge:
        """Knows what may be said."""
        return Judge(Conversations(sheet_of(self.fish.run), self.fish.run.config().train.seed))

    def echo(self, fish: Fish) -> Share:
        """How often a word that must come back does, at temperature 1."""
        found = slot_echo(self.judge, self.fresh, lambda prompts: fish.reply_to_all(prompts, SEED, SamplingConfig(1.0)))
        if found is None:
            sys.exit("no row of test_fresh binds a word that every reply takes up, so there is no slot echo")
        return found


def ranked(scores: Tensor) -> dict[str, float]:
    """All heads with their scores (layers, heads), the highest first."""
    found = {head_name(*place): float(score) for place, score in np.ndenumerate(scores.numpy())}
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def which(inside: Inside) -> str:
    """Whose figures these are."""
    config = inside.fish.run.config()
    train = config.train
    return (
        f"All figures of this page are those of one fish: {config.name}, seed {train.seed}, {config.rows:,} conversations, "
        f"{train.steps:,} steps of {train.tokens_per_step:,} tokens."
    )


def heads(inside: Inside) -> str:
    """Every head's three scores; the best of a kind in bold."""
    rows = []
    for kind in KINDS:
        best = next(iter(ranked(inside.scores[kind])))
        for layer, shares in enumerate(inside.scores[kind].tolist()):
            named = [(head_name(layer, head), share) for head, share in enumerate(shares)]
            cells = [f"**{share:.2f}**" if name == best else f"{share:.2f}" for name, share in named]
            rows.append([kind if layer == 0 else "", str(layer), *cells])
    alike = statistics.mean(len(one.sources) / len(one.ids) for one in inside.copied)
    told = (
        f"{SCORED_ROWS} rows of `test_fresh`; {len(inside.copied)} words of a prompt that a reply takes up. A head that looks "
        f"everywhere alike would score {alike:.2f} at copying."
    )
    return table(["looks at", "layer", *(f"head {n}" for n in range(len(rows[0]) - 2))], rows) + f"\n\n{told}"


def ablation(inside: Inside) -> str:
    """Slot echo without the best copying heads, and without others of the same layers."""
    scores, random = ranked(inside.copying), Random(SEED)
    best, others = list(scores)[:BEST], list[str]()
    for head in best:
        left = [name for name in scores if name not in (*best, *others)]
        beside = [name for name in left if name.rpartition(".")[0] == head.rpartition(".")[0]]
        others.append(random.choice(beside or left))  # a small model's layer may have no other head left
    rows = []
    for names in ([], *([name] for name in best), best, *([name] for name in others), others):
        share = inside.echo(inside.fish.ablate(names, "mean", inside.reference))
        copying = ", ".join(f"{scores[name]:.2f}" for name in names)
        interval = f"{share.low:.3f} to {share.high:.3f}"
        rows.append([", ".join(map(called, names)) or "nothing", copying, f"{share.value:.3f}", interval, f"{share.count:,}"])
    return table(["without", "copying score", "slot echo", "95 % interval", "replies"], rows)


def replies(inside: Inside) -> str:
    """The likeliest replies to the castle, with their exact probabilities."""
    fish, prompt = inside.fish, inside.word.case.prompt
    drawn = fish.reply_to_all([prompt] * DRAWN, SEED, SamplingConfig(1.0))
    said = sorted(set(drawn))
    losses = fish.losses([Row(prompt, reply, "", "", {}) for reply in said])
    chances = dict(zip(said, losses.neg().exp().tolist(), strict=True))
    asked = split(normalise(prompt))
    turns = inside.judge.source.turns.values()
    may = [(turn.say, bound) for turn in turns for ask in turn.turn.asks for bound in readings(ask.node, asked)][:1]
    rows = []
    for reply in sorted(said, key=lambda reply: -chances[reply])[:LISTED]:
        sheet = sum(probability(say, split(reply), bound) for say, bound in may)
        rows.append([reply, f"{chances[reply]:.3f}", f"{sheet:.3f}"])
    return table(["reply", "the fish", "the sheet"], rows)


def timing(inside: Inside) -> str:
    """A look at forty tokens on one core, as it is printed and as a page."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    for label, show in (("guppylm look", printed), ("with --html", look_html)):
        taken = list[tuple[float, float]]()
        for _ in range(TIMES + 1):
            wall, processor = time.perf_counter(), time.process_time()
            seen = inside.fish.look(FORTY)
            show(seen)
            taken.append((time.perf_counter() - wall, time.process_time() - processor))
        clock, work = (1000 * statistics.median(times) for times in zip(*taken[1:], strict=True))  # the first one warms up
        rows.append([f"`{label}`", str(len(seen.ids)), f"{work:.0f}", f"{clock:.0f}"])
    torch.set_num_threads(threads)
    return table(["", "tokens", "ms of processor time", "ms by the clock"], rows)


def printed(seen: Look) -> None:
    """What `guppylm look` computes to print it."""
    named_heads(seen)
    seen.attention.tolist()
    for number in range(len(seen.stages)):
        seen.guesses(stage=number, count=1)
    seen.guesses()


def draw(inside: Inside, chosen: Sequence[str], folder: Path) -> None:
    """The pictures that belong to these blocks."""
    castle = from_pictures("castle")
    if "heads" in chosen:
        (folder / "heads.svg").write_text(castle.heads(inside.scores).svg(), encoding="utf-8")
    if "word" in chosen:
        (folder / "way.svg").write_text(castle.way(inside.word, inside.opening).svg(), encoding="utf-8")


BLOCKS: dict[str, Callable[[Inside], str]] = {
    "fish": which,
    "heads": heads,
    "ablation": ablation,
    "replies": replies,
    "word": lambda inside: stages(inside.word),
    "word parts": lambda inside: strongest(inside.word),
    "word lens": lambda inside: lens(inside.word),
    "opening": lambda inside: stages(inside.opening),
    "opening parts": lambda inside: strongest(inside.opening),
    "opening lens": lambda inside: lens(inside.opening),
    "layers": lambda inside: layers(inside.fish, inside.word, inside.opening, inside.fresh),
    "time": timing,
}


def main() -> None:
    write = "--write" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--write"]
    chosen = arguments[1:] or list(BLOCKS)
    if not arguments or not set(chosen) <= BLOCKS.keys():
        sys.exit(f"{__doc__}\nThe blocks: {', '.join(BLOCKS)}")
    inside = Inside(load(arguments[0]))
    for name in chosen:
        block = BLOCKS[name](inside)
        print(f"<!-- {name} -->\n\n{block}\n", flush=True)
        if write:
            fill(PAGE, {name: block})
    if write:
        draw(inside, chosen, PAGE.parent / "pictures" / "castle")


if __name__ == "__main__":
    main()
