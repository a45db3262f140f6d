"""Data that is not drawn from a sheet: conversations of your own, or any text.

What is held out follows the same rule as in splits.py: a hash of the prompt decides, never a seed, and all rows with one
prompt go the same way. So no prompt of a test stands in train, and a row that is added later moves no other.
"""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from guppylm.data.conversations import Row
from guppylm.data.splits import chance
from guppylm.errors import RunError

HELD = 0.05  # of the prompts, for validation; as many again for the test
TEST = "test_unseen_prompt"
TAIL = 0.1  # of a text, its end, is held out
PROMPTS = 10  # answered when the training is done
LONGEST_BEGINNING = 20  # characters


@dataclass
class OwnConversations:
    """Somebody's conversations, divided."""

    splits: dict[str, list[Row]]  # train, validation and tests
    fingerprint: str
    repeated: int  # rows whose prompt and reply have both stood there before
    leaked: dict[str, int] = field(default_factory=dict)  # rows of a split, as it was given, whose prompt stands in train
    prompts: tuple[str, ...] = ()  # to answer when the training is done


def read_conversations(path: Path) -> OwnConversations:
    """The conversations of a JSON-lines file, of a folder with train.jsonl, or of a folder that `datasets` saved.

    A row has a prompt, a reply and, if you like, a topic; whatever else it has is left out. A file, or a folder without
    validation or test, is divided here. Raises RunError that names file and line.
    """
    if path.is_dir():
        splits = _saved_dataset(path) if _is_dataset(path) else _folder(path)
    else:
        splits = {"train": list(_rows(_json_lines(path), path))}
    everything = [row for rows in splits.values() for row in rows]
    if not splits["train"]:
        raise RunError(f"{path} holds no conversations to train on; one line is one JSON object with prompt and reply")
    given = tuple(splits)
    wanted = [name for name in ("validation", TEST) if name == "validation" or not any(n.startswith("test") for n in given)]
    _hold_out(splits, [name for name in wanted if name not in splits], path)
    train = {_key(row.prompt) for row in splits["train"]}
    leaked = {name: sum(_key(row.prompt) in train for row in splits[name]) for name in given if name != "train"}
    for name in splits.keys() - {"train"}:  # the first few are looked at most: no topic should stand first
        splits[name].sort(key=lambda row: chance("order", row.prompt, row.reply))
    counts = Counter((row.prompt, row.reply) for row in everything)
    shown = dict.fromkeys(row.prompt for row in splits["validation"])
    return OwnConversations(
        splits,
        fingerprint("\0".join((name, row.prompt, row.reply, row.topic)) for name in splits for row in splits[name]),
        len(everything) - len(counts),
        {name: count for name, count in leaked.items() if count},
        tuple(islice(shown, PROMPTS)),
    )


