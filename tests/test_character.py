"""A sheet's mistakes are each named with file, line and remedy; a good sheet loads."""

from pathlib import Path

import pytest

from conftest import CHARACTER, SLOTS, TOPICS, Command, write_character
from guppylm.data.character import PROOF, Character, CharacterError, load_character, seal
from guppylm.data.voice import Voice

TURN = """
title = "t"
[[turn]]
name = "first"
ask = ["one", "two", "three", "four"]
say = ["yes.", "no."]
"""


def problems(tmp_path: Path, **changes: object) -> list[str]:
    with pytest.raises(CharacterError) as caught:
        load_character(str(write_character(tmp_path / "bad", **changes)))  # type: ignore[arg-type]
    assert all(str(problem).count(":") >= 2 for problem in caught.value.problems)
    return caught.value.problems


def bad_turn(tmp_path: Path, old: str, new: str) -> str:
    found = problems(tmp_path, topics={**TOPICS, "t": TURN.replace(old, new)})
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ('"two"', '"a {objct}"', 5, "unknown slot {objct}; did you mean object?"),
        ('"two"', '"a <hye>"', 5, "unknown rule <hye>; did you mean hey?"),
        ('"two"', '"(two|)"', 5, "an alternative is empty"),
        ('"two"', '"(two"', 5, "never closed"),
        ('"two"', '""', 5, "empty"),
        (', "four"]', "]", 4, "has 3 asks; write at least 4"),
        ('"yes.", "no."', '"yes."', 4, "has 1 says; write at least 2"),
        ('"two"', '"one"', 5, "stands in the turn 'first' twice"),
        ('"no."', '"' + "no " * 20 + 'no."', 6, "may run to 21 words, 20 are allowed"),
        ('"no."', '"no. no. no. no."', 6, "may have 4 sentences, 3 are allowed"),
        ('"no."', '"no!"', 6, '"!" is outside the voice'),
        ('"two"', '"hello"', 5, '"hello" can be asked in two ways that mean different things'),
        ('name = "first"', 'name = ""', 3, "needs a name"),
    ],
)
def test_each_mistake_names_file_line_and_remedy(tmp_path: Path, old: str, new: str, line: int, what: str) -> None:
    problem = bad_turn(tmp_path, old, new)
    if "two ways" in what:
        assert "topics/greeting.toml" in problem or "topics/t.toml" in problem
    else:
        assert problem.startswith(f"topics/t.toml:{line}:"), problem
    assert what in problem


def test_a_prompt_must_tell_its_slots_in_one_way(tmp_path: Path) -> None:
    found = bad_turn(tmp_path, '"one", "two"', '"a {object}", "a castle"')
    assert '"a castle" can be asked in two ways' in found or "a castle" in found


def test_a_rule_that_calls_itself(tmp_path: Path) -> None:
    found = problems(tmp_path, slots=SLOTS + 'a = "x <b>"\nb = "<a>"\n', topics={**TOPICS, "t": TURN.replace("two", "<a>")})
    assert any("<a> -> <b> -> <a>" in problem for problem in found)


def test_unused_pools_and_rules_are_named(tmp_path: Path) -> None:
    found = problems(tmp_path, slots=SLOTS + 'never = "said"\n')
    assert found == ["slots.toml:7: the rule <never> is never used; use it in a topic, or delete it"]


def test_broken_toml_is_named_with_its_line(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, topics={**TOPICS, "t": 'title = "t"\n[[turn]\n'})
    assert found.startswith("topics/t.toml:2:")
    assert "not valid TOML" in found


def test_missing_files_and_topics(tmp_path: Path) -> None:
    assert "topics/ holds no .toml" in problems(tmp_path, topics={})[0]
    with pytest.raises(CharacterError, match=r"no character 'nobody'.*guppy"):
        load_character("nobody")


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    broken = TURN.replace('"two"', '"(two"').replace('"no."', '"no!"')
    assert len(problems(tmp_path, topics={**TOPICS, "t": broken})) == 2


def test_a_double_word_in_a_pool(tmp_path: Path) -> None:
    found = problems(tmp_path, slots=SLOTS.replace('"rock"', '"castle"'))
    assert any("holds a word twice" in problem for problem in found)


def test_ask_frame_needs_its_ask(tmp_path: Path) -> None:
    sheet = CHARACTER.replace("<ask> ", "")
    assert any("needs <ask> once" in problem for problem in problems(tmp_path, sheet=sheet))


def test_fingerprint_changes_with_any_file(tiny: Character, tmp_path: Path) -> None:
    other = load_character(str(write_character(tmp_path / "other", slots=SLOTS + "# a remark\n")))
    assert other.fingerprint != tiny.fingerprint


def test_the_voice_judges_replies_as_it_judges_the_sheet() -> None:
    voice = Voice(words=5, sentences=2, forbidden=("!", "blub", "as a fish"))
    assert voice.allows("don't ask. it's wet.")  # five words: what an apostrophe cuts off belongs to its word
    assert not voice.allows("one two three four five six")
    assert not voice.allows("one. two. three.")
    assert not voice.allows("wet!")
    assert not voice.allows("blub")
    assert not voice.allows("as a fish, yes")
    assert voice.allows("a fish")


def test_a_sealed_sheet_is_not_proved_again_until_it_changes(tmp_path: Path) -> None:
    two = {**TOPICS, "two": TOPICS["greeting"].replace('"greeting"', '"two"')}
    folder = write_character(tmp_path / "bad", topics=two)
    (folder / PROOF).write_text(seal(folder), encoding="utf-8")
    load_character(str(folder))  # taken on trust: a seal belongs to those who write the sheet
    with pytest.raises(CharacterError, match="two ways"):
        load_character(str(folder), prove=True)
    (folder / "slots.toml").write_text(SLOTS + "# changed\n", encoding="utf-8")
    with pytest.raises(CharacterError, match="two ways"):
        load_character(str(folder))


def test_check_seals_a_sheet_that_it_has_proved(tmp_path: Path, command: Command) -> None:
    folder = write_character(tmp_path / "good")
    assert command("check", folder, "--rows", 500).returncode == 0
    assert (folder / PROOF).read_text(encoding="utf-8").strip() == seal(folder)
