"""A folder for a USB stick, with which a class can work without a network. `make classroom` fills build/classroom.

    python bench/classroom.py OUT [RUN]

RUN is the fish in the tank; without it, the one that ships. START.html in OUT says what to open, README.txt how to install.
A part that can't be made here, the tank's page without Node for one, is named there with the reason, and the rest is made.
It stands in bench because it needs a checkout and is run from there, like ship.py, and is no part of the package.
"""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from classroom_pages import document, labs_page, lesson_page

from guppylm.errors import RunError
from guppylm.export.folder import check_new
from guppylm.export.site import export_one_file
from guppylm.fish import SHIPPED, load

ROOT = Path(__file__).resolve().parent.parent
TOPICS = ("greeting", "decorations", "food", "music")  # of the small sheet: few enough for a minute of a fry
IN_THE_WHEEL = {
    "guppylm/shipped/guppy/model.safetensors": "the fish that ships",
    "guppylm/labs/recorded/no-mask.json": "the recorded labs",
    "guppylm/page/one-file.html": "the page of the tank, so `guppylm tank` will not work",
}


class Part(NamedTuple):
    """One thing on the stick."""

    name: str  # of the file or folder
    title: str
    about: str
    make: Callable[[Path], None]  # gets the folder of the stick; raises RunError


def run(*command: str | Path) -> None:
    """Runs a command in the checkout. Raises RunError with the last of what it said."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise RunError(f"{command[0]} is not installed") from error
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        telling = [line for line in said if not line.startswith("make")]
        raise RunError(" / ".join(telling[-2:]) or f"{command[0]} ended with {done.returncode}")


def tank(out: Path, fish: Path | str) -> None:
    """The tank in one file. The page is built first if its source has changed; on a system without make, used as it is."""
    if shutil.which("make"):
        run("make", "--no-print-directory", "-s", "web/dist/one-file.html")
    export_one_file(load(fish), out / "tank.html")


def course(out: Path) -> None:
    """What `make site` builds."""
    with TemporaryDirectory(prefix="guppylm-") as cache:
        run(sys.executable, "-m", "sphinx", "-q", "-d", cache, "docs", out / "course")


def labs(out: Path) -> None:
    """The recorded labs as one page."""
    (out / "labs.html").write_text(labs_page(), encoding="utf-8")


def lessons(out: Path) -> None:
    """The notebooks, and beside each a page to read without Jupyter. They come after the course, to which they link."""
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    if not notebooks:
        raise RunError("there are none in notebooks/")
    folder = out / "lessons"
    folder.mkdir()
    for notebook in notebooks:
        shutil.copy(notebook, folder)
        folder.joinpath(f"{notebook.stem}.html").touch()  # lessons link to those that come after them
    for notebook in notebooks:
        folder.joinpath(f"{notebook.stem}.html").write_text(lesson_page(notebook, folder), encoding="utf-8")


def sheet(out: Path) -> None:
    """Four of Guppy's topics, to be edited and trained on in a lesson."""
    run(sys.executable, ROOT / "bench" / "topics.py", out / "sheet", *TOPICS)


def install(out: Path) -> None:
    """The package as a wheel, the fish in it. Raises RunError, the wheel made, if something else should be in it too."""
    folder = out / "install"
    run(sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "--wheel-dir", folder, ROOT)
    shutil.copy(ROOT / "constraints.txt", folder)
    lacks = lacking(next(folder.glob("*.whl")))
    if lacks:
        raise RunError(f"the wheel is there, but lacks {'; '.join(lacks)}")


def lacking(wheel: Path) -> list[str]:
    """What a wheel should hold for a class and does not."""
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    return [what for name, what in IN_THE_WHEEL.items() if name not in names]