def write_own(own: OwnConversations, folder: Path) -> None:
    """Writes a file for each split, as `guppylm data` does. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in own.splits.items():
        (folder / f"{name}.jsonl").write_text("".join(row.to_json() + "\n" for row in rows), encoding="utf-8", newline="\n")


def _hold_out(splits: dict[str, list[Row]], wanted: Sequence[str], path: Path) -> None:
    """Takes the prompts of the wanted splits, all rows of each, out of train. Raises RunError if there are too few."""
    if not wanted:
        return
    ranked = sorted({_key(row.prompt) for row in splits["train"]}, key=lambda key: chance("prompt", key))
    if len(ranked) <= len(wanted):
        few = f"{path} has too few different prompts ({len(ranked)})"
        raise RunError(f"{few}: training, validation and test need one each at least; write more conversations")
    place: dict[str, str] = {}
    for name in wanted:
        share = [key for key in ranked if chance("prompt", key) < HELD * (1 + wanted.index(name)) and key not in place]
        place |= dict.fromkeys(share or [next(key for key in ranked if key not in place)], name)
    rows = splits["train"]
    for name in ("train", *wanted):
        splits[name] = [row for row in rows if place.get(_key(row.prompt), "train") == name]
    if not splits["train"]:
        raise RunError(f"{path} has too few different prompts to hold some out; write more conversations")


def _key(prompt: str) -> str:
    """Prompts that differ in capitals or spaces only count as one."""
    return " ".join(unicodedata.normalize("NFC", prompt).casefold().split())


def _folder(path: Path) -> dict[str, list[Row]]:
    names = ["train", "validation", *sorted(file.stem for file in path.glob("test*.jsonl"))]
    if not (path / "train.jsonl").exists():
        raise RunError(f"{path} has no train.jsonl; give a file with conversations, or a folder that holds train.jsonl")
    files = {name: path / f"{name}.jsonl" for name in names if (path / f"{name}.jsonl").exists()}
    return {name: list(_rows(_json_lines(file), file)) for name, file in files.items()}


def _is_dataset(path: Path) -> bool:
    return (path / "dataset_dict.json").exists() or (path / "state.json").exists()


def _saved_dataset(path: Path) -> dict[str, list[Row]]:
    try:
        from datasets import Dataset, load_from_disk
    except ImportError as error:
        raise RunError(f"{path} was saved by the library datasets; `pip install datasets` to read it") from error
    try:
        found = load_from_disk(str(path))
    except Exception as error:  # a damaged folder raises whatever the library's parts do
        raise RunError(f"{path} can't be read as a saved dataset: {error}") from error
    tables = {"train": found} if isinstance(found, Dataset) else dict(found)
    if "train" not in tables:
        raise RunError(f"{path} has no split train, only {', '.join(tables)}")
    names = [name for name in tables if name in ("train", "validation") or name.startswith("test")]
    return {name: list(_rows(enumerate(tables[name], 1), path / name, "row")) for name in names}


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                problem = f"{path}, line {number} is no JSON ({error})"
                raise RunError(f'{problem}; a line looks like {{"prompt": "hello", "reply": "hi."}}') from error


def _rows(found: Iterable[tuple[int, Any]], path: Path, unit: str = "line") -> Iterator[Row]:
    for number, fields in found:
        where = f"{path}, {unit} {number}"
        if not isinstance(fields, Mapping):
            raise RunError(f"{where} is no object but {json.dumps(fields)[:40]}; it needs a prompt and a reply")
        texts = {}
        for name in ("prompt", "reply", "topic"):
            value = fields.get(name, "" if name == "topic" else None)
            if name not in fields and value is None:
                raise RunError(f'{where} has no "{name}"; it has {", ".join(fields) or "nothing"}')
            if not isinstance(value, str) and not (name == "topic" and value is None):
                raise RunError(f'{where}: "{name}" is of type {type(value).__name__}; it must be a text in quotation marks')
            texts[name] = (value or "").strip()
            if not texts[name] and name != "topic":
                raise RunError(f'{where}: "{name}" is empty; say something, or delete the row')
        yield Row(texts["prompt"], texts["reply"], texts["topic"], "", {})


@dataclass(frozen=True)
class OwnText:
    """Somebody's text: what is learned from, and the end that is held out."""

    train: str
    validation: str
    fingerprint: str
    prompts: tuple[str, ...]  # beginnings to go on from, taken from the held-out end


def divide_text(path: Path) -> OwnText:
    """A text file, divided. Raises RunError if it can't be read or is empty."""
    text = read_text(path)
    if len(text) < 2:
        raise RunError(f"{path} holds no text to learn from")
    cut = int(len(text) * (1 - TAIL))
    return OwnText(text[:cut], text[cut:], fingerprint([text]), beginnings(text[cut:]))


def beginnings(text: str) -> tuple[str, ...]:
    """Some lines of a text, each cut short: three words of it, or half of a shorter one."""
    found = []
    for line in filter(None, map(str.strip, text.split("\n")[1:] or [text])):  # the first line may be the end of one
        words = line.split()
        beginning = " ".join(words[:3]) if len(words) > 3 else line[: (len(line) + 1) // 2]
        found.append(beginning[:LONGEST_BEGINNING].rstrip())
    distinct = list(dict.fromkeys(found))
    return tuple(distinct[:: max(1, len(distinct) // PROMPTS)][:PROMPTS]) or (text[:1],)


def read_text(path: Path) -> str:
    """A UTF-8 file, its line ends as line feeds. Raises RunError that says where it is not UTF-8."""
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RunError(f"{path}, line {line} is not UTF-8 ({error.reason}); save the file as UTF-8") from error
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror}; give a file that exists") from error


def fingerprint(parts: Iterable[str]) -> str:
    """A short name for exactly these texts."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part.encode("utf-8", "replace") + b"\n")
    return digest.hexdigest()
