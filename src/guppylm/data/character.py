"""A character sheet: a folder of TOML files, loaded, checked and turned into templates.

    character.toml   who it is, how it may speak, which prompts show it off
    slots.toml       [pools] of words and [rules], the templates that several topics use
    topics/*.toml    [[turn]] blocks: what a person may want, with its asks and its says

Every mistake in the sheet is found in one go and reported with its file, its line and what to do about it.
"""

import hashlib
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guppylm.data import grammar, overlap
from guppylm.data.grammar import EMPTY, Node, Parser, Series, TemplateError, choice, join, normalise, split
from guppylm.data.overlap import clashes, no_garbage_collection
from guppylm.data.voice import Voice

SHIPPED = Path(__file__).parent.parent / "characters"
PROOF = "proof.txt"  # the seal of a sheet whose prompts were proved to have one meaning each: then it is not proved again
PROVERS = (Path(grammar.__file__), Path(overlap.__file__))  # the code that the proof rests on


class CharacterError(ValueError):
    """A character sheet that can't be used. `problems` holds one line for each mistake: file:line: what, and what to do."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        shown = problems[:20] + ([f"... and {len(problems) - 20} more"] if len(problems) > 20 else [])
        super().__init__("\n".join(shown))


@dataclass(frozen=True)
class Ask:
    """One way to put a turn's question."""

    template: str
    core: Node  # what the template says
    node: Node  # the same inside the character's ask frame: small talk before it, a name after it


@dataclass(frozen=True)
class Turn:
    """One thing that a person may want (an intent): how it is asked, and what the character says to it."""

    topic: str
    name: str
    asks: tuple[Ask, ...]  # drawn with equal probability
    says: tuple[str, ...]  # the say templates as written
    say: Node  # one of them, with equal probability


@dataclass(frozen=True)
class Character:
    """A loaded sheet. `fingerprint` changes with every character of its files."""

    name: str
    title: str
    description: str
    prompts: tuple[str, ...]  # answered at the end of a training; the first five also along the way
    voice: Voice
    turns: tuple[Turn, ...]
    pools: dict[str, tuple[str, ...]]
    fingerprint: str

    @property
    def topics(self) -> tuple[str, ...]:
        """The names of the topics, in the order of their files."""
        return tuple(dict.fromkeys(turn.topic for turn in self.turns))


def find_character(name: str) -> Path:
    """The folder of a character: a path to one, or the name of one that ships. Raises CharacterError."""
    folder = Path(name)
    if (folder / "character.toml").is_file():
        return folder
    if re.fullmatch(r"[\w-]+", name) and (SHIPPED / name / "character.toml").is_file():
        return SHIPPED / name
    shipped = ", ".join(sorted(path.parent.name for path in SHIPPED.glob("*/character.toml")))
    raise CharacterError([f"no character {name!r}: give a folder with a character.toml, or one of those that ship: {shipped}"])


def load_character(name: str = "guppy", prove: bool = False) -> Character:
    """Loads and checks a character sheet. Raises CharacterError, which names every mistake.

    That every prompt has one meaning is proved if the sheet carries no seal of an earlier proof, or with `prove`.
    """
    with no_garbage_collection():
        return _Loader(find_character(name), prove).load()


