"""A sheet with a part of another's topics: the README's figures for ten topics are measured on what this writes.

python bench/topics.py OUT [TOPIC...]    the topics by the names of their files; without any, the first ten that Guppy had
guppylm train --character OUT --minutes 5 --seed 1
"""

import json
import shutil
import sys
import tomllib
from pathlib import Path

from guppylm.data.character import find_character, load_character

FIRST_TEN = ("bubbles", "cat", "decorations", "food", "goodbye", "greeting", "human_things", "jokes", "loneliness", "meaning")


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    out, chosen = Path(sys.argv[1]), sys.argv[2:] or FIRST_TEN
    sheet = find_character("guppy")
    files = [sheet / "topics" / f"{topic}.toml" for topic in chosen]
    missing = [file.stem for file in files if not file.is_file()]
    if missing:
        sys.exit(
            f"no topic {', '.join(missing)}: there are {', '.join(sorted(file.stem for file in (sheet / 'topics').glob('*')))}"
        )
    (out / "topics").mkdir(parents=True)
    shutil.copy(sheet / "character.toml", out)
    for file in files:
        shutil.copy(file, out / "topics")
    texts = [file.read_text(encoding="utf-8") for file in out.rglob("*.toml")]
    slots = tomllib.loads((sheet / "slots.toml").read_text(encoding="utf-8"))
    (out / "slots.toml").write_text(used(slots, texts), encoding="utf-8")
    character = load_character(str(out))
    print(f"{out}: {len(character.topics)} topics, {len(character.turns)} turns")


def used(slots: dict[str, dict[str, str | list[str]]], texts: list[str]) -> str:
    """The pools and rules that these texts need, themselves or by way of another rule, as TOML."""
    kept: dict[str, set[str]] = {"pools": set(), "rules": set()}
    while True:
        said = "".join(texts) + "".join(str(slots["rules"][name]) for name in kept["rules"])
        found = {
            "pools": {name for name in slots["pools"] if f"{{{name}}}" in said or f"{{{name}:" in said},
            "rules": {name for name in slots["rules"] if f"<{name}>" in said},
        }
        if found == kept:
            break
        kept = found
    lines = []
    for kind, names in kept.items():
        entries = [f"{name} = {json.dumps(value)}" for name, value in slots[kind].items() if name in names]
        lines += [f"[{kind}]", *entries]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
