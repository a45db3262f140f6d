"""Plain text instead of conversations: its two tokenizers, and the windows of it that a training reads.

Nothing in a text says who speaks or where a reply ends, so there is no chat format: every token is to be guessed.
"""

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer as BPETokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers

from guppylm.config import TrainConfig
from guppylm.data.batches import Batch
from guppylm.data.tokenizer import BYTE_OF, START, Rendered, Tokenizer, clean

Stream = npt.NDArray[np.int32]  # the ids of a whole text, one after the other

TOKENIZERS = ("bpe", "characters")
NONE = -1  # the id of a mark that text does not have: no token is it, so nothing that is drawn ends a text
LINES_AT_ONCE = 10_000  # encoded side by side, on all cores


class TextTokenizer(Tokenizer):
    """Byte-level BPE that gives every text back as it was: nothing is lowercased, and there is no chat format."""

    def __init__(self, bpe: BPETokenizer) -> None:
        self.bpe = bpe
        self.start = self.answer = self.end = NONE
        self._longest = max(map(len, bpe.get_vocab()))

    @staticmethod
    def learn(text: str, vocabulary_size: int = 4096) -> "TextTokenizer":
        """Learns the merges from a text. A line end is a token of its own, so lines can be encoded one by one."""
        bpe = BPETokenizer(models.BPE())
        line_ends = pre_tokenizers.Split("\n", behavior="isolated")
        bpe.pre_tokenizer = pre_tokenizers.Sequence([line_ends, pre_tokenizers.ByteLevel(add_prefix_space=False)])
        bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=[],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            min_frequency=2,
            show_progress=False,
        )
        bpe.train_from_iterator(lines(text), trainer)
        return TextTokenizer(bpe)

    def stream(self, text: str) -> Stream:
        """All ids of a text, on all cores."""
        whole = lines(text)
        parts: list[Stream] = [np.zeros(0, dtype=np.int32)]
        for first in range(0, len(whole), LINES_AT_ONCE):
            encoded = self.bpe.encode_batch_fast(whole[first : first + LINES_AT_ONCE], add_special_tokens=False)
            parts.append(np.array([token for line in encoded for token in line.ids], dtype=np.int32))
        return np.concatenate(parts)

    def bytes_of_tokens(self) -> npt.NDArray[np.int64]:
        """How many bytes of text each token stands for: (size,)."""
        spelled = [self.bpe.id_to_token(number) or "" for number in range(self.size)]
        return np.array([self._bytes(token) for token in spelled], dtype=np.int64)

    def _bytes(self, token: str) -> int:
        return sum(char in BYTE_OF for char in token)  # each character of a byte-level token is one byte

    def render_prompt(self, prompt: str, context: int) -> tuple[list[int], int]:
        """The ids of a beginning, and how many characters were left out: it keeps its end, at most half of the context."""
        room = max(1, context // 2)
        text = clean(prompt)[-self._longest * room :]
        while len(ids := self.encode(text)) > room:
            text = text[max(1, (len(ids) - room) // 4) :]
        return ids, len(clean(prompt)) - len(text)

    def render_all(self, conversations: Sequence[tuple[str, str]]) -> list[Rendered]:
        """Raises ValueError: text has no replies."""
        raise ValueError("this run has learned to continue text; it knows no prompts and replies")


class CharacterTokenizer(TextTokenizer):
    """One token for each character that the text holds."""

    def __init__(self, bpe: BPETokenizer) -> None:
        super().__init__(bpe)
        self.known = frozenset(bpe.get_vocab())

    @staticmethod
    def learn(text: str, vocabulary_size: int = 0) -> "CharacterTokenizer":
        """Ids go by the order of the characters in Unicode; `vocabulary_size` follows from the text."""
        numbers = {char: number for number, char in enumerate(sorted(set(text)))}
        bpe = BPETokenizer(models.BPE(numbers, []))
        bpe.decoder = decoders.Fuse()
        return CharacterTokenizer(bpe)

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Raises ValueError for a character that the text it learned from does not hold."""
        for char in clean(text):
            if char not in self.known:
                raise ValueError(f"the text that it read holds no {char!r}, so it has no token for that; write it otherwise")
        return super().encode(text)

    def _bytes(self, token: str) -> int:
        return len(token.encode())

    def token_text(self, number: int) -> str:
        """One token in readable form: ␣ a space, ␤ a line end."""
        text = (self.bpe.id_to_token(number) or "").replace(" ", "␣").replace("\n", "␤")
        return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)

    def twin(self, counts: Counter[int] | None = None) -> str:
        """The vocabulary as a table to read: id, the character, its count."""
        head = "id\ttoken" + ("\tin train" if counts is not None else "")
        seen = [f"\t{counts[number]}" if counts is not None else "" for number in range(self.size)]
        return "\n".join([head, *(f"{n}\t{self.token_text(n)}{seen[n]}" for n in range(self.size))]) + "\n"


def tokenizer_for(kind: str, text: str) -> TextTokenizer:
    """A tokenizer of that kind, learned from this text. Raises ValueError for an unknown kind."""
    if kind not in TOKENIZERS:
        raise ValueError(f"no tokenizer {kind!r}; there are {', '.join(TOKENIZERS)}")
    return CharacterTokenizer.learn(text) if kind == "characters" else TextTokenizer.learn(text)


def tokenizer_from_json(text: str) -> Tokenizer:
    """Whichever tokenizer wrote this file. Raises ValueError if it is none of ours."""
    try:
        described = json.loads(text)
        vocabulary, splits = described["model"]["vocab"], described["pre_tokenizer"]
        if START in vocabulary:
            return Tokenizer.from_json(text)
        bpe = BPETokenizer.from_str(text)
    except ValueError:
        raise
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise ValueError(f"not a tokenizer file: {error}") from error
    return TextTokenizer(bpe) if splits else CharacterTokenizer(bpe)


def lines(text: str) -> list[str]:
    """The lines of a text with their ends; joined, they are the text."""
    *ended, last = text.split("\n")  # not splitlines(): only a line feed is a token of its own
    return [line + "\n" for line in ended] + [last] * bool(last)


class Windows:
    """What each step of a training on text reads: pieces of it, cut at random places.

    Step number `step` is a function of the text, the seed and `step` alone, as in `Batches`.
    """

    def __init__(self, stream: Stream, config: TrainConfig, context: int) -> None:
        """A step reads about `config.tokens_per_step` tokens. Raises ValueError if the text is shorter than the context."""
        if len(stream) < context + 1:
            raise ValueError(f"the text to learn from has {len(stream):,} tokens; at least {context + 1} are needed")
        self.stream = stream
        self.context = context
        self.windows = max(1, config.tokens_per_step // context)
        self.seed = config.seed

    def __getitem__(self, step: int) -> list[Batch]:
        """The one batch of this step."""
        random = np.random.default_rng([self.seed, step])
        first = random.integers(0, len(self.stream) - self.context, self.windows)
        cut = self.stream[first[:, None] + np.arange(self.context + 1)]  # (windows, context + 1)
        ids = torch.from_numpy(cut.astype(np.int64))
        return [Batch(ids[:, :-1], ids[:, 1:], torch.ones(self.windows, self.context, dtype=torch.bool))]


def windows_of(stream: Stream, context: int, most: int) -> list[Rendered]:
    """A text cut into windows end to end, so that every token but the first is guessed once; at most so many, drawn once.

    They come in random order, the same each time: the first few are a fair sample of the text.
    """
    firsts = np.random.default_rng(1).permutation(np.arange(0, max(0, len(stream) - 1), context))[:most]
    cut = [stream[first : first + context + 1].tolist() for first in firsts]
    return [Rendered(ids, [False] + [True] * (len(ids) - 1)) for ids in cut]
