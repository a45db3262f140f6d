"""Tokens a second: with a KV cache, without, by stock transformers, side by side; and the bound that memory sets.

python bench/generate.py RUN    a trained fish
python bench/generate.py        random weights of Guppy's shape: they end no reply, so each fills the context

All ways take the likeliest token each time, so all say the same. Weights are float32, and there is one thread unless told.
A token needs every weight once, so a single stream of tokens can't be faster than the machine reads the weights. Streams
side by side can: they share a reading.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import torch

from guppylm.checkpoint import CONFIG, RunConfig, RunFolder
from guppylm.config import ModelConfig, TrainConfig
from guppylm.data.character import Character, load_character
from guppylm.data.conversations import Conversations
from guppylm.data.tokenizer import Tokenizer
from guppylm.errors import RunError
from guppylm.evaluation.rows import rows_of
from guppylm.export.huggingface import export_huggingface
from guppylm.fish import Fish, load
from guppylm.inference.engine import reply_to_all, stream
from guppylm.inference.sampling import SamplingConfig
from guppylm.model import Transformer
from guppylm.training.run import new_model

GREEDY = SamplingConfig(temperature=0.0)
DRAWN_ROWS = 20_000  # conversations that the tokenizer of random weights is trained on
LARGE = 512 * 2**20  # bytes: many times what a processor's cache holds
PROBE_SECONDS = 0.3  # for each way of reading a buffer
OURS, BOUND = "KV cache, one reply at a time", "bound: all weights read once a token"

Said = list[list[int]]  # the ids of each reply, without the end
Way = Callable[[Fish, Sequence[str]], Said]  # replies to prompts


def random_fish(sheet: Character, config: ModelConfig, rows: int, folder: Path) -> tuple[Fish, list[str]]:
    """A fish that learned nothing, with a tokenizer of its character's conversations, and prompts of them."""
    pairs = [(row.prompt, row.reply) for row in Conversations(sheet).rows("train", rows)]
    tokenizer = Tokenizer.train(pairs, config.vocabulary_size)
    run = RunFolder(folder)
    run.create(overwrite=False)
    run.write(CONFIG, RunConfig(config, TrainConfig(), sheet.name, rows=rows).to_json())
    return Fish(new_model(config, seed=1).eval(), tokenizer, run), [prompt for prompt, _ in pairs]


def trained_fish(run: str) -> tuple[Fish, list[str]]:
    """The fish of a run, and the prompts of its test_fresh. Raises RunError."""
    fish = load(run)
    return fish, [row.prompt for row in rows_of(fish.run, "test_fresh")]


def with_cache(fish: Fish, prompts: Sequence[str]) -> Said:
    """Ours, as `guppylm chat` streams: a new token costs one column; keys and values of those before it are kept."""
    return [list(stream(fish.model, ids, fish.tokenizer.end, GREEDY, 1)) for ids in rendered(fish, prompts)]


@torch.inference_mode()
def without_cache(fish: Fish, prompts: Sequence[str]) -> Said:
    """Replies for each token of which everything before it is computed again; but only the last place gets logits."""
    replies = []
    for ids in rendered(fish, prompts):
        said: list[int] = []
        while len(said) < room(fish.model, ids):
            there = torch.tensor([ids + said])
            last = torch.arange(there.shape[1])[None] == there.shape[1] - 1
            token = int(fish.model(there, only=last)[0].argmax())
            if token == fish.tokenizer.end:
                break
            said.append(token)
        replies.append(said)
    return replies


def of_transformers(fish: Fish, folder: Path) -> Way:
    """Stock transformers on the export, one prompt at a time. Raises ImportError without that library."""
    import transformers

    export_huggingface(fish, folder)
    end = fish.tokenizer.end
    library: Any = transformers  # it is typed in part only
    model = library.AutoModelForCausalLM.from_pretrained(folder).eval()
    model.generation_config = library.GenerationConfig(do_sample=False, eos_token_id=end, pad_token_id=end)

    def say(fish: Fish, prompts: Sequence[str]) -> Said:
        replies = []
        for ids in rendered(fish, prompts):
            there = torch.tensor([ids])
            said = model.generate(there, attention_mask=torch.ones_like(there), max_new_tokens=room(fish.model, ids))
            replies.append([token for token in said[0, len(ids) :].tolist() if token != end])
        return replies

    return say


def side_by_side(fish: Fish, prompts: Sequence[str]) -> Said:
    """Ours, all prompts of one length at once."""
    return [reply.ids for reply in reply_to_all(fish.model, fish.tokenizer, prompts, GREEDY, 1)]


def rendered(fish: Fish, prompts: Sequence[str]) -> list[list[int]]:
    """The ids up to where each reply begins."""
    return [fish.tokenizer.render_prompt(prompt, fish.model.config.context)[0] for prompt in prompts]


def room(model: Transformer, ids: Sequence[int]) -> int:
    """Tokens that a reply to `ids` can have. The last needs no place in the context: nothing follows it."""
    return model.config.context - len(ids) + 1


def tokens_drawn(fish: Fish, prompts: Sequence[str], replies: Said) -> int:
    """The tokens of the replies, with the end tokens of those that ended."""
    pairs = zip(rendered(fish, prompts), replies, strict=True)
    return sum(min(len(said) + 1, room(fish.model, ids)) for ids, said in pairs)


