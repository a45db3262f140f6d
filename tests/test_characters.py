"""The characters that ship beside Guppy: that their sheets are sound."""

import pytest

from guppylm.data.character import PROOF, SHIPPED, find_character, load_character, seal

OTHERS = sorted(path.parent.name for path in SHIPPED.glob("*/character.toml") if path.parent.name != "guppy")


@pytest.mark.parametrize("name", OTHERS)
def test_a_character_that_ships_passes_every_check_and_has_twenty_topics(name: str) -> None:
    character = load_character(name, prove=True)
    assert character.name == name
    assert len(character.topics) >= 20
    assert all(len(turn.asks) >= 30 for turn in character.turns)


def test_one_speaks_english_and_one_writes_in_another_script() -> None:
    assert {"fanouris", "kettle"} <= set(OTHERS)
    assert any(prompt[0] > "\u0370" for prompt in load_character("fanouris").prompts)


@pytest.mark.parametrize("name", [*OTHERS, "guppy"])
def test_each_carries_the_seal_of_its_proof(name: str) -> None:
    found = (find_character(name) / PROOF).read_text(encoding="utf-8").strip()
    assert found == seal(find_character(name)), f"run `guppylm check {name}`"
