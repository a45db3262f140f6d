"""Labs: each change does what it says and nothing else, and the recorded runs bear out their lessons."""

import importlib.util
import json
import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from conftest import Command
from guppylm.cli import lab as cli
from guppylm.config import ModelConfig, TrainConfig, preset
from guppylm.data.character import Character, load_character
from guppylm.data.tokenizer import Rendered, Tokenizer
from guppylm.evaluation.loss import row_losses
from guppylm.interpretability.lens import blocks_of
from guppylm.labs import LABS, Lab, Result, carry_out, dials, find, modern, parts, prepare, recorded, show
from guppylm.labs.core import CORE
from guppylm.labs.recipe import Data, Recipe, parameters
from guppylm.labs.result import Figures
from guppylm.labs.training import STEPS, train_arm
from guppylm.labs.window import CONTEXT, ShortContext, windows
from guppylm.model import KeyValueCache, Transformer

NEW_SEED = 4  # 1, 2 and 3 are recorded
ALL = pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
STRUCTURAL = (parts.NoMask(), parts.NoPositions(), parts.NoAttention(), parts.NoMLP(), parts.NoNormNoResidual())


@pytest.fixture(scope="module")
def data(tiny: Character) -> Data:
    return prepare(tiny, 1, topics=tiny.topics, prompts=tiny.prompts, rows=300, validation=20)


@pytest.fixture(scope="module")
def tokenizer(data: Data) -> Tokenizer:
    return Tokenizer.train([(row.prompt, row.reply) for row in data.train])


def some_ids(model: Transformer, rows: int = 2, time: int = 20) -> Tensor:
    return torch.randint(0, model.config.vocabulary_size, (rows, time), generator=torch.Generator().manual_seed(1))


def moved(model: Transformer, place: int) -> Tensor:
    """At which places the logits change if the token at `place` does: (time), bool."""
    ids = some_ids(model, 1)
    changed = ids.clone()
    changed[0, place] = (changed[0, place] + 1) % model.config.vocabulary_size
    with torch.no_grad():
        return (model(ids) - model(changed)).abs().amax(-1)[0] > 1e-7


def test_the_plain_arm_sees_the_past_and_not_the_future(tokenizer: Tokenizer) -> None:
    assert moved(Recipe().model(tokenizer, 1), 10).tolist() == [place >= 10 for place in range(20)]


def test_without_the_mask_every_place_sees_every_other(tokenizer: Tokenizer) -> None:
    assert moved(parts.NoMask().model(tokenizer, 1), 10).all()


def test_without_attention_a_token_is_seen_by_itself_alone(tokenizer: Tokenizer) -> None:
    assert moved(parts.NoAttention().model(tokenizer, 1), 10).tolist() == [place == 10 for place in range(20)]


def test_without_positions_the_same_token_is_the_same_everywhere(tokenizer: Tokenizer) -> None:
    ids = torch.full((1, 20), 7)
    for recipe, same in ((Recipe(), False), (parts.NoPositions(), True)):
        logits = recipe.model(tokenizer, 1)(ids)[0]
        assert torch.allclose(logits, logits[:1].expand_as(logits), atol=1e-5) is same


def test_without_mlp_its_weights_do_not_matter(tokenizer: Tokenizer) -> None:
    model = parts.NoMLP().model(tokenizer, 1)
    ids = some_ids(model)
    before = model(ids)
    with torch.no_grad():
        for block in blocks_of(model):
            block.mlp.input.weight.add_(1)
    assert torch.equal(model(ids), before)


def test_bare_blocks_replace_the_stream(tokenizer: Tokenizer) -> None:
    model = parts.NoNormNoResidual().model(tokenizer, 1)
    with torch.no_grad():
        for p in model.blocks[-1].parameters():
            p.zero_()
    assert not model(some_ids(model)).any()  # with a residual, the stream would go on past the silent block
    assert not [name for name, _ in model.named_parameters() if "norm" in name]


