"""The folder for a class: what is in it, what its pages lead to, and what it says of a part that can't be made."""

import ast
import base64
import importlib
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from built_page import write_page
from guppylm.checkpoint import RunFolder
from guppylm.data.character import load_character
from guppylm.data.grammar import probability, split
from guppylm.errors import RunError
from guppylm.export import site
from guppylm.labs import LABS, recorded

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TITLES = ("The tank", "The course", "Labs", "Lessons", "A small sheet", "The program")


@pytest.fixture
def classroom() -> Iterator[ModuleType]:
    folder = str(ROOT / "bench")
    sys.path.insert(0, folder)
    yield importlib.import_module("classroom")
    sys.path.remove(folder)
    for name in ("classroom", "classroom_pages"):
        sys.modules.pop(name, None)


@pytest.fixture
def pages(classroom: ModuleType) -> ModuleType:
    return sys.modules["classroom_pages"]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source.splitlines(keepends=True)}


def code(source: str, *outputs: dict[str, Any], hidden: bool = False) -> dict[str, Any]:
    metadata = {"jupyter": {"source_hidden": True}} if hidden else {}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": list(outputs)}


def write_notebook(path: Path, *cells: dict[str, Any]) -> Path:
    write(path, json.dumps({"cells": cells}))
    return path


def dead_links(page: Path) -> list[str]:
    """Where links of a page lead that are to nothing, anchors within a page too."""
    dead = []
    for target in map(unescape, re.findall(r'(?:href|src)="([^"]+)"', page.read_text("utf-8"))):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if target.startswith("data:") or (there.is_dir() and not anchor):
            continue
        if not there.is_file() or (anchor and f'id="{anchor}"' not in there.read_text("utf-8")):
            dead.append(target)
    return dead