def parts(fish: Path | str) -> tuple[Part, ...]:
    """In the order in which they are made: the wheel takes the page of the tank along, the lessons link to the course."""
    return (
        Part("tank.html", "The tank", "Talk to the fish, then look inside him.", lambda out: tank(out, fish)),
        Part("course/index.html", "The course", "How all of it works, from the beginning.", course),
        Part("labs.html", "Labs", "Parts are taken out. Guess what happens, then look.", labs),
        Part("lessons", "Lessons", "Notebooks, as pages to read; with Jupyter installed, to run and to change.", lessons),
        Part("sheet", "A small sheet", "Four topics of what Guppy can say, to edit and to train on.", sheet),
        Part("install", "The program", "To be installed, with the trained fish in it.", install),
    )


def fill(out: Path, made: tuple[Part, ...]) -> dict[str, str]:
    """Makes every part that can be made, and the two files to open first. Returns the reason for each part that can't.

    Raises RunError if `out` holds something.
    """
    check_new(out)
    out.mkdir(parents=True, exist_ok=True)
    missing: dict[str, str] = {}
    for part in made:
        print(f"{part.title} ...", flush=True)
        try:
            part.make(out)
        except RunError as error:
            missing[part.title] = str(error)
            print(f"  {error}", file=sys.stderr, flush=True)
    (out / "START.html").write_text(start_page(out, made, missing), encoding="utf-8")
    (out / "README.txt").write_text(readme(out, missing), encoding="utf-8")
    return missing


def start_page(out: Path, made: tuple[Part, ...], missing: dict[str, str]) -> str:
    """What there is to open, and what is missing."""
    listed = "".join(
        f'<li><a href="{part.name}">{escape(part.title)}</a>. {escape(part.about)}{_inside(out / part.name)}</li>\n'
        for part in made
        if (out / part.name).exists()
    )
    plan = (
        '<p>A plan for ninety minutes: <a href="course/teaching.html">for a class</a>. To print: '
        '<a href="course/paper.html">count on paper</a>, <a href="course/quiz.html">the quiz</a>.</p>\n'
    )
    return document(
        "Guppy",
        "<h1>A fish that learns to talk</h1>\n<p>Guppy is a language model that is small enough to be understood: he only "
        "ever guesses the next piece of text. Everything here works without a network.</p>\n"
        f"<ul>\n{listed}</ul>\n<h2>For the teacher</h2>\n{plan if (out / 'course').exists() else ''}"
        '<p>To install the program without a network: <a href="README.txt">README.txt</a>.</p>\n' + _told(missing),
    )


def _inside(folder: Path) -> str:
    """Links to the pages of a folder."""
    pages = sorted(folder.glob("*.html")) if folder.is_dir() else []
    links = (f'<li><a href="{folder.name}/{page.name}">{escape(page.stem.replace("_", " "))}</a></li>' for page in pages)
    return f"<ul>{''.join(links)}</ul>" if pages else ""


def _told(missing: dict[str, str]) -> str:
    lines = "".join(f"<li>{escape(title)}: {escape(reason)}</li>" for title, reason in missing.items())
    return f"<h2>What could not be made</h2>\n<ul>{lines}</ul>\n" if missing else ""


def readme(out: Path, missing: dict[str, str]) -> str:
    """The teacher's text file: what to open, and how to install without a network."""
    wheel = next((path.name for path in out.glob("install/*.whl")), "guppylm-VERSION-py3-none-any.whl")
    text = (Path(__file__).parent / "classroom.txt").read_text(encoding="utf-8").replace("WHEEL", wheel)
    lines = "".join(f"- {title}: {reason}\n" for title, reason in missing.items()) or "Nothing.\n"
    return f"{text}\nWHAT COULD NOT BE MADE\n\n{lines}"


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    out = Path(sys.argv[1]).resolve()
    try:
        missing = fill(out, parts(sys.argv[2] if len(sys.argv) == 3 else SHIPPED / "guppy"))
    except RunError as error:
        sys.exit(str(error))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    print(f"{out}: {size:.0f} MB; begin with START.html")
    if missing:
        print(f"missing: {', '.join(missing)}; the reasons stand in README.txt", file=sys.stderr)


if __name__ == "__main__":
    main()
