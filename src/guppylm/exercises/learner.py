"""The learner's file: written once with a hole in it, loaded again and again, and its errors told by their line."""

import traceback
from importlib import resources
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from guppylm.errors import RunError
from guppylm.exercises.exercise import Exercise


class LearnerError(Exception):
    """A file that can't be used as it is; the message says where and why."""


def file_of(exercise: Exercise, folder: Path) -> Path:
    """Where the learner's file is, or will be."""
    return folder / f"{exercise.function}.py"


def write(exercise: Exercise, folder: Path) -> Path | None:
    """Writes the file with the hole. One that is there keeps its text under the next free number: that path is returned.

    Raises RunError.
    """
    path = file_of(exercise, folder)
    hole = resources.files("guppylm.exercises.holes") / path.name
    kept = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            kept = next(free for n in count(1) if not (free := path.with_name(f"{path.stem}_{n}.py")).exists())
            path.rename(kept)
        with open(path, "x", encoding="utf-8") as file:
            file.write(hole.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror}; choose another folder with --folder") from error
    return kept


def load(exercise: Exercise, path: Path) -> Any:
    """The learner's function. Raises LearnerError for a file that Python can't read, that fails, or that lacks it."""
    try:
        source = path.read_text(encoding="utf-8-sig")  # some editors write a mark at the beginning
    except (OSError, UnicodeDecodeError) as error:
        raise LearnerError(f"{path} can't be read: {error}; save it as UTF-8 text") from error
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise LearnerError(describe(error, path)) from error
    function = getattr(module, exercise.function, None)
    if not callable(function):
        raise LearnerError(f"{path} has no function {exercise.function}; its name must stay, or begin again with --again")
    return function


def describe(error: BaseException, path: Path) -> str:
    """What was raised, and on which line of the learner's file."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line = (error.text or "").strip()
        return f"{path}, line {error.lineno}: {type(error).__name__}: {error.msg}" + (f"\n    {line}" if line else "")
    theirs = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if not theirs:
        return said
    return f"{path}, line {theirs[-1].lineno}: {said}\n    {theirs[-1].line}"