@pytest.fixture
def quick(classroom: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What takes minutes is replaced: the build of the page, Sphinx and pip. All else is made as it is for a class."""
    really = classroom.run

    def run(*command: str | Path) -> None:
        if "sphinx" in command:
            for page in DOCS.glob("*.md"):
                write(Path(command[-1]) / f"{page.stem}.html", "")
        elif "pip" in command:
            folder = Path(command[command.index("--wheel-dir") + 1])
            folder.mkdir()
            with zipfile.ZipFile(folder / "guppylm-1-py3-none-any.whl", "w") as wheel:
                for name in classroom.IN_THE_WHEEL:
                    wheel.writestr(name, "")
        elif command[0] != "make":
            really(*command)

    monkeypatch.setattr(classroom, "run", run)
    monkeypatch.setattr(site, "PLACES", (write_page(tmp_path / "page"),))
    return classroom


def test_all_is_there_and_every_link_leads_somewhere(
    quick: ModuleType, trained: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    out = tmp_path / "stick"
    made = quick.parts(trained.path)
    if not list((ROOT / "notebooks").glob("*.ipynb")):
        pytest.skip("no lessons in this checkout")
    assert tuple(part.title for part in made) == TITLES
    assert quick.fill(out, made) == {}
    assert all((out / part.name).exists() for part in made)
    read_here = [out / "START.html", out / "labs.html", *sorted(out.glob("lessons/*.html"))]
    assert [page.stem for page in read_here[2:]] == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert {page.name: dead_links(page) for page in read_here} == {page.name: [] for page in read_here}
    loads = re.compile(r'src="(?!data:|\.\.)|<script|<link|@import|url\(')
    assert [page.name for page in read_here if loads.search(page.read_text("utf-8"))] == []
    start = (out / "START.html").read_text("utf-8")
    assert all(f'href="{page}"' in start for page in ("tank.html", "course/teaching.html", "course/quiz.html", "README.txt"))
    assert "could not be made" not in start
    readme = (out / "README.txt").read_text("utf-8")
    assert "install/guppylm-1-py3-none-any.whl" in readme
    assert readme.endswith("Nothing.\n")
    assert b"application/gzip" in (out / "tank.html").read_bytes()
    with pytest.raises(RunError, match="already holds something"):
        quick.fill(out, made)


def test_the_sheet_is_guppys_and_loads(quick: ModuleType, tmp_path: Path) -> None:
    quick.sheet(tmp_path)
    sheet = load_character(str(tmp_path / "sheet"))
    assert sheet.topics == tuple(sorted(quick.TOPICS))


def test_the_edit_of_the_teachers_page_is_one_of_that_sheet(quick: ModuleType, tmp_path: Path) -> None:
    quick.sheet(tmp_path)
    music = tmp_path / "sheet" / "topics" / "music.toml"
    before, after = re.findall(r"^```toml\n(.*?)\n```", (DOCS / "teaching.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    text = music.read_text("utf-8")
    assert text.count(before) == 1
    music.write_text(text.replace(before, after), encoding="utf-8")
    [turn] = [turn for turn in load_character(str(tmp_path / "sheet")).turns if turn.name == "do you like music"]
    assert probability(turn.say, split("mostly jazz. slow is best. one can eat to it."), ()) > 0
    assert probability(turn.say, split("mostly the filter. slow is best. one can eat to it."), ()) == 0


def test_what_cannot_be_made_is_named_and_the_rest_is_there(
    quick: ModuleType, trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    really = quick.run

    def run(*command: str | Path) -> None:
        if command[0] == "make" or "sphinx" in command:
            raise RunError(f"no <tool> for {'the page' if command[0] == 'make' else 'the site'}")
        really(*command)

    monkeypatch.setattr(quick, "run", run)
    monkeypatch.setattr(quick.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(quick, "ROOT", tmp_path)  # where there are no notebooks
    write(tmp_path / "constraints.txt", "")
    made = tuple(part for part in quick.parts(trained.path) if part.title != "A small sheet")
    out = tmp_path / "stick"
    missing = quick.fill(out, made)
    assert missing == {
        "The tank": "no <tool> for the page",
        "The course": "no <tool> for the site",
        "Lessons": "there are none in notebooks/",
    }
    assert {path.name for path in out.iterdir()} == {"START.html", "README.txt", "labs.html", "install"}
    assert dead_links(out / "START.html") == []
    start, readme = ((out / name).read_text("utf-8") for name in ("START.html", "README.txt"))
    assert "The tank: no &lt;tool&gt; for the page" in start
    assert "- The tank: no <tool> for the page\n" in readme
    assert "no <tool> for the site" in capsys.readouterr().err


def test_a_page_that_cannot_be_built_is_not_replaced_by_an_old_one(
    quick: ModuleType, trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*command: str | Path) -> None:
        raise RunError("needs Node")

    monkeypatch.setattr(quick, "run", run)
    monkeypatch.setattr(quick.shutil, "which", lambda name: "/bin/make")
    with pytest.raises(RunError, match="needs Node"):
        quick.tank(tmp_path, trained.path)
    assert not (tmp_path / "tank.html").exists()


def test_a_wheel_that_lacks_something_says_what(classroom: ModuleType, tmp_path: Path) -> None:
    page = "guppylm/page/one-file.html"
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        for name in classroom.IN_THE_WHEEL.keys() - {page}:
            wheel.writestr(name, "")
    assert classroom.lacking(tmp_path / "a.whl") == [classroom.IN_THE_WHEEL[page]]
    assert all((ROOT / "src" / name).is_file() for name in classroom.IN_THE_WHEEL if name != page)


def test_a_command_that_fails_says_why(classroom: ModuleType) -> None:
    classroom.run(sys.executable, "-c", "print('well')")
    program = "import sys; print('first'); print('it needs Node'); print('make: *** Error 1'); sys.exit(2)"
    with pytest.raises(RunError) as failed:
        classroom.run(sys.executable, "-c", program)
    assert str(failed.value) == "first / it needs Node"
    with pytest.raises(RunError, match="no-such-program is not installed"):
        classroom.run("no-such-program")
    with pytest.raises(RunError, match="ended with 3"):
        classroom.run(sys.executable, "-c", "raise SystemExit(3)")


def test_every_recorded_lab_is_on_the_page_and_its_answer_is_folded(pages: ModuleType) -> None:
    page = pages.labs_page()
    open_text = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    shown = [lab for lab in LABS if recorded(lab.name)]
    assert shown
    for lab in LABS:
        assert (f'id="{lab.name}"' in page) == (lab in shown)
    for lab in shown:
        question, said = pages._prose(lab.question), pages.escape(lab.lesson(recorded(lab.name)[0]).says)
        assert question in open_text
        assert said in page
        assert said not in open_text
        assert pages._prose(lab.why) not in open_text
        for arm in recorded(lab.name)[0].arms:
            assert all(pages.escape(pages.one_line(reply)) in page for reply in arm.replies.values())
    assert "`" not in open_text


def test_a_lesson_can_be_read_without_jupyter(pages: ModuleType, tmp_path: Path) -> None:
    picture = base64.b64encode(b"a picture").decode()
    for there in ("course/attention.html", "course/_images/whole.svg", "lessons/08_next.html"):
        write(tmp_path / there, "")
    notebook = write_notebook(
        tmp_path / "07.ipynb",
        markdown("# 07 · Attention\n\n[next](08_next.ipynb), [page](../docs/attention.md#by-hand), [code](../src/model.py)\n"),
        markdown("![all of it](../docs/pictures/whole.svg) and [elsewhere](https://example.org/a.md)\n\n|a|b|\n|-|-|\n|1|2|"),
        code("print(1 < 2)", {"output_type": "stream", "text": ["\x1b[31mTrue\x1b[0m\n"]}),
        code("draw()", {"output_type": "display_data", "data": {"image/png": picture, "text/plain": "<Figure>"}}),
        code("answer = 42", {"output_type": "execute_result", "data": {"text/plain": ["4", "2"]}}, hidden=True),
        code(""),
    )
    page = pages.lesson_page(notebook, tmp_path / "lessons")
    assert "<h1>07 · Attention</h1>" in page
    assert '<a href="08_next.html">next</a>, <a href="../course/attention.html#by-hand">page</a>, code' in page
    assert 'src="../course/_images/whole.svg"' in page
    assert 'href="https://example.org/a.md"' in page
    assert "<td>2</td>" in page
    assert "<pre>print(1 &lt; 2)</pre>\n<pre>True\n</pre>" in page
    assert f'src="data:image/png;base64,{picture}"' in page
    assert "Figure" not in page
    assert "<details><summary>A solution</summary><pre>answer = 42</pre>\n<pre>42</pre></details>" in page
    assert page.count("<pre>") == 5
    write(tmp_path / "no.ipynb", "{}")
    with pytest.raises(ValueError, match=r"no\.ipynb is no notebook"):
        pages.lesson_page(tmp_path / "no.ipynb", tmp_path)


def test_formulas_become_mathml_where_that_is_installed(pages: ModuleType, tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "04.ipynb", markdown("the loss is $\\ln V$"))
    page = pages.lesson_page(notebook, tmp_path)
    try:
        importlib.import_module("mdit_py_plugins.dollarmath")
        importlib.import_module("latex2mathml.converter")
    except ModuleNotFoundError:
        assert "$\\ln V$" in page
    else:
        assert "<math" in page
        assert "$" not in page.partition("</style>")[2]


def test_the_quiz_has_ten_questions_with_reasons() -> None:
    text = (DOCS / "quiz.md").read_text("utf-8")
    questions = re.split(r"^## \d+\n", text, flags=re.MULTILINE)[1:]
    assert len(questions) == 10
    for number, question in enumerate(questions, 1):
        asked, answer = question.split(f"<summary>Answer {number}</summary>")
        choices = re.findall(r"^- \*\*([a-c])\*\* ", asked, re.MULTILINE)
        right = re.findall(r"^\*\*([a-c])\.\*\* ", answer, re.MULTILINE)
        wrong = re.findall(r"^- \*([a-c])\* ", answer, re.MULTILINE)
        assert choices == ["a", "b", "c"]
        assert len(right) == 1
        assert sorted([*right, *wrong]) == choices, "each wrong answer has a reason"
        assert answer.count("</details>") == 1


def test_the_plan_is_ninety_minutes_and_speaks_of_labs_that_are_recorded() -> None:
    text = (DOCS / "teaching.md").read_text("utf-8")
    table = text.partition("| minutes |")[2].partition("\n\n")[0]
    assert sum(map(int, re.findall(r"^\| (\d+) \|", table, re.MULTILINE))) == 90
    named = re.search(r"^\| lab \|.*?\n\n", text, re.MULTILINE | re.DOTALL)
    assert named is not None
    rows = re.findall(r"^\| ([A-Z][^|]+?) \|[^|]*\| ([a-c]): ", named[0], re.MULTILINE)
    assert len(rows) == 3
    labs = {lab.title: lab for lab in LABS}
    for title, letter in rows:
        assert recorded(labs[title].name)
        assert letter == "abc"[labs[title].came]


def test_views_and_buttons_of_the_tank_that_the_plan_names_exist() -> None:
    words = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "web" / "src" / "text").glob("*.ts")))
    plan = (DOCS / "teaching.md").read_text("utf-8")
    for view in ("Talk", "Guess", "Chop", "Attention", "Ablate", "Dice", "Growing up"):
        assert f"*{view}*" in plan
        assert f'name: "{view}"' in words
    for button in ("Let him begin to answer", "One token more", "What the reply cost"):
        assert f"*{button}*" in plan
        assert f'"{button}"' in words
    assert "*Rank all parts*" in plan
    assert "`Rank all ${parts} parts`" in words


def test_the_answers_on_the_paper_are_those_that_were_counted() -> None:
    """What the program of the page prints, the table of answers says too."""
    text = (DOCS / "paper.md").read_text("utf-8")
    printed = {name: ast.literal_eval(counts) for name, counts in re.findall(r"^(\S+) (\{'.*\})$", text, re.MULTILINE)}
    answers = text.partition("## Answers")[2].partition("</details>")[0]
    told = {}
    for name, followers, total in re.findall(r"^\| (\S+) \| ([^|]+\d) \| (\d+) \|$", answers, re.MULTILINE):
        told[name] = {word: int(count) for word, count in re.findall(r"(\S+) (\d+)", followers)}
        assert sum(told[name].values()) == int(total)
    assert len(told) == 7
    assert told == printed
    sentences = re.findall(r"^\d   START (.*) END$", text, re.MULTILINE)
    shown = re.findall(r'^\.\.\.     "(.*)": "', text, re.MULTILINE)
    assert [" ".join(one.split()) for one in sentences] == [line.replace(".", " .") for line in shown]