@pytest.mark.parametrize("recipe", STRUCTURAL, ids=lambda recipe: recipe.name)
def test_both_arms_start_from_the_same_plain_weights(recipe: Recipe, tokenizer: Tokenizer) -> None:
    plain, changed = (one.model(tokenizer, 1).state_dict() for one in (Recipe(), recipe))
    assert {name.split(".")[2] for name in changed if name.startswith("blocks.0.")} >= {"attention", "mlp"}
    assert all(torch.equal(plain[name], tensor) for name, tensor in changed.items())
    assert all(tensor.any() for name, tensor in plain.items() if name.endswith(".weight"))  # none starts silent
    assert not torch.equal(Recipe().model(tokenizer, 2).token_embedding.weight, plain["token_embedding.weight"])


def test_making_a_model_leaves_the_random_state_alone(tokenizer: Tokenizer) -> None:
    before = torch.get_rng_state()
    modern.Modern().model(tokenizer, 1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("recipe", [dials.OneHead(), dials.Wide(), dials.Deep(), modern.Modern()], ids=lambda one: one.name)
def test_parameters_are_equal(recipe: Recipe, tokenizer: Tokenizer) -> None:
    plain, changed = (parameters(one.model(tokenizer, 1)) for one in (Recipe(), recipe))
    assert math.isclose(plain, changed, rel_tol=0.01)


def test_rotary_products_depend_on_the_distance_alone() -> None:
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(1))
    products = [float((modern.rotate(q, at) * modern.rotate(k, at + 3)).sum()) for at in (0, 1, 50)]
    assert products == pytest.approx([products[0]] * 3, abs=1e-4)
    assert products[0] != pytest.approx(float((modern.rotate(q, 0) * modern.rotate(k, 4)).sum()), abs=1e-3)
    assert torch.equal(modern.rotate(q, 0), q)


@pytest.mark.parametrize("recipe", [modern.Modern(), *STRUCTURAL[1:]], ids=lambda one: one.name)
def test_with_cache_equals_without(recipe: Recipe, tokenizer: Tokenizer) -> None:
    model = recipe.model(tokenizer, 1)
    ids = some_ids(model)
    cache = KeyValueCache(model.config, 2, model.token_embedding.weight)
    with torch.no_grad():
        pieces = [model(piece, cache) for piece in torch.split(ids, [7, 1, 1, 11], dim=1)]
        assert torch.allclose(torch.cat(pieces, dim=1), model(ids), atol=1e-5)


def test_the_modern_arm_does_not_look_ahead(tokenizer: Tokenizer) -> None:
    assert moved(modern.Modern().model(tokenizer, 1), 10).tolist() == [place >= 10 for place in range(20)]


@pytest.mark.parametrize("stride", [1, 4, 8])
@pytest.mark.parametrize("length", [3, 9, 10, 40])
def test_windows_count_each_reply_token_once(length: int, stride: int) -> None:
    row = Rendered(list(range(length)), [place >= 2 for place in range(length)])
    counted = []
    for piece in windows(row, stride):
        assert len(piece.ids) <= CONTEXT + 1
        for place, (token, counts) in enumerate(zip(piece.ids, piece.is_reply, strict=True)):
            if counts:
                counted.append(token)
                assert place >= min(token, CONTEXT + 1 - stride)  # what it is guessed from
    assert counted == list(range(2, length))


def test_where_all_fits_the_window_the_loss_is_the_usual_one(data: Data, tokenizer: Tokenizer) -> None:
    recipe = ShortContext()
    model = recipe.model(tokenizer, 1)
    row = data.validation[0]._replace(prompt="a", reply="b")
    losses, tokens = recipe.losses(model, tokenizer, [row, data.validation[1]])
    rendered = tokenizer.render("a", "b")
    assert len(rendered.ids) <= CONTEXT
    assert float(losses[0]) == pytest.approx(float(row_losses(model, [rendered])[0]))
    assert tokens.tolist() == [2, sum(tokenizer.render(data.validation[1].prompt, data.validation[1].reply).is_reply)]


