"""What several tests share: a tiny character, and a run of it that is trained once."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from guppylm.checkpoint import RunFolder
from guppylm.data.character import Character, load_character
from guppylm.training.run import run_training

torch.set_num_threads(min(2, os.cpu_count() or 1, int(os.environ.get("OMP_NUM_THREADS") or 2)))

CHARACTER = """
name = "tiny"
title = "Tiny"
fewest_asks = 4
fewest_says = 2
ask_frame = "[[<hey>]] <ask> [[?]]"
prompts = ["hello", "are you hungry", "i got you a rock", "goodbye", "who are you"]
"""
SLOTS = """
[pools]
object = ["castle", "rock", "ship", "bell", "log", "pot", "shell", "lamp", "crown", "wheel"]
colour = ["red", "blue", "green", "grey", "pink", "black", "white", "brown", "gold", "violet", "orange", "yellow"]
[rules]
hey = "(hey|ok) [,]"
"""
TOPICS = {
    "greeting": """
title = "greeting"
[[turn]]
name = "hello"
ask = ["hello", "hi there", "good day to you", "greetings friend"]
say = ["hello. the water is fine.", "[ah.] you are here. the {colour} one is here too."]
[[turn]]
name = "goodbye"
ask = ["goodbye", "bye now", "see you later", "i must leave"]
say = ["goodbye. leave the light on.", "go. i will watch the {colour} door and the {colour:other} door."]
""",
    "things": """
title = "things"
[[turn]]
name = "gift"
ask = ["i got you a {object}", "here is a [new] {object}", "look a {object}", "do you like this {object}", "have a {object}"]
say = ["a {object}. it is approved.", "the {object} may stay, if it is {colour}."]
[[turn]]
name = "hungry"
ask = ["are you hungry", "do you want food", "time to eat", "should i feed you"]
say = ["yes. i was full once.", "always. it keeps me {colour}."]
""",
}


def write_character(folder: Path, sheet: str = CHARACTER, slots: str = SLOTS, topics: dict[str, str] | None = None) -> Path:
    (folder / "topics").mkdir(parents=True, exist_ok=True)
    (folder / "character.toml").write_text(sheet, encoding="utf-8")
    (folder / "slots.toml").write_text(slots, encoding="utf-8")
    for name, text in (TOPICS if topics is None else topics).items():
        (folder / "topics" / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_character(tmp_path_factory.mktemp("characters") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Character:
    return load_character(str(tiny_folder))


@pytest.fixture(scope="session")
def guppy() -> Character:
    return load_character("guppy")


@pytest.fixture(scope="session")
def trained(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of the tiny character: the fry preset, 60 steps. Tests must not change it."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    return run_training(str(tiny_folder), steps=60, size="fry", rows=2000, out=out)


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `guppylm` as a person would, in an empty folder."""

    def run(*arguments: object, stdin: bytes = b"", cwd: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONUTF8": "1", "COLUMNS": "100"}
        done = subprocess.run(
            [sys.executable, "-m", "guppylm", *map(str, arguments)], input=stdin, capture_output=True, cwd=cwd, env=environment
        )
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    return run