def bytes_a_token(model: Transformer) -> int:
    """What one token reads: every weight, but only its own place's position embedding."""
    return 4 * (sum(p.numel() for p in model.parameters()) - model.position_embedding.weight[1:].numel())


def bandwidth(size: int, seconds: float = PROBE_SECONDS) -> float:
    """Bytes a second, read again and again from a buffer of `size` bytes: the best of a sum and a matrix times a vector."""
    matrix, vector = torch.ones(max(1, size // 4096), 1024), torch.ones(1024)  # float32: 4096 bytes a row
    probes: tuple[Callable[[], object], ...] = (matrix.sum, lambda: matrix @ vector)
    taken: list[float] = []
    for read in probes:
        until = time.perf_counter() + seconds
        while not taken or time.perf_counter() < until:
            began = time.perf_counter()
            read()
            taken.append(time.perf_counter() - began)
    return matrix.numel() * 4 / min(taken)


def cache_bytes() -> int | None:
    """The processor's largest cache as Linux tells it; None elsewhere."""
    sizes = [path.read_text("utf-8").strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((int(size[:-1]) * 1024 for size in sizes if size.endswith("K")), default=None)


def measure(
    fish: Fish, prompts: Sequence[str], few: int, rounds: int, folder: Path
) -> tuple[dict[str, list[float]], list[float], int]:
    """Tokens a second by way and round, bytes a second from a large buffer, and how many of the replies were not alike.

    Each round takes all ways in turn, so that a slow moment of the machine hits all alike; one more before them warms up.
    """
    ways: dict[str, tuple[Way, Sequence[str]]] = {OURS: (with_cache, prompts[:few])}
    ways["the whole sequence for every token"] = (without_cache, prompts[:few])
    with suppress(ImportError):
        ways["transformers, generate"] = (of_transformers(fish, folder), prompts[:few])
    ways[f"{len(prompts)} replies, side by side"] = (side_by_side, prompts)
    speeds: dict[str, list[float]] = {name: [] for name in (*ways, BOUND)}
    large, needed = [], bytes_a_token(fish.model)
    first: dict[str, Said] = {}
    for number in range(rounds + 1):
        for name, (way, asked) in ways.items():
            began = time.perf_counter()
            replies = way(fish, asked)
            seconds = time.perf_counter() - began
            if number:
                speeds[name].append(tokens_drawn(fish, asked, replies) / seconds)
            else:
                first[name] = replies[:few]
        if number:
            speeds[BOUND].append(bandwidth(needed) / needed)
            large.append(bandwidth(LARGE))
    unlike = sum(said != first[OURS][place] for replies in first.values() for place, said in enumerate(replies))
    return speeds, large, unlike


def show(fish: Fish, speeds: dict[str, list[float]], large: list[float], unlike: int) -> None:
    """The table."""
    medians = {name: median(found) for name, found in speeds.items()}
    print(f"\n{'':38} {'tokens/s':>9} {'of ours':>8} {'of the bound':>13} {'slowest to fastest round':>26}")
    for name, speed in medians.items():
        spread = f"{min(speeds[name]):,.0f} to {max(speeds[name]):,.0f}"
        print(f"{name:38} {speed:9,.0f} {speed / medians[OURS]:8.2f} {speed / medians[BOUND]:13.2f} {spread:>26}")
    print(f"\n{unlike} replies differ between the ways: roundings that tip a choice" if unlike else "\nall ways said the same")
    needed, cache = bytes_a_token(fish.model), cache_bytes()
    again = medians[BOUND] * needed
    print(f"a token reads {needed / 1e6:.1f} MB of weights: {again / 1e9:.1f} GB/s from a buffer of that size, read again and")
    print(f"again; {median(large) / 1e9:.1f} GB/s from one of {LARGE / 1e6:.0f} MB")
    if cache is not None:
        fits = "fit into it, so the first figure is the cache's" if needed < cache else "do not fit into it as a whole"
        print(f"largest cache: {cache / 1e6:.1f} MB; the weights {fits}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run folder; without it random weights")
    parser.add_argument("--prompts", type=int, default=128, help="that are answered side by side")
    parser.add_argument("--few", type=int, default=8, help="of them that are answered one by one")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if min(options.prompts, options.few, options.rounds, options.threads) < 1:
        parser.error("prompts, few, rounds and threads must be at least 1")
    torch.set_num_threads(options.threads)
    try:
        with tempfile.TemporaryDirectory() as folder:
            if options.run:
                fish, prompts = trained_fish(options.run)
            else:
                fish, prompts = random_fish(load_character("guppy"), ModelConfig(), DRAWN_ROWS, Path(folder) / "run")
            parameters = sum(parameter.numel() for parameter in fish.model.parameters())
            print(f"{options.run or 'random weights'}, {parameters:,} parameters; torch {torch.__version__}")
            print(f"{options.threads} thread(s), medians of {options.rounds} rounds; {options.few} prompts one by one")
            show(fish, *measure(fish, prompts[: options.prompts], options.few, options.rounds, Path(folder) / "export"))
    except (RunError, ValueError, OSError) as error:
        sys.exit(f"generate: {error}")


if __name__ == "__main__":
    main()
