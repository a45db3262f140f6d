"""What a fish has read, as hashes: enough for a web page to say of a reply whether it is remembered, without the rows.

The hash is MurmurHash3 (Austin Appleby, 2011; the x86 variant of 32 bits) of the UTF-8 bytes, twice: seed 0 gives the upper
half of 64 bits, seed 0x9747b28c the lower. JavaScript computes it with Math.imul in twenty lines.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from guppylm.data.conversations import Row
from guppylm.data.grammar import normalise

SEEDS = (0, 0x9747B28C)  # of the upper and the lower half
BETWEEN_SENTENCES = r"(?<=[.?!]) "  # the same in Python and JavaScript
EXAMPLES = ("", "a", "guppy", "A caf\u00e9.", "the castle. it was here before the water.")  # for tests in other languages
Words = npt.NDArray[np.uint32]


def murmur3(data: npt.NDArray[np.uint8], seed: int) -> Words:
    """MurmurHash3_x86_32 of texts of one length: (texts, bytes) to (texts,). Products and sums wrap round at 32 bits."""
    texts, length = data.shape
    padded = np.zeros((texts, (length + 3) // 4 * 4), dtype=np.uint8)
    padded[:, :length] = data
    state = np.full(texts, seed, dtype=np.uint32)
    for place, word in enumerate(padded.view("<u4").T):
        state ^= _turned(word * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
        if place < length // 4:  # a word that the text does not fill is only mixed in
            state = _turned(state, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    state ^= np.uint32(length)
    state = (state ^ state >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    state = (state ^ state >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return state ^ state >> np.uint32(16)


def _turned(words: Words, bits: int) -> Words:
    return words << np.uint32(bits) | words >> np.uint32(32 - bits)


def hashes(texts: Iterable[str]) -> npt.NDArray[np.uint64]:
    """The hash of each text, in any order. `normalise` brings them into one form first."""
    of_length: dict[int, list[bytes]] = {}
    for text in texts:
        data = normalise(text).encode()
        of_length.setdefault(len(data), []).append(data)
    found = [np.zeros(0, dtype=np.uint64)]
    for length, group in of_length.items():
        table = np.frombuffer(b"".join(group), dtype=np.uint8).reshape(len(group), length)
        upper, lower = (murmur3(table, seed).astype(np.uint64) for seed in SEEDS)
        found.append(upper << np.uint64(32) | lower)
    return np.concatenate(found)


def hash64(text: str) -> int:
    """The hash of one text."""
    return int(hashes([text])[0])


def sentences(reply: str) -> list[str]:
    """The sentences of a reply: each ends with . ? or ! and a space after it."""
    return re.split(BETWEEN_SENTENCES, normalise(reply))


def seen(rows: Sequence[Row]) -> tuple[bytes, dict[str, Any]]:
    """seen.bin, and what the manifest says about it."""
    texts: dict[str, Iterable[str]] = {
        "replies": (row.reply for row in rows),
        "pairs": (f"{row.prompt}\n{row.reply}" for row in rows),
        "sentences": (sentence for row in rows for sentence in sentences(row.reply)),
    }
    sections, blob = {}, b""
    for name, found in texts.items():
        sorted_hashes = np.unique(hashes(set(found))).astype("<u8")
        sections[name] = {"offset": len(blob), "count": len(sorted_hashes)}
        blob += sorted_hashes.tobytes()
    told = {
        "file": "seen.bin",
        "hash": "murmur3_x86_32, twice",
        "seeds": list(SEEDS),
        "normalise": "NFC, then lower case",
        "pair": "prompt, a line feed, reply",
        "between_sentences": BETWEEN_SENTENCES,
        "rows": len(rows),
        "examples": [{"text": text, "hash": f"{hash64(text):016x}"} for text in EXAMPLES],
        "sections": sections,
    }
    return blob, told