def seal(folder: Path) -> str:
    """What `proof.txt` holds: it changes with the sheet and with the code that proves."""
    digest = hashlib.blake2b(fingerprint(folder).encode(), digest_size=16)
    for path in PROVERS:
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def fingerprint(folder: Path) -> str:
    """A digest of all files of a sheet."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*.toml")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@dataclass
class _Source:
    """One file of the sheet, and where in it a text stands."""

    label: str
    data: dict[str, Any]
    lines: list[str]
    cursor: int = 0

    def line_of(self, text: str) -> int:
        """The line of `text`, searched from where the last search ended, since checks go down the file."""
        for start in (self.cursor, 0):
            for number in range(start, len(self.lines)):
                if text in self.lines[number]:
                    self.cursor = number
                    return number + 1
        return 1


@dataclass
class _Loader:
    folder: Path
    prove: bool
    problems: list[str] = field(default_factory=list)

    def load(self) -> Character:
        sheet = self._read(self.folder / "character.toml")
        shared = self._read(self.folder / "slots.toml")
        topics = [self._read(path) for path in sorted((self.folder / "topics").glob("*.toml"))]
        if not topics:
            self._problem(sheet, "", "the folder topics/ holds no .toml file; write one with at least one [[turn]]")
        self._stop_on_problems()

        self.voice = self._voice(sheet)
        self.fewest_asks = int(sheet.data.get("fewest_asks", 14))
        self.fewest_says = int(sheet.data.get("fewest_says", 6))
        pools, rules = self._pools_and_rules([shared, *topics])
        parser = Parser(pools, rules)
        frame = self._frame(sheet, parser)
        turns: list[Turn] = []
        places: dict[int, tuple[_Source, str]] = {}  # where each ask stands, for the checks across turns
        for source in topics:
            turns += self._topic(source, parser, frame, places)
        self._check_unused(shared, topics, parser, pools, rules)
        self._stop_on_problems()
        if self.prove or not self._proved:
            self._check_clashes(turns, places)
        self._stop_on_problems()

        return Character(
            name=str(sheet.data.get("name", self.folder.name)),
            title=str(sheet.data.get("title", self.folder.name)),
            description=str(sheet.data.get("description", "")),
            prompts=tuple(sheet.data.get("prompts", ())),
            voice=self.voice,
            turns=tuple(turns),
            pools={name: tuple(words) for name, words in pools.items()},
            fingerprint=fingerprint(self.folder),
        )

    @property
    def _proved(self) -> bool:
        return (self.folder / PROOF).is_file() and (self.folder / PROOF).read_text("utf-8").strip() == seal(self.folder)

    def _problem(self, source: _Source, text: str, what: str) -> None:
        line = source.line_of(text or '""')  # an empty template stands in the file as two quotes
        self.problems.append(f"{source.label}:{line}: {what}")

    def _stop_on_problems(self) -> None:
        if self.problems:
            raise CharacterError(self.problems)

    def _read(self, path: Path) -> _Source:
        label = path.relative_to(self.folder).as_posix()
        try:
            text = path.read_text(encoding="utf-8")
            return _Source(label, tomllib.loads(text), text.splitlines())
        except FileNotFoundError:
            self.problems.append(f"{label}:1: the file is missing; a character needs it")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            found = re.search(r"line (\d+)", str(error))
            self.problems.append(f"{label}:{found[1] if found else 1}: not valid TOML in UTF-8: {error}")
        return _Source(label, {}, [])

    def _voice(self, sheet: _Source) -> Voice:
        rules = dict(sheet.data.get("voice", {}))
        unknown = rules.keys() - {"words", "sentences", "forbidden"}
        if unknown:
            self._problem(sheet, min(unknown), f"[voice] knows words, sentences and forbidden, not {min(unknown)}")
        forbidden = tuple(normalise(phrase) for phrase in rules.get("forbidden", Voice.forbidden))
        return Voice(int(rules.get("words", Voice.words)), int(rules.get("sentences", Voice.sentences)), forbidden)

    def _pools_and_rules(self, sources: list[_Source]) -> tuple[dict[str, list[str]], dict[str, str]]:
        pools: dict[str, list[str]] = {}
        rules: dict[str, str] = {}
        for source in sources:
            for name, words in source.data.get("pools", {}).items():
                if name in pools:
                    self._problem(source, f"{name} =", f"a second pool {name}; give it another name, or join the two")
                elif not words or len({normalise(word) for word in words}) < len(words):
                    self._problem(
                        source, f"{name} =", f"the pool {name} is empty or holds a word twice; a pool is drawn from evenly"
                    )
                elif wrong := [word for word in words if join(split(normalise(word))) != normalise(word) or not word]:
                    self._problem(
                        source, wrong[0], f'"{wrong[0]}" can\'t be a word of a pool; use words and plain punctuation'
                    )
                pools[name] = words
            for name, template in source.data.get("rules", {}).items():
                if name in rules:
                    self._problem(source, f"{name} =", f"a second rule <{name}>; give it another name, or use the first")
                rules[name] = template
        return pools, rules

    def _frame(self, sheet: _Source, parser: Parser) -> tuple[Node, Node]:
        """What may stand before and after every ask."""
        frame = str(sheet.data.get("ask_frame", "<ask>"))
        if frame.count("<ask>") != 1:
            self._problem(sheet, "ask_frame", "ask_frame needs <ask> once: it says what a person puts around any ask")
        before, _, after = frame.partition("<ask>")
        nodes = [self._parse(sheet, parser, part.strip()) if part.strip() else None for part in (before, after)]
        return nodes[0] or EMPTY, nodes[1] or EMPTY

    def _topic(
        self, source: _Source, parser: Parser, frame: tuple[Node, Node], places: dict[int, tuple[_Source, str]]
    ) -> list[Turn]:
        title = str(source.data.get("title", Path(source.label).stem))
        turns: list[Turn] = []
        for block in source.data.get("turn", []):
            name = str(block.get("name", ""))
            source.line_of(f'"{name}"')
            if not name or name in {turn.name for turn in turns}:
                self._problem(source, "[[turn]]", f"a [[turn]] needs a name that no other turn of its topic has, not {name!r}")
            asks, says = block.get("ask", []), block.get("say", [])
            for kind, templates, fewest in (("ask", asks, self.fewest_asks), ("say", says, self.fewest_says)):
                if len(templates) < max(1, fewest):
                    few = f"the turn {name!r} has {len(templates)} {kind}s; write at least {fewest}"
                    self._problem(source, f'"{name}"', few)
                for again, count in Counter(templates).items():
                    if count > 1:
                        self._problem(source, again, f"the same {kind} stands in the turn {name!r} twice; delete one")
            ask_nodes = [(template, self._parse(source, parser, template)) for template in asks]
            say_nodes = [(template, self._parse(source, parser, template)) for template in says]
            for template, node in say_nodes:
                for fault in self.voice.faults(template, node) if node else ():
                    self._problem(source, template, fault)
            before, after = frame
            good_asks = tuple(Ask(template, node, Series((before, node, after))) for template, node in ask_nodes if node)
            good_says = [node for _, node in say_nodes if node]
            for ask in good_asks:
                places[id(ask)] = (source, ask.template)
            if good_asks and good_says:
                turns.append(Turn(title, name, good_asks, tuple(says), choice(good_says)))
        if not source.data.get("turn"):
            self._problem(source, "", "the topic has no [[turn]]; write one with name, ask and say")
        return turns

    def _parse(self, source: _Source, parser: Parser, template: str) -> Node | None:
        try:
            return parser.parse(template)
        except TemplateError as error:
            self._problem(source, template, str(error))
            return None

    def _check_unused(
        self, shared: _Source, topics: list[_Source], parser: Parser, pools: dict[str, list[str]], rules: dict[str, str]
    ) -> None:
        names = [(name, f"{{{name}}}", "slot") for name in pools] + [(name, f"<{name}>", "rule") for name in rules]
        for name, written, kind in names:
            if written not in parser.used:
                source = next(
                    (s for s in topics if name in s.data.get("pools", {}) or name in s.data.get("rules", {})), shared
                )
                self._problem(source, f"{name} =", f"the {kind} {written} is never used; use it in a topic, or delete it")

    def _check_clashes(self, turns: list[Turn], places: dict[int, tuple[_Source, str]]) -> None:
        """Proves that every prompt belongs to one turn and tells its slots in one way only."""
        asks = [(turn, ask) for turn in turns for ask in turn.asks]
        nodes, owners = [ask.node for _, ask in asks], [id(turn) for turn, _ in asks]
        for first, second, said in clashes(nodes, owners):
            (turn, ask), (other_turn, other_ask) = asks[first], asks[second]
            source, template = places[id(ask)]
            where = f"in the turn {turn.name!r}" if turn is other_turn else f"in {turn.topic!r} and in {other_turn.topic!r}"
            self._problem(
                source,
                template,
                f'"{join(said)}" can be asked in two ways that mean different things, {where}: '
                f"{template}  and  {other_ask.template}; change one, so that a prompt has one meaning",
            )