def test_data_labs_change_what_they_say(data: Data) -> None:
    pairs = [(row.prompt, row.reply) for row in data.train]
    assert len(dials.TwoHundred().rows(data)) == 200
    assert len(dials.HalfTheData().rows(data)) == 150
    test = {(row.prompt, row.reply) for row in data.unseen}
    assert test
    assert test.isdisjoint(pairs)
    assert test < {(row.prompt, row.reply) for row in dials.Leaked().rows(data)}
    cased, small = dials.KeepsCapitals().tokenizer(pairs), dials.SmallVocabulary().tokenizer(pairs)
    assert cased.decode(cased.encode("HELLO")) == "HELLO"
    assert small.size == 300
    assert all(all(row.is_reply) for row in dials.PromptToo().render(small, pairs))
    config = TrainConfig()
    assert dials.TooFast().training(config).learning_rate == 30 * config.learning_rate
    assert replace(dials.OneHead().shape(preset("fry")), heads=4) == preset("fry")


def test_too_large_a_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="mlp_width"):
        dials.as_large_as(preset("fry"), ModelConfig(layers=12, width=512, heads=8))


@ALL
def test_every_lab_can_be_trained(lab: Lab, data: Data) -> None:
    result = carry_out(lab, data, seed=1, steps=2)
    assert [arm.arm for arm in result.arms][:2] == [lab.plain.name, lab.changed.name]
    assert len(result.arms) == (3 if lab.same_seconds else 2)
    for arm in result.arms:
        assert arm.curve[0].step == 0
        assert arm.curve[-1].step == arm.steps
        assert list(arm.replies) == list(data.prompts)
        assert arm.curve[0].validation > 3  # it knows nothing yet
    assert Result.from_dict(json.loads(json.dumps(result.to_dict()))).to_dict() == result.to_dict()
    assert lab.lesson(result).says


def test_a_seed_settles_an_arm(data: Data) -> None:
    first, again, other = (train_arm(Recipe(), data, seed, steps=3) for seed in (1, 1, 2))
    assert first.validation == again.validation != other.validation
    assert first.replies == again.replies


@ALL
def test_every_lab_shows_the_lines_that_run(lab: Lab) -> None:
    assert f"class {type(lab.changed).__name__}(" in lab.change
    assert 1 < len(lab.choices) <= 4
    assert 0 <= lab.came < len(lab.choices)
    assert lab.where.startswith("src/guppylm/")
    assert lab.why
    assert find(lab.name) is lab


@pytest.mark.parametrize("lab", [lab for lab in LABS if recorded(lab.name)], ids=lambda lab: lab.name)
def test_recorded_runs_bear_out_the_lesson(lab: Lab) -> None:
    results = recorded(lab.name)
    assert [result.seed for result in results] == list(cli.SEEDS)
    for result in results:
        assert lab.lesson(result).holds, (result.seed, lab.lesson(result).says)
        assert result.arms[0].steps == result.arms[1].steps == STEPS
    assert len(json.dumps([result.to_dict() for result in results])) < 20_000


@pytest.fixture(scope="module")
def new_seed() -> tuple[Data, dict[str, Figures]]:
    """The labs' own data with a seed that is not recorded, and the arms trained so far: many labs share the plain one."""
    return prepare(load_character(), NEW_SEED), {}


@pytest.mark.slow
@ALL
def test_the_lesson_holds_in_a_new_training(lab: Lab, new_seed: tuple[Data, dict[str, Figures]]) -> None:
    data, known = new_seed
    lesson = lab.lesson(carry_out(lab, data, NEW_SEED, known=known))
    assert lesson.holds, lesson.says


def test_the_recorded_plain_arm_talks() -> None:
    for result in recorded("no-mask"):
        assert result.arms[0].sentences > 0.6
        assert "castle" in result.arms[0].replies["i got you a new castle"]


