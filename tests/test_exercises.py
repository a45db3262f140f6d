"""Exercises: right solutions pass and the fish talks with them; each mistake is recognised, and no other."""

import doctest
import inspect
import json
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from conftest import Command
from exercise_answers import MISTAKES, SOLUTIONS, Change
from guppylm.checkpoint import RunFolder
from guppylm.cli.shared import app
from guppylm.exercises import EXERCISES, Exercise, check, find, place_of
from guppylm.exercises.exercise import Function, difference
from guppylm.exercises.learner import LearnerError, describe, file_of, load, write
from guppylm.exercises.trial import Counted
from guppylm.fish import Fish
from guppylm.fish import load as load_fish
from guppylm.training.optimizer import ADAM_BETAS, ADAM_EPSILON

ALL = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
HOLE = "raise NotImplementedError"
EVERY_MISTAKE = [(exercise, name, changes) for exercise, known in MISTAKES.items() for name, *changes in known]


def written(exercise: Exercise, folder: Path, *changes: Change) -> Path:
    """The learner's file with the solution, changed by a mistake, in its hole."""
    body = SOLUTIONS[exercise.name]
    for before, after in changes:
        assert before in body, before
        body = body.replace(before, after)
    path = file_of(exercise, folder)
    path.unlink(missing_ok=True)
    write(exercise, folder)
    filled = path.read_text(encoding="utf-8").replace(f"    {HOLE}\n", indent(body.strip("\n"), "    ") + "\n")
    path.write_text(filled, encoding="utf-8")
    return path


def learner(exercise: Exercise, folder: Path, *changes: Change) -> Function:
    function: Function = load(exercise, written(exercise, folder, *changes))
    return function


@pytest.fixture(scope="module")
def fish(trained: RunFolder) -> Fish:
    return load_fish(trained.path)


@ALL
def test_the_right_solution_passes(exercise: Exercise, tmp_path: Path) -> None:
    verdict = check(exercise, learner(exercise, tmp_path))
    assert verdict.passed, verdict
    assert verdict.cases >= 4


@pytest.mark.parametrize(("name", "mistake", "changes"), EVERY_MISTAKE)
def test_a_mistake_is_recognised(name: str, mistake: str, changes: list[Change], tmp_path: Path) -> None:
    verdict = check(find(name), learner(find(name), tmp_path, *changes))
    assert not verdict.passed
    assert verdict.mistake is not None, verdict
    assert verdict.mistake.name == mistake


@ALL
def test_every_mistake_is_tried_here(exercise: Exercise) -> None:
    assert {name for name, *_ in MISTAKES[exercise.name]} == {mistake.name for mistake in exercise.mistakes}
    assert len(exercise.mistakes) >= 3


@ALL
def test_no_two_mistakes_look_alike_and_none_looks_right(exercise: Exercise) -> None:
    outcomes = [(mistake.name, exercise.outcomes(wrong)) for mistake in exercise.mistakes for wrong in mistake.wrong]
    for (name, one), (other, another) in combinations([("", exercise.outcomes(exercise.right)), *outcomes], 2):
        same = all(difference(*pair) is None for pair in zip(one, another, strict=True))
        assert not same or name == other, f"{name or 'right'} and {other}"


@ALL
def test_hints_lead_in_one_to_three_sentences(exercise: Exercise) -> None:
    for mistake in exercise.mistakes:
        assert 1 <= len(re.findall(r"[.?!](?= |$)", mistake.hint)) <= 3, mistake


@ALL
def test_the_worked_example_is_true(exercise: Exercise, tmp_path: Path) -> None:
    function = learner(exercise, tmp_path)
    found = doctest.DocTestFinder().find(function, exercise.function, globs={"torch": torch, exercise.function: function})
    runner = doctest.DocTestRunner(verbose=False)
    results = [runner.run(test) for test in found]
    assert sum(result.attempted for result in results) >= 1
    assert sum(result.failed for result in results) == 0


def test_the_betas_in_the_file_are_those_of_the_fish(tmp_path: Path) -> None:
    adam = learner(find("optimizer-step"), tmp_path)
    assert (adam.__globals__["FIRST"], adam.__globals__["SECOND"]) == ADAM_BETAS
    assert adam.__globals__["EPSILON"] == ADAM_EPSILON


