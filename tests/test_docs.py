"""The pages cannot go stale: what they show runs, what they include exists, what they link to is there."""

import ast
import doctest
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from guppylm import exercises, labs
from guppylm.checkpoint import CONFIG, SCORECARD, TOKENIZER, WEIGHTS, RunConfig, RunFolder, serialised
from guppylm.config import ModelConfig, TrainConfig
from guppylm.fish import Fish, load
from guppylm.model import Transformer

ROOT = Path(__file__).parents[1]
COURSE = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "ladder" / "README.md", *COURSE]
STAGES = (
    *("data", "tokens", "vectors", "attention", "mlp", "norm-and-residual", "logits-and-loss", "learning", "sampling"),
    *("evaluating", "from-9m-to-7b"),
)
FENCE = re.compile(r"^```(\{?[\w-]*\}?) ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    kind: str  # "python", "{literalinclude}", "toml", ""
    argument: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = read(page)
    for found in FENCE.finditer(text):
        yield Block(page, text[: found.start()].count("\n") + 1, found[1], found[2], found[3])


def sessions(page: Path) -> list[Block]:
    """The Python blocks that show what they print: these are run, from top to bottom of a page, as one session."""
    return [block for block in blocks(page) if block.kind == "python" and ">>>" in block.text]


def failures(page: Path) -> str:
    """What the page's sessions say otherwise than it does; nothing if all is as it stands there."""
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    said: list[str] = []
    names: dict[str, Any] = {}
    for block in sessions(page):
        session = doctest.DocTestParser().get_doctest(block.text, names, block.name, block.name, block.line)
        runner.run(session, out=said.append, clear_globs=False)
        names = session.globs
    return "".join(said)


@pytest.mark.parametrize("page", [page for page in PAGES if sessions(page)], ids=lambda page: page.name)
def test_what_a_page_shows_is_what_comes_out(page: Path) -> None:
    assert not failures(page)


def test_a_wrong_figure_on_a_page_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> x = 2\n```\n\nand then\n\n```python\n>>> x + 1\n4\n```\n")
    assert "Got:\n    3" in failures(page)
    page.write_text(read(page).replace("4", "3"))
    assert not failures(page)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_an_example_to_check_by_hand(stage: str) -> None:
    assert sessions(ROOT / "docs" / f"{stage}.md")


@pytest.fixture
def any_fish(trained: RunFolder, tmp_path: Path) -> Fish:
    """runs/guppy in an empty folder: untrained, and with as many layers and heads as the README speaks of."""
    folder = RunFolder(tmp_path / "runs" / "guppy")
    folder.create(overwrite=False)
    tokenizer = trained.tokenizer()
    config = ModelConfig(vocabulary_size=tokenizer.rows, layers=6, width=24, heads=6, mlp_width=24)
    folder.write(CONFIG, RunConfig(config, TrainConfig()).to_json())
    folder.write(TOKENIZER, tokenizer.to_json())
    folder.write(WEIGHTS, serialised(Transformer(config).state_dict()))
    return load(folder.path)


def test_the_python_of_the_readme_runs(
    any_fish: Fish, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(any_fish.run.path.parents[1])
    shown = [block for block in blocks(ROOT / "README.md") if block.kind == "python"]
    assert shown
    for block in shown:
        exec(compile(block.text, block.name, "exec"), {})
    assert "torch.Size([1, 6, " in capsys.readouterr().out


def linked(page: Path) -> set[str]:
    """Where the page's relative links lead, its pictures among them."""
    prose = FENCE.sub("", read(page))
    return {target for target in LINK.findall(re.sub(r"`[^`\n]*`", "", prose)) if "://" not in target}


def anchors(page: Path) -> set[str]:
    """The names that the headings of a page get."""
    prose = FENCE.sub("", read(page))
    headings = (re.sub(r"[^\w\- ]", "", title.lower()) for title in re.findall(r"^#+ (.*)$", prose, re.MULTILINE))
    return {heading.strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in linked(page):
        path, _, anchor = target.partition("#")
        there = page if not path else (page.parent / path)
        assert there.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}, but there is no such heading"


def definitions(file: Path) -> set[str]:
    """Functions and classes of a file, those inside classes with their class: "Attention.forward"."""
    found: set[str] = set()

    def walk(node: ast.AST, above: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                found.add(above + child.name)
                walk(child, f"{above}{child.name}.")

    walk(ast.parse(read(file)), "")
    return found


INCLUDES = [block for page in PAGES for block in blocks(page) if block.kind == "{literalinclude}"]


@pytest.mark.parametrize("block", INCLUDES, ids=lambda block: block.name)
def test_included_code_exists(block: Block) -> None:
    wanted = re.fullmatch(r":pyobject: (\S+)\n", block.text)
    assert wanted is not None, "only whole functions and classes are included, by name: line numbers go stale"
    file = block.page.parent / block.argument
    assert wanted[1] in definitions(file)
    assert f"]({block.argument})" in read(block.page), "where includes are not shown, a link leads to the file"


def test_every_page_is_in_the_sidebar_once() -> None:
    source = ast.parse(read(ROOT / "docs" / "conf.py"))
    assigned = {
        target.id: node.value
        for node in source.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    listed = [page for pages in ast.literal_eval(assigned["PAGES"]).values() for page in pages]
    assert sorted([*listed, "index"]) == [page.stem for page in COURSE]


@pytest.mark.parametrize(("verb", "find", "one"), [("lab", labs.find, "no-mask"), ("exercise", exercises.find, "kv-cache")])
def test_what_pages_tell_to_run_exists(verb: str, find: Callable[[str], object], one: str) -> None:
    named = {name for page in COURSE for name in re.findall(rf"guppylm {verb} ([a-z][a-z0-9-]+)", read(page))}
    assert one in named
    for name in named:
        find(name)


@pytest.fixture
def make() -> Iterator[Callable[..., None]]:
    folder = str(ROOT / "docs" / "pictures")
    sys.path.insert(0, folder)
    yield import_module("make").make
    sys.path.remove(folder)
    for name in ("make", "around", "inside", "example", "draw"):
        sys.modules.pop(name, None)


def test_the_pictures_are_drawn_from_a_run(trained: RunFolder, tmp_path: Path, make: Callable[..., None]) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(trained.path, run.path)
    nats = {"loss_nats": 0.5, "floor_nats": 0.25, "gap_nats": 0.25}
    run.write(SCORECARD, json.dumps({"losses": {"test_fresh": nats}}))
    example = import_module("example").Example(load(run.path), "here is a new castle", "a castle. it is approved.")
    make(example, tmp_path)
    drawn = {path.name for path in tmp_path.glob("*.svg")}
    assert drawn == {path.name for path in (ROOT / "docs" / "pictures").glob("*.svg")}
    texts = "".join(ElementTree.parse(tmp_path / "data.svg").getroot().itertext())
    assert "multiply to 1 in 2: its surprisal is 0.69 nats" in texts  # one of two says, and the castle is settled


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "pictures").glob("*.svg")), ids=lambda path: path.name)
def test_pictures_can_be_read_aloud_and_load_nothing(path: Path) -> None:
    text = read(path)
    root = ElementTree.fromstring(text)
    tags = {element.tag.rpartition("}")[2]: element.text for element in root}
    assert tags["title"]
    assert tags["desc"]
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert f"(pictures/{path.name})" in "".join(read(page) for page in COURSE), "a picture that no page shows"
