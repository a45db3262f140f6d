"""Text to token ids and back: byte-level BPE, and the chat format that makes a conversation one row of tokens.

    <|im_start|>user\\n{prompt}<|im_end|>\\n<|im_start|>assistant\\n{reply}<|im_end|>

What stands around prompt and reply never changes, so it is three tokens: here a person speaks, here the fish answers, the end.
The vocabulary starts as the 256 bytes, so every text can be written; then the pair of neighbours that is commonest in
the training text becomes a new token, again and again ("Neural Machine Translation of Rare Words with Subword Units",
Sennrich et al., 2016; on bytes: Radford et al., 2019).
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer as BPETokenizer
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

START, ANSWER, END = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"
REPLY_TOKENS = 48  # kept free for the reply when a prompt is long


@dataclass(frozen=True)
class Rendered:
    """A conversation as the model reads it."""

    ids: list[int]
    is_reply: list[bool]  # true where the loss counts: the reply's tokens and the end that follows them


class Tokenizer:
    """A trained BPE with the chat format."""

    def __init__(self, bpe: BPETokenizer) -> None:
        bpe.encode_special_tokens = True  # <|im_end|> in a person's text is text: nobody can end a turn by typing it
        self.bpe = bpe
        self.start, self.answer, self.end = (self._special(token) for token in (START, ANSWER, END))
        self._longest = max(map(len, bpe.get_vocab()))  # characters that one token can spell, at most

    @staticmethod
    def train(conversations: Iterable[tuple[str, str]], vocabulary_size: int = 4096, lowercase: bool = True) -> "Tokenizer":
        """Learns the merges from (prompt, reply) pairs. A text with too few different words gets fewer tokens.

        A word counts by the cube root of how often it occurs: the commonest become whole tokens either way, and more of the
        vocabulary is left for the others.
        """
        bpe = BPETokenizer(models.BPE())
        steps = [normalizers.NFC(), normalizers.Lowercase()] if lowercase else [normalizers.NFC()]
        bpe.normalizer = normalizers.Sequence(steps)
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=[START, ANSWER, END],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            min_frequency=2,
            show_progress=False,
        )
        texts = [part for conversation in conversations for part in conversation]
        split = bpe.pre_tokenizer.pre_tokenize_str
        words = Counter(word for text in texts for word, _ in split(bpe.normalizer.normalize_str(text)))
        repeated = [bpe.decoder.decode([word]) for word, count in words.items() for _ in range(round(count ** (1 / 3)))]
        bpe.train_from_iterator(repeated, trainer)
        return Tokenizer(bpe)

    def _special(self, token: str) -> int:
        number = self.bpe.token_to_id(token)
        if number is None:
            raise ValueError(f"the tokenizer lacks {token}: it was not made for this chat format")
        return number

    @property
    def size(self) -> int:
        """How many tokens it knows."""
        return self.bpe.get_vocab_size()

    @property
    def rows(self) -> int:
        """Rows that a model needs in its embedding: the size rounded up to a multiple of 64."""
        return -(-self.size // 64) * 64

    def encode(self, text: str) -> list[int]:
        """The ids of a text, special tokens in it as plain text."""
        return self.bpe.encode(clean(text), add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids; bytes that are no complete character become U+FFFD."""
        return self.bpe.decode(list(ids), skip_special_tokens=True)

    def render(self, prompt: str, reply: str) -> Rendered:
        """The one place where a conversation becomes ids and loss mask."""
        return self.render_all([(prompt, reply)])[0]

    def render_all(self, conversations: Sequence[tuple[str, str]]) -> list[Rendered]:
        """`render` for many conversations at once, on all cores."""
        prompts = self.bpe.encode_batch_fast([clean(prompt) for prompt, _ in conversations], add_special_tokens=False)
        replies = self.bpe.encode_batch_fast([clean(reply) for _, reply in conversations], add_special_tokens=False)
        rendered = []
        for prompt, reply in zip(prompts, replies, strict=True):
            before = [self.start, *prompt.ids, self.answer]
            after = [*reply.ids, self.end]
            rendered.append(Rendered(before + after, [False] * len(before) + [True] * len(after)))
        return rendered

    def render_prompt(self, prompt: str, context: int) -> tuple[list[int], int]:
        """The ids up to where the reply begins, and how many characters were left out.

        A prompt too long for the context loses its beginning, at a character, so that 48 tokens are left for the reply.
        """
        text = unicodedata.normalize("NFC", clean(prompt))
        room = context - REPLY_TOKENS - 2  # the marks around it
        if room < 1:
            raise ValueError(f"a context of {context} tokens has no room for a prompt and {REPLY_TOKENS} tokens of reply")
        text = text[-self._longest * room :]
        while len(ids := self.encode(text)) > room:
            excess = len(ids) - room
            text = text[max(1, excess // 4) :]  # a token spells a character or more, a character at most four tokens
        left_out = len(unicodedata.normalize("NFC", clean(prompt))) - len(text)
        return [self.start, *ids, self.answer], left_out

    def count(self, rendered: Iterable[Rendered]) -> Counter[int]:
        """How often each token occurs in these conversations."""
        counts: Counter[int] = Counter()
        for conversation in rendered:
            counts.update(conversation.ids)
        return counts

    def to_json(self) -> str:
        """The file that `from_json` and stock `tokenizers` read."""
        return str(self.bpe.to_str(pretty=True))

    @staticmethod
    def from_json(text: str) -> "Tokenizer":
        """Raises ValueError if the text is no tokenizer of ours."""
        try:
            return Tokenizer(BPETokenizer.from_str(text))
        except ValueError:
            raise
        except Exception as error:  # the tokenizers library raises bare Exceptions
            raise ValueError(f"not a tokenizer file: {error}") from error

    def twin(self, counts: Counter[int] | None = None) -> str:
        """The vocabulary as a table to read: id, the token (␣ a space, ␤ a line end), its two halves, its count."""
        model: dict[str, Any] = json.loads(self.to_json())["model"]
        halves = {"".join(pair): pair for pair in map(tuple, model["merges"])}
        lines = ["id\ttoken\tmade of" + ("\tin train" if counts is not None else "")]
        for number in range(self.size):
            spelled = self.bpe.id_to_token(number) or ""
            made_of = " + ".join(_readable(half) for half in halves.get(spelled, ()))
            seen = f"\t{counts[number]}" if counts is not None else ""
            lines.append(f"{number}\t{_readable(spelled)}\t{made_of}{seen}")
        return "\n".join(lines) + "\n"

    def token_text(self, number: int) -> str:
        """One token in readable form, as `twin` writes it."""
        return _readable(self.bpe.id_to_token(number) or "")


def clean(text: str) -> str:
    """Text that can be encoded: half of a surrogate pair, as a broken terminal may send, becomes "?"."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def _byte_of() -> dict[str, int]:
    """The byte that each character of a byte-level token stands for (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(hidden)}


BYTE_OF = _byte_of()


def _readable(token: str) -> str:
    if token in (START, ANSWER, END):
        return token.replace("\n", "␤")
    text = bytes(BYTE_OF[char] for char in token).decode("utf-8", "backslashreplace")
    text = text.replace(" ", "␣").replace("\n", "␤")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
