"""The guessing game: every bettor's bets are honest, and the floor is the grammar's own."""

import math
from itertools import pairwise

import numpy as np
import pytest

from brute_force import distribution
from conftest import Command
from guppylm.checkpoint import RunFolder
from guppylm.data.character import Character
from guppylm.data.conversations import Conversations, Row, read_rows
from guppylm.data.floor import Floor
from guppylm.data.grammar import Bindings, Node, Parser, join, split
from guppylm.data.tokenizer import Tokenizer
from guppylm.errors import RunError
from guppylm.fish import load
from guppylm.guess import Table, fresh_row, is_hit, play, row_of, scores

AWKWARD = "(well|we) [,] (don't|do not) (a|an|ant:3|{object}) [(.|...|?!|!)] [(it's|, it is) a {object:other}] [(.|'tis)]"


@pytest.fixture(scope="module")
def table(trained: RunFolder) -> Table:
    return Table(load(trained.path))


@pytest.fixture(scope="module")
def rows(trained: RunFolder) -> list[Row]:
    return list(read_rows(trained.path / "data" / "test_fresh.jsonl"))[:12]


def check_floor(say: Node, bindings: Bindings, tokenizer: Tokenizer) -> None:
    """At every token of every sentence, the floor's shares are those of the sentences, counted one by one."""
    sentences = [([*tokenizer.encode(join(tokens)), tokenizer.end], p) for tokens, p in distribution(say, bindings).items()]
    following: dict[tuple[int, ...], dict[int, float]] = {}
    for ids, p in sentences:
        for place, token in enumerate(ids):
            shares = following.setdefault(tuple(ids[:place]), {})
            shares[token] = shares.get(token, 0.0) + p
    for ids, p in sentences[:: max(1, len(sentences) // 60)]:
        floor = Floor(say, bindings, tokenizer)
        product = 1.0
        for place, token in enumerate(ids):
            expected = following[tuple(ids[:place])]
            total = sum(expected.values())
            found = floor.next_tokens()
            assert found == pytest.approx({candidate: q / total for candidate, q in expected.items()})
            product *= found[token]
            floor.hear(token)
        assert product == pytest.approx(p)


def test_the_floor_equals_all_sentences_counted(table: Table, rows: list[Row]) -> None:
    for row in {row.turn: row for row in rows}.values():
        check_floor(table.turns[row.topic, row.turn].say, row.bound_tokens, table.fish.tokenizer)


@pytest.mark.parametrize("bindings", [(), (("object", ("cat", "flap")),)])
def test_the_floor_where_marks_join_and_words_begin_alike(bindings: Bindings) -> None:
    say = Parser({"object": ["castle", "cat", "cat flap", "x-ray 9"]}, {}).parse(AWKWARD)
    texts = [join(tokens) for tokens in distribution(say)]
    tokenizer = Tokenizer.train([(text, text) for text in texts], 400)
    marks = {len(tokenizer.encode(mark)) for mark in ("...", "?!")}
    assert marks == {1}  # the case in question: one token made of two marks that the grammar says one by one
    check_floor(say, bindings, tokenizer)


def test_the_floor_refuses_what_the_sheet_can_not_say(table: Table, rows: list[Row]) -> None:
    with pytest.raises(ValueError, match="the sheet can't say that"):
        table.bets(rows[0]._replace(reply="zebras"))
    with pytest.raises(ValueError, match="the sheet can't say that"):
        table.bets(rows[0]._replace(reply=rows[0].reply + " zebras."))


def test_the_floor_multiplies_to_the_probability_of_the_reply(table: Table, rows: list[Row]) -> None:
    for row in rows:
        found = scores(list(table.rounds(row)))
        assert row.surprisal is not None
        assert found["floor"].nats == pytest.approx(row.surprisal, abs=1e-9)


@pytest.mark.slow
def test_the_floor_of_the_whole_sheet(guppy: Character) -> None:
    source = Conversations(guppy)
    rows = list(source.rows("test_fresh", 3000))
    tokenizer = Tokenizer.train([(row.prompt, row.reply) for row in rows])
    for row in rows[:300]:
        floor = Floor(source.turns[row.topic, row.turn].say, row.bound_tokens, tokenizer)
        nats = 0.0
        for token in [*tokenizer.encode(row.reply), tokenizer.end]:
            nats -= math.log(floor.next_tokens()[token])
            floor.hear(token)
        assert nats == pytest.approx(source.surprisal(row), abs=1e-6)
        words = split(row.reply)
        for said, more in pairwise(
            tokenizer.encode(join(words[:n])) for n in range(len(words) + 1) if n == 0 or words[n - 1][-1].isalnum()
        ):
            assert more[: len(said)] == said  # what `Beginning` relies on


def test_all_bets_are_distributions(table: Table, rows: list[Row]) -> None:
    tokens = len(table.fish.tokenizer.encode(rows[0].reply)) + 1
    bets = table.bets(rows[0])
    assert list(bets) == ["pair counts", "untrained fish", "fish", "floor"]
    for shares in bets.values():
        assert shares.shape == (tokens, table.fish.model.config.vocabulary_size)
        assert (shares >= 0).all()
        assert np.allclose(shares.sum(-1), 1)


def test_the_untrained_fish_knows_nothing_and_the_fish_something(table: Table, rows: list[Row]) -> None:
    games = [scores(list(table.rounds(row))) for row in rows]
    mean = {name: sum(game[name].nats for game in games) / sum(game[name].tokens for game in games) for name in games[0]}
    assert mean["untrained fish"] == pytest.approx(math.log(table.fish.model.config.vocabulary_size), abs=0.3)
    assert mean["floor"] < mean["fish"] < mean["untrained fish"]
    assert mean["floor"] < mean["pair counts"] < mean["untrained fish"]


def test_sums(table: Table, rows: list[Row]) -> None:
    played = list(table.rounds(rows[0]))
    assert [one.token for one in played][-1] == table.fish.tokenizer.end
    assert table.fish.tokenizer.decode([one.token for one in played]) == rows[0].reply
    found = scores(played)
    assert found["fish"].nats == pytest.approx(float(table.fish.losses([rows[0]])[0]), abs=1e-4)
    assert found["fish"].sides == pytest.approx(math.exp(found["fish"].nats / len(played)))
    for name, score in found.items():
        assert score.tokens == len(played)
        assert score.nats == pytest.approx(sum(one.bets[name].surprise for one in played))
        assert score.hits == sum(one.bets[name].favourite == one.text for one in played)
    with pytest.raises(ValueError, match="nothing to add up"):
        scores([])


def test_the_player_is_asked_before_each_token_and_sees_none_after_it(table: Table, rows: list[Row]) -> None:
    row = next(row for row in rows if len(row.reply) > 15)
    heard = []

    def cheat(said: str) -> str:
        heard.append(said)
        rest = split(row.reply[len(said) :])
        return rest[0] if rest else "end"

    played = list(table.rounds(row, cheat))
    assert all(one.hit for one in played)
    assert heard == [one.said for one in played]
    assert heard[0] == ""
    assert all(len(before) < len(after) for before, after in pairwise(heard))
    assert not any(one.hit for one in table.rounds(row, lambda said: "zebra"))
    assert not any(one.hit for one in table.rounds(row, lambda said: None))


def test_a_guess_hits_the_token_that_its_word_begins_with() -> None:
    tokenizer = Tokenizer.train([("a castle", "a castle. a cat.")] * 3, 261)
    said, castle = tokenizer.encode("a"), tokenizer.encode("a castle")
    token = castle[len(said)]
    assert castle[: len(said)] == said
    assert len(castle) > len(said) + 1  # a word of several tokens
    assert is_hit(tokenizer, said, token, "castle")
    assert is_hit(tokenizer, said, token, " castle ")
    assert not is_hit(tokenizer, said, token, "rock")
    assert not is_hit(tokenizer, said, token, "")
    assert not is_hit(tokenizer, said, token, "end")
    assert is_hit(tokenizer, castle, tokenizer.end, "end")
    assert not is_hit(tokenizer, castle, tokenizer.end, "castle")


def test_a_prompt_of_ones_own(table: Table) -> None:
    row = row_of(table, "I got you a ROCK", seed=1)
    assert (row.prompt, row.turn, row.bindings) == ("i got you a rock", "gift", {"object": "rock"})
    assert "rock" in row.reply
    assert row == row_of(table, "i got you a rock", seed=1)
    assert play(table.fish, row)[0].said == ""
    with pytest.raises(ValueError, match=r'nothing in the sheet asks that.*try "hello"'):
        row_of(table, "what is the internet")
    with pytest.raises(ValueError, match="nothing to reply to"):
        row_of(table, "  ")


def test_a_row_that_does_not_fit_the_context(table: Table, rows: list[Row]) -> None:
    with pytest.raises(ValueError, match="at most 129 fit"):
        table.bets(rows[0]._replace(prompt="word " * 200))


def test_a_run_with_an_empty_test(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fresh_row(table.fish, 1) == fresh_row(table.fish, 1)
    monkeypatch.setattr("guppylm.guess.rows_of", lambda run, name: [])
    with pytest.raises(RunError, match="give a --prompt"):
        fresh_row(table.fish, 1)


def test_the_command_alone(command: Command, trained: RunFolder) -> None:
    done = command("guess", trained.path, "--auto", "--seed", 1)
    assert done.returncode == 0, done.stderr
    assert "the fish was as unsure as a fair die with" in done.stdout
    assert "you guessed" not in done.stdout
    again = command("guess", trained.path, "--auto", "--seed", 1)
    assert again.stdout == done.stdout


def test_the_command_with_a_player(command: Command, trained: RunFolder) -> None:
    prompt = ("--prompt", "i got you a rock", "--seed", 1)
    done = command("guess", trained.path, *prompt, stdin=b"a\nzebra\n\n")
    assert done.returncode == 0, done.stderr
    assert "you > i got you a rock" in done.stdout
    assert "zebra ✗" in done.stdout
    assert "of 2 tokens" in done.stdout  # the empty line is no guess, and then the input ends
    assert "you guessed" not in command("guess", trained.path, *prompt).stdout


def test_the_command_refuses_plainly(command: Command, trained: RunFolder) -> None:
    assert "the prompt is empty" in command("guess", trained.path, "--prompt", " ").stderr
    done = command("guess", trained.path, "--prompt", "what is the internet")
    assert done.returncode == 2
    assert "nothing in the sheet asks that" in done.stderr
    assert command("guess", "nowhere", "--auto").returncode == 1