@ALL
def test_the_fish_says_the_same_with_the_learners_code(exercise: Exercise, fish: Fish, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in fish.model.state_dict().items()}
    counted = Counted(learner(exercise, tmp_path))
    said = exercise.trial(fish, counted)
    assert counted.calls > 0
    assert [one.ours for one in said] == [one.theirs for one in said]
    assert all(torch.equal(before[name], tensor) for name, tensor in fish.model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in fish.model.modules())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("bpe-merge", lambda tokens, pair: ["a"]),
        ("embedding-lookup", lambda ids, tokens, positions, past: positions[ids % 2]),
        ("causal-mask", lambda time: torch.full((time, time), -torch.inf).fill_diagonal_(0.0)),
        ("attention", lambda q, k, v, mask: q * 100),
        ("layer-norm", lambda x, gain, bias, epsilon: -x),
        ("mlp", lambda x, *weights: 100 * x.flip(-1)),
        ("cross-entropy", lambda logits, targets, counts: logits.square().mean()),
        ("optimizer-step", lambda weights, gradient, mean, square, number, rate: (weights + gradient, mean, square)),
        ("sampling", lambda logits, temperature, top_p: (-logits).softmax(-1)),
        ("kv-cache", lambda stored, new, length: torch.zeros_like(stored[:, :, : length + new.shape[2]])),
    ],
)
def test_the_trial_can_fail(name: str, wrong: Function, fish: Fish) -> None:
    assert [one for one in find(name).trial(fish, wrong) if one.ours != one.theirs]


@ALL
def test_the_place_is_that_of_the_source(exercise: Exercise) -> None:
    file, line, name = re.fullmatch(r"(.*), line (\d+): (.*)", place_of(exercise.where)).groups()  # type: ignore[union-attr]
    source = Path(file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
    assert f"def {name.split('.')[-1]}(" in source or source.strip().startswith("@")


@ALL
def test_what_is_written_has_a_hole_types_and_shapes(exercise: Exercise, tmp_path: Path) -> None:
    write(exercise, tmp_path)
    text = file_of(exercise, tmp_path).read_text(encoding="utf-8")
    assert text.endswith(f"    {HOLE}\n")
    assert f"guppylm exercise {exercise.name}" in text
    signature = inspect.signature(load(exercise, file_of(exercise, tmp_path)))
    assert signature.return_annotation is not signature.empty
    assert all(parameter.annotation is not signature.empty for parameter in signature.parameters.values())
    assert check(exercise, load(exercise, file_of(exercise, tmp_path))).untouched
    if exercise.name != "bpe-merge":
        assert "returns  " in text


def test_what_somebody_wrote_is_never_lost(tmp_path: Path) -> None:
    exercise = find("mlp")
    assert write(exercise, tmp_path) is None
    for number in (1, 2):
        file_of(exercise, tmp_path).write_text(f"attempt = {number}", encoding="utf-8")
        assert write(exercise, tmp_path) == tmp_path / f"mlp_{number}.py"
    assert [(tmp_path / f"mlp_{n}.py").read_text(encoding="utf-8") for n in (1, 2)] == ["attempt = 1", "attempt = 2"]
    assert HOLE in file_of(exercise, tmp_path).read_text(encoding="utf-8")


def test_code_that_can_not_be_loaded_is_told_by_its_line(tmp_path: Path) -> None:
    exercise, path = find("mlp"), tmp_path / "mlp.py"
    for text, words in (
        ("def mlp(x:\n", ["line 1", "SyntaxError", "def mlp(x:"]),
        ("import torch\n\nprint(fish)\n", ["line 3", "NameError", "print(fish)"]),
        ("import sys\nsys.exit(3)\n", ["line 2", "SystemExit"]),
        ("def mpl(x): ...\n", ["has no function mlp", "--again"]),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(LearnerError) as caught:
            load(exercise, path)
        for word in words:
            assert word in str(caught.value)
    path.write_text("def mlp(): ...", encoding="utf-8-sig")
    assert callable(load(exercise, path))
    path.write_bytes(b"# caf\xe9")
    with pytest.raises(LearnerError, match="UTF-8"):
        load(exercise, path)


def test_an_error_in_their_code_is_told_by_its_line(tmp_path: Path) -> None:
    path = written(find("attention"), tmp_path, ("shares @ v", "shares @ v.mT"))
    verdict = check(find("attention"), load(find("attention"), path))
    assert verdict.error is not None
    line = 1 + path.read_text(encoding="utf-8").splitlines().index("    return shares @ v.mT")
    assert re.search(rf"attention.py, line {line}: RuntimeError: .*\n    return shares @ v.mT", describe(verdict.error, path))


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("attention", ("shares @ v", "(shares @ v).double()"), "torch.float64, where torch.float32"),
        ("attention", ("return shares @ v", "shares @ v"), "nothing (None), where a Tensor"),
        ("attention", ("shares @ v", "(shares @ v).mT"), "the shape (1, 1, 4, 1), where (1, 1, 1, 4)"),
        ("attention", ("scores =", "mask *= 1.5\nmask += 1\nscores ="), "argument 4 has changed"),
        ("optimizer-step", (", mean, square\n", ", mean\n"), "2 things, where 3"),
        (
            "kv-cache",
            ("return stored[:, :, :end]", "return stored[:, :, :end] * (1 + length)"),
            "token by token: call 2: at [",
        ),
        ("cross-entropy", ("losses.mean()", "losses.mean().detach() + 0 * logits.sum()"), "its gradient at the logits: at ["),
        ("optimizer-step", (", mean, square\n", ", mean, 3 * square\n"), "number 3 of the 3: at [0, 0] it is"),
        ("bpe-merge", ("return merged", "return merged * 2"), "where ['c', 'a', 'st', 'l', 'e'] is right"),
    ],
)
def test_an_unknown_mistake_is_described(name: str, change: Change, says: str, tmp_path: Path) -> None:
    verdict = check(find(name), learner(find(name), tmp_path, change))
    assert verdict.mistake is None
    assert says in verdict.first


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs `guppylm exercise` in an empty folder, in this process: torch is imported only once."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["exercise", *map(str, arguments)])


