"""docs/inside.md in small: a difference between two texts is followed to the parts that make it, and heads get their names."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
import torch

from conftest import Command
from guppylm.checkpoint import RunFolder
from guppylm.fish import Fish, load
from guppylm.interpretability.follow import Case, Followed
from guppylm.interpretability.heads import named_heads
from guppylm.interpretability.interventions import ablate, patch
from guppylm.interpretability.lens import look
from guppylm.interpretability.page import look_html
from test_bench import bench
from test_lens import model, rows, steered, tokenizer  # noqa: F401  (fixtures)
from test_report import Page

ROOT = Path(__file__).parents[1]
WORD = Case("i got you a rock", "i got you a ship", "a", " rock", " ship")
OPENING = Case("i got you a rock", "i got you a bell", "", "a", "the")


@pytest.fixture(scope="module")
def fish(trained: RunFolder) -> Fish:
    return load(trained.path)


@pytest.fixture(scope="module")
def followed(fish: Fish) -> Followed:
    reference = [one.ids[:-1] for one in fish.tokenizer.render_all([("hello", "hello. the water is fine.")])]
    return Followed(fish.model, fish.tokenizer, WORD, reference)


def test_the_difference_is_carried_by_what_differs(followed: Followed) -> None:
    time = len(followed.look.ids)
    assert followed.look.ids[: followed.places[0]] == followed.other.ids[: followed.places[0]]
    assert followed.moved("blocks.0.residual", 0) == 0  # both have read the same so far
    assert followed.moved("embedded") == pytest.approx(1)  # everything that the model gets
    assert followed.moved("blocks.2.residual", time - 1) == pytest.approx(1)  # everything that the answer is read from
    assert followed.stages[0][-1] == 0  # the last token is the same in both
    assert [shares[-1] for shares in followed.stages][-1] == pytest.approx(1)
    assert followed.stages[-1][:-1] == [0] * (len(followed.places) - 1)  # after the last layer nobody looks back any more


def test_parts_are_measured_as_they_are_named(followed: Followed) -> None:
    found = followed.strongest(5)
    assert [abs(part.moved) for part in found] == sorted((abs(part.moved) for part in found), reverse=True)
    everything = followed.strongest(99)
    assert len(everything) == 3 * (4 + 1)
    names = {part.name: part for part in everything}
    head = names["blocks.1.attention.head.2"]
    logits = patch(followed.model, followed.look.ids, followed.other.ids, head.name)[-1]
    difference = float(logits[followed.right] - logits[followed.wrong])
    assert head.moved == pytest.approx((followed.here - difference) / (followed.here - followed.there))
    for how, kept in (("zero", head.without), ("mean", head.mean)):
        changed = ablate(followed.model, head.name, how, followed.reference)
        with torch.no_grad():
            logits = changed(torch.tensor([followed.look.ids]))[0, -1]
        assert kept[0] == pytest.approx(float(logits[followed.right] - logits[followed.wrong]))
        assert kept[1] == pytest.approx(float(logits.softmax(-1)[followed.right]))
    rest = [
        share for name, share in followed.look.contributions(-1, followed.right, followed.wrong).items() if name not in names
    ]
    assert sum(part.direct for part in everything) + sum(rest) == pytest.approx(followed.here, abs=1e-3)
    assert followed.ablated(()) == pytest.approx((followed.here, float(followed.look.probabilities[-1, followed.right])))


def test_texts_that_can_not_be_compared_are_refused(fish: Fish) -> None:
    with pytest.raises(ValueError, match="take as many"):
        Followed(fish.model, fish.tokenizer, WORD._replace(other="hello"))
    with pytest.raises(ValueError, match="take other words"):
        Followed(fish.model, fish.tokenizer, WORD._replace(other=WORD.prompt))


@pytest.mark.usefixtures("tokenizer")
def test_heads_that_are_known_get_their_names(request: pytest.FixtureRequest) -> None:
    plain, tokens = request.getfixturevalue("model"), request.getfixturevalue("tokenizer")
    text, said = "i got you a new castle today", "a castle."  # whatever this model says then is another word
    before = look(plain, tokens, text, "a")
    distance = len(before.ids) - 1 - before.texts.index("␣castle")
    layer_0 = {f"blocks.0.attention.head.{head}" for head in range(4)}
    for far, what in ((1, "the previous token"), (None, "the first token"), (distance, "castle, before it is said again")):
        named = named_heads(look(steered(plain, far), tokens, text, said), 4)
        assert named.reply.startswith(said)
        assert {name for name, _ in named.heads[what]} == layer_0
        assert [score for _, score in named.heads[what]] == pytest.approx([1.0] * 4)
    assert not any("again" in what for what in named_heads(look(plain, tokens, "hi", "a castle")).heads)
    assert named_heads(look(plain, tokens, [5, 6])).heads == {}


def test_look_prints_the_scores_beside_the_names(command: Command, trained: RunFolder, fish: Fish) -> None:
    seen = look(fish.model, fish.tokenizer, "i got you a rock", "a rock")
    named = named_heads(seen)
    assert set(named.heads) == {"the previous token", "the first token", "rock, before it is said again"}
    told = command("look", trained.path, "i got you a rock", "--reply", "a rock").stdout
    words = Page(look_html(seen)).text
    for what, strongest in named.heads.items():
        assert f"  {what}:  " in told
        for name, score in strongest:
            _, layer, _, _, head = name.split(".")
            assert f"{layer}.{head} {score:.2f}" in told
            assert f"{name} {score:.2f}" in " ".join(words.split())
    assert named.reply.split(".")[0] in told


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    module = bench("inside")
    for name, value in {"SCORED_ROWS": 60, "REFERENCE_ROWS": 4, "DRAWN": 20, "BEST": 2, "TIMES": 2}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "CASES", (WORD, OPENING))
    path = list(sys.path)
    yield module
    sys.path[:] = path
    for name in ("castle", "example", "draw", "pages", "walk"):
        sys.modules.pop(name, None)


def test_the_page_is_filled_with_what_is_measured(
    tables: ModuleType, trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = "".join(f"<!-- {name} -->\nto be measured\n<!-- end -->\n" for name in tables.BLOCKS)
    page = tmp_path / "inside.md"
    page.write_text(marks, encoding="utf-8")
    (tmp_path / "pictures" / "castle").mkdir(parents=True)
    monkeypatch.setattr(tables, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["inside.py", str(trained.path), "--write"])
    tables.main()
    text = page.read_text(encoding="utf-8")
    assert "to be measured" not in text
    blocks = dict(re.findall(r"<!-- ([\w ]+) -->\n\n(.*?)\n\n<!-- end -->", text, re.DOTALL))
    assert blocks.keys() == tables.BLOCKS.keys()
    inside = tables.Inside(load(trained.path))
    for line, stage, shares in zip(lines(blocks["word"]), inside.word.look.stages, inside.word.stages, strict=True):
        assert line[0] == f"`{stage}`"
        assert [float(cell) for cell in line[1:]] == pytest.approx(shares, abs=0.0051)
    echoes = lines(blocks["ablation"])
    assert len(echoes) == 1 + 2 * (tables.BEST + 1)
    assert echoes[0][2] == f"{inside.echo(inside.fish).value:.3f}"
    best, others = echoes[tables.BEST + 1][0], echoes[-1][0]
    assert set(best.split(", ")).isdisjoint(others.split(", "))
    layers = [sorted(re.findall(r"head (\d+)", names)) for names in (best, others)]
    assert layers[0] == layers[1]
    scores = [float(line[1]) for line in echoes[1 : tables.BEST + 1]]
    assert max(scores) == pytest.approx(float(inside.scores["copied word"].max()), abs=0.006)
    assert sum(float(line[2]) for line in lines(blocks["replies"])) <= 1.001
    left = {line[0]: float(line[1]) for line in lines(blocks["layers"])}
    assert left["nothing"] == pytest.approx(inside.word.ablated(())[1], abs=6e-4)
    assert left["layer 1"] == pytest.approx(inside.word.ablated("blocks.1")[1], abs=6e-4)
    for picture in ("heads.svg", "way.svg"):
        drawn = ElementTree.parse(tmp_path / "pictures" / "castle" / picture).getroot()
        assert (
            f"{inside.word.moved('embedded', inside.word.places[0]):.2f}" in "".join(drawn.itertext())
            or picture == "heads.svg"
        )


def lines(block: str) -> list[list[str]]:
    """The cells of a table's lines."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines() if line.startswith("|")][2:]


def test_the_page_has_a_place_for_each_table_and_shows_each_picture(tables: ModuleType) -> None:
    text = tables.PAGE.read_text(encoding="utf-8")
    assert re.findall(r"<!-- (?!end)([\w ]+) -->", text) == list(tables.BLOCKS)
    for path in (tables.PICTURES / "castle").glob("*.svg"):
        picture = path.read_text(encoding="utf-8")
        tags = {element.tag.rpartition("}")[2]: element.text for element in ElementTree.fromstring(picture).iter()}
        assert tags["title"]
        assert tags["desc"]
        assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
        assert f"(pictures/castle/{path.name})" in text


def test_wrong_use_says_what_there_is(tables: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ([], ["runs/guppy", "heart"]):
        monkeypatch.setattr(sys, "argv", ["inside.py", *arguments])
        with pytest.raises(SystemExit, match="The blocks: fish, heads"):
            tables.main()