def test_the_spread_of_seeds_is_the_recorded_one() -> None:
    """Of the arms that speak as well as plain, the one whose seeds end farthest apart."""
    gaps: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for lab in LABS:
        for result in recorded(lab.name):
            for arm in result.arms[:2]:
                if arm.on_topic > 0.9 and arm.steps == STEPS:
                    gaps[arm.arm, result.seed].append(arm.gap)
    ranges = []
    for name in {name for name, _ in gaps}:
        of_seeds = [gaps[name, seed][0] for seed in cli.SEEDS if (name, seed) in gaps]
        ranges.append(max(of_seeds) - min(of_seeds))
    assert max(ranges) <= dials.SPREAD < 1.2 * max(ranges)


def test_the_picture_shows_what_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = Path(__file__).parents[1] / "docs" / "pictures"
    monkeypatch.syspath_prepend(str(pictures))
    spec = importlib.util.spec_from_file_location("labs_picture", pictures / "labs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (pictures / "labs" / "loss.svg").read_text(encoding="utf-8") == module.labs().svg()


def test_plots_stay_in_their_frame() -> None:
    result = recorded("no-mask")[0]
    broken = replace(result.arms[1], curve=(result.arms[1].curve[0]._replace(validation=math.nan), *result.arms[1].curve[1:]))
    for value in (lambda look: look.training, lambda look: look.validation):
        head, *lines = show.plot((result.arms[0], broken), "loss", value)
        assert "o plain" in head
        assert {len(line.partition("│")[2]) for line in lines[:-1]} == {show.WIDTH}
        assert sum("o" in line for line in lines) > 2


def test_control_characters_are_not_printed() -> None:
    assert cli.one_line("a\x1b[31m\nb") == "a\ufffd[31m b"


def test_lab_lists_and_reveals(command: Command) -> None:
    listed = command("lab")
    assert listed.returncode == 0, listed.stderr
    assert all(lab.name in listed.stdout for lab in LABS)
    assert [lab["name"] for lab in json.loads(command("lab", "--json").stdout)] == [lab.name for lab in LABS]
    told = command("lab", "no-mask")
    assert told.returncode == 0, told.stderr
    for words in ("class NoMask", "mask.zero_()", "model.py", "below the floor", "i got you a new castle", "for 3 of 3"):
        assert words in " ".join(told.stdout.split())
    assert "your prediction" not in told.stdout  # there is no terminal, so nobody is waited for
    as_json = json.loads(command("lab", "no-mask", "--json").stdout)
    assert [result["lesson"]["holds"] for result in as_json["results"]] == [True] * 3


def test_lab_refuses_what_it_does_not_know(command: Command) -> None:
    for arguments, words in (
        (["no-brain"], "no lab 'no-brain'; there are no-mask, no-positions"),
        (["--live"], "--live needs a name"),
        (["no-mask", "--seed", "9"], "no run with seed 9 is recorded, but 1, 2, 3"),
    ):
        done = command("lab", *arguments)
        assert done.returncode == 2
        assert words in " ".join(done.stderr.split())


def test_a_prediction_is_asked_for_until_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["x", "B "])
    monkeypatch.setattr("builtins.input", lambda _: next(said))
    assert cli._prediction(["a", "b"]) == "b"
    monkeypatch.setattr("builtins.input", lambda _: "")
    assert cli._prediction(["a", "b"]) is None
    right, wrong = (show.answer_lines(CORE[0], recorded("no-mask")[0], letter)[0] for letter in ("b", "a"))
    assert right.startswith("you said b: right. it is b")
    assert wrong.startswith("you said a: not this time. it is b")


def test_a_live_lab_that_is_stopped_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("guppylm.labs.prepare", stop)
    with pytest.raises(KeyboardInterrupt):
        cli._live(CORE[0], 1)
    assert "nothing is kept of a lab that was stopped" in capsys.readouterr().err
