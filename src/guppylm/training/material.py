"""What a training reads, from wherever it comes: a sheet, conversations of your own, or a text.

Each kind is prepared once, into the run folder; from then on the folder is all that is needed, to go on or to evaluate.
"""

import dataclasses
from collections import Counter

import numpy as np

from guppylm.checkpoint import CHARACTER, TEXT, TOKENIZER, RunConfig, RunFolder
from guppylm.config import TrainConfig
from guppylm.data.batches import Batches, Steps
from guppylm.data.character import Character
from guppylm.data.conversations import read_rows, write_conversations
from guppylm.data.sources import OwnConversations, OwnText, read_text, write_own
from guppylm.data.text import Stream, TextTokenizer, Windows, tokenizer_for
from guppylm.data.tokenizer import Rendered, Tokenizer
from guppylm.errors import RunError
from guppylm.evaluation.loss import Loss, LossReport, loss_report, plain_loss
from guppylm.evaluation.rows import held
from guppylm.model import Transformer
from guppylm.training.loop import Measure
from guppylm.training.progress import Reporter

Material = list[Rendered] | Stream  # rows of conversation, or the ids of a text


def prepare_character(
    sheet: Character, folder: RunFolder, rows: int, seed: int, reporter: Reporter
) -> tuple[Tokenizer, list[Rendered]]:
    """Draws a character's conversations and learns the tokens from them."""
    reporter.say(f"writing {rows:,} conversations of {sheet.title}: {len(sheet.topics)} topics, {len(sheet.turns)} turns")
    try:
        write_conversations(sheet, folder.path / "data", rows, seed)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return _learn_tokens(folder, True, reporter)


def prepare_conversations(
    own: OwnConversations, folder: RunFolder, context: int, reporter: Reporter
) -> tuple[Tokenizer, list[Rendered]]:
    """Writes somebody's conversations, divided, and learns the tokens from those to train on; their capitals stay."""
    counts = ", ".join(f"{name} {len(rows):,}" for name, rows in own.splits.items())
    reporter.say(f"{sum(map(len, own.splits.values())):,} conversations: {counts}; their floor is unknown")
    if own.repeated:
        reporter.say(f"{own.repeated:,} rows repeat an earlier one, prompt and reply; they stay")
    for name, leaked in own.leaked.items():
        reporter.say(f"{leaked:,} rows of {name} have a prompt that stands in train too: it flatters what is measured there")
    try:
        write_own(own, folder.path / "data")
    except OSError as error:
        raise _unwritable(folder, error) from error
    tokenizer, rendered = _learn_tokens(folder, False, reporter)
    for name, rows in own.splits.items():
        whole = rendered if name == "train" else tokenizer.render_all([(row.prompt, row.reply) for row in rows])
        long = sum(len(one.ids) > context + 1 for one in whole)
        if long:
            reporter.say(f"{long:,} conversations of {name} are longer than {context} tokens; they are left out")
    return tokenizer, rendered


def learn_text(own: OwnText, kind: str, context: int) -> tuple[TextTokenizer, Stream]:
    """The tokens of somebody's text, and what is learned from in them. Raises ValueError if that is too short."""
    everything = own.train + own.validation
    tokenizer = tokenizer_for(kind, everything if kind == "characters" else own.train)
    stream = tokenizer.stream(own.train)
    if len(stream) <= context or len(tokenizer.stream(own.validation)) < 2:
        raise ValueError(f"the text has {len(everything):,} characters, which is too short; about {10 * context:,} are needed")
    return tokenizer, stream


def write_text(own: OwnText, tokenizer: TextTokenizer, stream: Stream, folder: RunFolder, reporter: Reporter) -> None:
    """Writes somebody's text in its two parts, and its tokens."""
    try:
        (folder.path / "data").mkdir(exist_ok=True)
        for name, text in (("train", own.train), ("validation", own.validation)):
            (folder.path / "data" / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise _unwritable(folder, error) from error
    folder.write(TOKENIZER, tokenizer.to_json())
    counts = np.bincount(stream, minlength=tokenizer.size)
    folder.write("vocabulary.tsv", tokenizer.twin(Counter(dict(enumerate(counts.tolist())))))
    reporter.say(
        f"{len(own.train):,} characters of text to learn from, {len(own.validation):,} held out, its end; the floor is unknown"
    )
    each = len(own.train) / len(stream)
    reporter.say(f"{tokenizer.size:,} tokens; the text to learn from has {len(stream):,}, {each:.2f} characters each")


def read_again(folder: RunFolder, tokenizer: Tokenizer) -> Material:
    """What the run reads, from its own folder. Raises RunError if that is gone or damaged."""
    data = folder.path / "data"
    if isinstance(tokenizer, TextTokenizer):
        return tokenizer.stream(read_text(data / "train.txt"))
    path = data / "train.jsonl"
    try:
        return tokenizer.render_all([(row.prompt, row.reply) for row in read_rows(path)])
    except (FileNotFoundError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged ({error}); a run can only go on with its own data") from error


def steps_of(material: Material, config: TrainConfig, context: int) -> Steps:
    """What each step reads. Raises ValueError if nothing fits the context."""
    return Windows(material, config, context) if isinstance(material, np.ndarray) else Batches(material, config, context)


def measure_of(folder: RunFolder, run: RunConfig, tokenizer: Tokenizer) -> Measure:
    """How the run's loss on validation is looked at along the way."""
    count, precision = run.train.evaluation_rows, run.train.precision
    if run.kind == CHARACTER:
        rows = list(read_rows(folder.path / "data" / "validation.jsonl"))[:count]

        def with_floor(model: Transformer) -> LossReport:
            return loss_report(model, tokenizer, rows, precision)

        return with_floor
    there = held(folder, tokenizer, "validation", run.model.context)

    def without_floor(model: Transformer) -> Loss:
        return plain_loss(model, there.rendered[:count], there.counted_bytes[:count], precision)

    return without_floor


def dials(kind: str, config: TrainConfig) -> TrainConfig:
    """The recipe for this kind of data. A window of text is four times as long as a reply, so fewer of them are looked at.

    And it begins anywhere: its first token is no weightier than the others.
    """
    return dataclasses.replace(config, evaluation_rows=64, first_token=1.0) if kind == TEXT else config


def _learn_tokens(folder: RunFolder, lowercase: bool, reporter: Reporter) -> tuple[Tokenizer, list[Rendered]]:
    pairs = [(row.prompt, row.reply) for row in read_rows(folder.path / "data" / "train.jsonl")]
    tokenizer = Tokenizer.train(pairs, lowercase=lowercase)
    rendered = tokenizer.render_all(pairs)
    folder.write(TOKENIZER, tokenizer.to_json())
    counts = tokenizer.count(rendered)
    folder.write("vocabulary.tsv", tokenizer.twin(counts))
    reporter.say(f"{tokenizer.size:,} tokens, {len(counts):,} of them occur in the conversations")
    return tokenizer, rendered


def _unwritable(folder: RunFolder, error: OSError) -> RunError:
    return RunError(f"{folder.path / 'data'} could not be written: {error.strerror}; make room, or choose another --out")
