"""The folder that an export goes into."""

from collections.abc import Mapping
from pathlib import Path

from guppylm.errors import RunError


def check_new(out: Path) -> None:
    """Raises RunError if `out` holds something: an export overwrites nothing."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} already holds something; give an empty or new folder with --out")


def write_all(out: Path, files: Mapping[str, bytes]) -> None:
    """Writes `files`, whose names may hold folders, into `out`. Raises RunError if that can't be done."""
    try:
        for name, data in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(data)
    except OSError as error:
        raise RunError(f"{out} can't be written: {error.strerror}; choose another folder with --out") from error
