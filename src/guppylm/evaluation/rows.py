"""The rows of a run: what it learnt from, and what it is tested on."""

from guppylm.checkpoint import RunFolder
from guppylm.data.character import Character, load_character
from guppylm.data.conversations import Conversations, Row, read_rows
from guppylm.errors import RunError


def sheet_of(run: RunFolder) -> Character:
    """The sheet that the run was trained on. Raises RunError if it has changed since."""
    config = run.config()
    sheet = load_character(config.character)
    if sheet.fingerprint != config.fingerprint:
        raise RunError(f"the character {config.character} has changed since {run.path} was trained; train it again")
    return sheet


def rows_of(run: RunFolder, name: str) -> list[Row]:
    """The rows of "train", "validation" or a test; where the run folder has no data, as in the fish that ships, drawn again.

    They come out the same, since they follow from the sheet, the seed and their number. Raises RunError if they are damaged
    or the sheet has changed.
    """
    path = run.path / "data" / f"{name}.jsonl"
    if not path.parent.exists():
        config = run.config()
        source = Conversations(sheet_of(run), config.train.seed)
        return list(source.rows(name, config.rows)) if name == "train" else source.measured(name)
    try:
        return list(read_rows(path))
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} is missing or damaged ({error}); delete the folder {path.parent}, and its rows will be drawn again"
        ) from error
