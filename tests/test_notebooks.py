"""The notebooks are whole, were run, and teach as they promise; the slow test runs them all."""

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

import guppylm

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if path.name[0].isdigit()]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
OF_A_MACHINE = re.compile(r"/(?:tmp|home|root|Users|var/folders|private|content)/|[A-Z]:\\\\Users|site-packages")
KILOBYTES = 150

Cell = Any  # of nbformat, which has no types


def cells(path: Path, kind: str = "") -> list[Cell]:
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if not kind or cell.cell_type == kind]


def prose(path: Path) -> str:
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


def outputs(path: Path) -> list[Cell]:
    return [output for cell in cells(path, "code") for output in cell.outputs]


def printed(cell: Cell) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def is_solution(cell: Cell) -> bool:
    return cell.cell_type == "code" and "solution" in cell.metadata.get("tags", [])


def definitions(cell: Cell) -> set[str]:
    lines = ("" if line.lstrip().startswith(("%", "!")) else line for line in cell.source.splitlines())
    tree = ast.walk(ast.parse("\n".join(lines)))
    return {node.name for node in tree if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@cache
def exported() -> set[str]:
    """What the package and its parts offer by name, and all of its classes."""
    names = set(guppylm.__all__)
    for found in pkgutil.walk_packages(guppylm.__path__, "guppylm."):
        if not re.search(r"__main__|\.holes|\.cli", found.name):
            module = importlib.import_module(found.name)
            names |= set(getattr(module, "__all__", ()))
            names |= {
                name for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == found.name
            }
    return names


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_all_fifteen_lessons_are_there_and_the_two_others() -> None:
    assert [path.name[:3] for path in LESSONS] == [f"{number:02}_" for number in range(1, 16)]
    assert {path.stem for path in NOTEBOOKS} - {path.stem for path in LESSONS} == {"train_guppylm", "use_guppylm"}
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        assert f"({path.name})" in listed, f"notebooks/README.md does not list {path.name}"


def test_it_is_valid_small_and_tidy(notebook: Path) -> None:
    nbformat.validate(nbformat.read(notebook, as_version=4))
    assert notebook.stat().st_size <= KILOBYTES * 1024
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    assert metadata["language_info"] == {"name": "python"}, "execute.py --write leaves no versions and no other tools' notes"
    assert set(metadata) == {"kernelspec", "language_info"}


def test_it_was_run_from_top_to_bottom_without_an_error(notebook: Path) -> None:
    counts = [cell.execution_count for cell in cells(notebook, "code") if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))
    for output in outputs(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", f"it says on stderr: {output.text}"


def test_it_has_a_picture(notebook: Path) -> None:
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))


def test_it_asks_for_a_prediction_before_it_shows(notebook: Path) -> None:
    every = cells(notebook)
    asked = [place for place, cell in enumerate(every) if cell.cell_type == "markdown" and "**Predict.**" in cell.source]
    assert asked
    for place in asked:
        assert every[place + 1].cell_type == "code", "the cell that shows it comes next"


def test_its_exercise_is_open_and_its_solution_passes_the_check(notebook: Path) -> None:
    every = cells(notebook)
    assert "xercise" in prose(notebook)
    [place] = [place for place, cell in enumerate(every) if is_solution(cell)]
    solution = every[place]
    assert solution.metadata["jupyter"]["source_hidden"] is True
    before = "".join(printed(cell) for cell in every[:place] if cell.cell_type == "code")
    assert "to do" in before.lower(), "as it is handed out there is a hole, and the check says so"
    after = printed(solution) or printed(next(cell for cell in every[place + 1 :] if cell.cell_type == "code"))
    assert "right" in after.lower(), "the solution must pass the same check"
    assert "not yet" not in after.lower()


def test_it_ends_with_chatgpt(notebook: Path) -> None:
    last = cells(notebook)[-1]
    assert last.cell_type == "markdown"
    heading, _, lines = last.source.partition("## In ChatGPT: same, bigger, different")
    assert lines, f"it ends with {heading[-80:]!r}"
    assert [word in lines for word in ("**same:**", "**bigger:**", "**different:**")] == [True] * 3


def test_it_begins_with_where_it_stands(notebook: Path) -> None:
    first = cells(notebook)[0]
    assert first.cell_type == "markdown"
    number = notebook.name[:2]
    assert first.source.startswith(f"# {number} · " if number.isdigit() else "# ")
    for word in ("Before:", "After:", "The page"):
        assert word in first.source


def test_it_redefines_nothing_of_the_package(notebook: Path) -> None:
    again = {name for cell in cells(notebook, "code") for name in definitions(cell)} & exported()
    assert not again, "import it, or give yours another name"


def test_it_names_nothing_of_the_machine_that_ran_it(notebook: Path) -> None:
    texts = [cell.source for cell in cells(notebook)]
    for output in outputs(notebook):
        texts += [output.get("text", ""), *(str(data) for kind, data in output.get("data", {}).items() if "image" not in kind)]
    for text in texts:
        assert not OF_A_MACHINE.search(text), text


@pytest.mark.parametrize("page", [*NOTEBOOKS, FOLDER / "README.md"], ids=lambda path: path.stem)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8") if page.suffix == ".md" else prose(page)
    targets = {target for target in LINK.findall(CODE.sub("", text)) if "://" not in target}
    assert targets
    for target in targets:
        path = target.partition("#")[0]
        assert not path or (FOLDER / path).exists(), f"{page.name} links to {target}, which is not there"


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(FOLDER / "execute.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


def write(path: Path, *sources: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbformat.write(notebook, path)


def test_a_notebook_that_fails_is_named_with_its_cell_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "fails.ipynb"
    write(path, "x = 1", "raise ValueError('the water is cold')", "x = 2")
    before = path.read_bytes()
    done = run("--write", path)
    assert done.returncode == 1
    assert "fails.ipynb, cell 2 (id " in done.stderr
    assert "ValueError: the water is cold" in done.stderr
    assert path.read_bytes() == before


def test_what_is_stored_names_no_folder_and_the_ladder_can_be_imported(tmp_path: Path) -> None:
    path = tmp_path / "folders.ipynb"
    shown = "import os, sys, tempfile\nprint(os.getcwd(), tempfile.mkdtemp(), sys.prefix, os.environ['GUPPYLM_QUICK'])"
    write(path, shown, "sys.path.append('../ladder')\nfrom count import PairCounts")
    done = run("--write", path)
    assert done.returncode == 0, done.stderr
    assert "folders.ipynb" in done.stdout
    [text, *_] = [printed(cell) for cell in cells(path)]
    assert re.fullmatch(r"TEMPORARY/notebooks TEMPORARY/\w+ PYTHON 1\n", text)
    assert not OF_A_MACHINE.search(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_all_run_from_top_to_bottom() -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    assert all(path.name in done.stdout for path in NOTEBOOKS)
