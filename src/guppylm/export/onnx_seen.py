"""What a fish has read, as hashes: enough for a web page to say of a reply whether it is remembered, without the rows.

The hash is MurmurHash3 (Austin Appleby, 2011; the x86 variant of 32 bits) of the UTF-8 bytes, twice: seed 0 gives the upper
half of 64 bits, seed 0x9747b28c the lower. JavaScript computes it with Math.imul in twenty lines.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from guppylm.data.conversations import Row
from guppylm.data.grammar import normalise

SEEDS = (0, 0x9747B28C)  # of the upper and the lower half
BETWEEN_SENTENCES = r"(?<=[.?!]) "  # the same in Python and JavaScript
EXAMPLES = ("", "a", "guppy", "A caf\u00e9.", "the castle. it was here before the water.")  # for tests in other languages
MASK = 0xFFFFFFFF


def murmur3(data: bytes, seed: int) -> int:
    """MurmurHash3_x86_32."""
    state = seed
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        state ^= _scattered(int.from_bytes(data[at : at + 4], "little"))
        state = ((state << 13 | state >> 19) * 5 + 0xE6546B64) & MASK
    if len(data) > whole:
        state ^= _scattered(int.from_bytes(data[whole:], "little"))
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & MASK
    state = (state ^ state >> 13) * 0xC2B2AE35 & MASK
    return state ^ state >> 16


def _scattered(word: int) -> int:
    word = word * 0xCC9E2D51 & MASK
    return (word << 15 | word >> 17) * 0x1B873593 & MASK


def hash64(text: str) -> int:
    """The hash of a text, which `normalise` brings into one form first."""
    data = normalise(text).encode()
    upper, lower = (murmur3(data, seed) for seed in SEEDS)
    return upper << 32 | lower


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
        hashes = np.array(sorted({hash64(text) for text in set(found)}), dtype="<u8")
        sections[name] = {"offset": len(blob), "count": len(hashes)}
        blob += hashes.tobytes()
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