def test_the_command_from_the_hole_to_the_talking_fish(typed: Callable[..., Any], trained: RunFolder, tmp_path: Path) -> None:
    begun = typed("attention")
    assert (begun.exit_code, begun.stderr) == (0, "")
    assert "waits for you" in begun.stdout
    still = typed("attention")
    assert (still.exit_code, still.stderr) == (1, "")
    assert HOLE in still.stdout

    written(find("attention"), tmp_path / "exercises", (" / q.shape[-1] ** 0.5", ""))
    wrong = typed("attention")
    assert wrong.exit_code == 1
    assert "this looks like: no scale" in wrong.stdout
    written(find("attention"), tmp_path / "exercises", (" / q.shape[-1] ** 0.5", ""), ("return", "print('here')\nreturn"))
    assert json.loads(typed("attention", "--json").stdout)["mistake"] == "no scale"

    written(find("attention"), tmp_path / "exercises")
    passed = typed("attention", "--run", trained.path)
    assert passed.exit_code == 0, passed.stdout
    for words in ("right: all 7", "i got you a new castle", "letter for letter the same"):
        assert words in passed.stdout
    assert re.search(r"where guppylm does it: .*model\.py, line \d+: Attention\.forward$", passed.stdout.strip())
    assert typed("attention", "--solution").stdout.strip() in passed.stdout


def test_it_says_so_if_the_fish_does_not_say_the_same(typed: Callable[..., Any], trained: RunFolder, tmp_path: Path) -> None:
    """Code that is right for short texts alone: no case finds it out, but the fish does."""
    for change, words in (
        (("return", "if time > 20:\n    later = later.T\nreturn"), "not the same"),
        (("return", "if time > 20:\n    raise ValueError('too long for me')\nreturn"), "too long for me"),
    ):
        written(find("causal-mask"), tmp_path / "exercises", change)
        done = typed("causal-mask", "--run", trained.path)
        assert done.exit_code == 1
        assert words in done.stdout


def test_a_loop_that_never_ends_can_be_stopped(typed: Callable[..., Any], tmp_path: Path) -> None:
    written(
        find("causal-mask"), tmp_path / "exercises", ("return", "import signal\nsignal.raise_signal(signal.SIGINT)\nreturn")
    )
    stopped = typed("causal-mask")
    assert stopped.exit_code == 130
    assert "does a loop in it never end?" in stopped.stderr


def test_the_list_and_the_folder(typed: Callable[..., Any], tmp_path: Path) -> None:
    written(find("kv-cache"), tmp_path / "anna")
    listed = typed("--folder", "anna").stdout
    assert [line.split()[0] for line in listed.splitlines()[: len(EXERCISES)]] == [one.name for one in EXERCISES]
    assert listed.count("(begun)") == 1
    assert [one["begun"] for one in json.loads(typed("--folder", "anna", "--json").stdout)].count(True) == 1
    assert "what you wrote is now" in typed("kv-cache", "--folder", "anna", "--again").stdout
    assert (tmp_path / "anna" / "kv_cache_1.py").exists()
    absent = typed("kv-cache", "--json")
    assert (absent.exit_code, json.loads(absent.stdout)["passed"]) == (1, False)
    assert not (tmp_path / "exercises").exists()


def test_without_a_fish_it_says_how_to_train_one(
    typed: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guppylm.fish.SHIPPED", tmp_path / "none")
    written(find("kv-cache"), tmp_path / "exercises")
    done = typed("kv-cache")
    assert done.exit_code == 0
    assert "guppylm train" in done.stdout


def test_the_page_lists_them_in_order_with_the_files_of_the_source() -> None:
    page = (Path(__file__).parent.parent / "docs" / "exercises.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| `([a-z_/]+\.py)`[^|]*\|$", page, flags=re.MULTILINE)
    assert [name for name, _ in rows] == [exercise.name for exercise in EXERCISES]
    for name, file in rows:
        assert f"guppylm/{file}, line" in place_of(find(name).where).replace("\\", "/")


def test_wrong_use_is_refused(command: Command) -> None:
    unknown = command("exercise", "atention")
    assert unknown.returncode == 2
    assert "no exercise 'atention'; there are bpe-merge" in unknown.stderr
