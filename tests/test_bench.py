"""The benches in small: what they compare is what they say they compare."""

import argparse
import importlib.util
import json
import math
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from guppylm.checkpoint import RunFolder
from guppylm.config import ModelConfig
from guppylm.data.character import Character, load_character
from guppylm.data.conversations import Conversations
from guppylm.errors import RunError
from guppylm.evaluation.replies import Judge
from guppylm.fish import find_run, load, ships
from guppylm.model import Transformer
from guppylm.training.workers import Workers

SMALL = ModelConfig(vocabulary_size=1024, context=128, layers=2, width=16, heads=2, mlp_width=24)


def bench(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", Path(__file__).parents[1] / "bench" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


race = bench("time_to_loss")
generate = bench("generate")
outsiders = bench("strangers")
cores = bench("cores")


@pytest.fixture(scope="module")
def data(tiny: Character) -> Any:
    return race.prepare(tiny, 300, 20, 1)


def some_ids(model: Transformer) -> torch.Tensor:
    return torch.randint(0, model.config.vocabulary_size, (2, 20), generator=torch.Generator().manual_seed(1))


def test_the_reference_climbs_to_its_rate_and_falls_to_a_tenth() -> None:
    rates = [race.reference_rate(step) for step in range(race.STEPS + 1)]
    assert rates[:200] == sorted(rates[:200])
    assert max(rates) == rates[199] == rates[200] == pytest.approx(3e-4)
    assert rates[200:] == sorted(rates[200:], reverse=True)
    assert rates[(race.STEPS + 200) // 2] == pytest.approx((3e-4 + 3e-5) / 2)
    assert rates[-1] == pytest.approx(3e-5)


def test_the_reference_is_our_model_with_dropout_and_other_first_weights() -> None:
    fused, plain = (race.reference_model(SMALL, attention, 1) for attention in ("fused", "written-out"))
    ours = Transformer(SMALL)
    assert {n: t.shape for n, t in fused.state_dict().items()} == {n: t.shape for n, t in ours.state_dict().items()}
    ids = some_ids(plain)
    assert not torch.equal(plain(ids), plain(ids))  # dropout
    fused.eval(), plain.eval()
    assert torch.equal(plain(ids), plain(ids))
    assert torch.allclose(fused(ids), plain(ids), atol=1e-5)
    matrices = torch.cat([p.flatten() for name, p in plain.named_parameters() if p.ndim == 2])
    assert matrices.std().item() == pytest.approx(0.02, rel=0.02)


def test_the_reference_reads_all_rows_and_counts_every_token_but_padding(data: Any) -> None:
    batches = race.reference_batches(data.rendered, 128, 1)
    read = [next(batches) for _ in range(math.ceil(300 / 32))]
    assert [len(ids) for ids, _, _ in read] == [32] * 9 + [12]
    rows = sorted(tuple(row.ids[1:]) for row in data.rendered)
    assert sorted(tuple(t[r].tolist()) for _, targets, real in read for t, r in zip(targets, real, strict=True)) == rows


def test_all_forms_of_the_reference_learn_the_same(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "DROPOUT", 0.0)
    weights = []
    with Workers(2) as workers:
        for form in race.FORMS:
            model, learn = race.reference(SMALL, data, form, 1, workers)
            for step in range(3):
                assert learn(step) > 0
            weights.append(model.state_dict())
    for other in weights[1:]:
        assert all(torch.allclose(other[name], tensor, atol=2e-3) for name, tensor in weights[0].items())


def test_looking_is_off_the_clock(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        loss_nats = gap_nats = 1.0

    def slow_report(*_: object) -> type[Slow]:
        time.sleep(2)
        return Slow

    def slowly(step: int) -> int:
        time.sleep(0.02)
        return 7

    monkeypatch.setattr(race, "loss_report", slow_report)
    model = Transformer(SMALL)
    curve = race.follow(model, lambda step: 7, data, steps=4, looks=2)
    assert [(look.step, look.tokens) for look in curve] == [(0, 0), (2, 14), (4, 28)]
    assert curve[-1].seconds < 2  # three looks took six
    slow = race.follow(model, slowly, data, steps=4, looks=2)
    assert 0.08 <= slow[-1].seconds < 2
    assert [look.step for look in race.follow(model, slowly, data, 4, 1, limit=0.03)] == [0, 2]
    assert [look.step for look in race.follow(model, lambda step: 7, data, 4, 4, goal=1.0)] == [0]


def test_paces_count_both_kinds_of_our_steps() -> None:
    pace = race.Pace(reference=5.0, shallow=1.0, deep=2.0)
    assert [pace.ours(steps, shallow_steps=3) for steps in (0, 2, 3, 5)] == [0.0, 2.0, 3.0, 7.0]


def test_the_whole_comparison(
    data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(race, "load_character", lambda name: None)
    monkeypatch.setattr(race, "prepare", lambda *_: data)
    monkeypatch.setattr(race, "ModelConfig", lambda vocabulary_size: SMALL)
    sizes = {"TRAIN_ROWS": 300, "VALIDATION_ROWS": 20, "STEPS": 6, "REFERENCE_LOOKS": 3, "WARMUP": 1, "PEAK_RATE": 0.003}
    sizes |= {"OUR_LOOKS": 4, "TRIES": 3}
    for name, value in sizes.items():
        monkeypatch.setattr(race, name, value)
    options = argparse.Namespace(seed=1, cache=tmp_path / "cache", json=tmp_path / "json", short=False, ours_steps="30,1")
    with Workers(2) as workers:
        race.compare(options, workers)
    told = capsys.readouterr().out
    assert "reference in bfloat16, fused attention, cores apart" in told
    assert "ours, 30 steps" in told
    assert "ratio: " in told
    found = json.loads((tmp_path / "json").read_text("utf-8"))
    reference = [dict(zip(found["fields"], look, strict=True)) for look in found["reference"]]
    assert [look["step"] for look in reference] == [0, 2, 4, 6]
    assert (
        reference[-1]["loss"]
        == found["goal"]
        < reference[0]["loss"]
        == pytest.approx(math.log(SMALL.vocabulary_size), abs=0.3)
    )
    assert list(found["ours"]) == ["1", "30"]  # one step does not reach it, so the next budget is tried
    loss = found["fields"].index("loss")
    assert found["ours"]["30"][-1][loss] <= found["goal"] < found["ours"]["1"][-1][loss]

    options.ours_steps = "1"
    with Workers(2) as workers:
        race.compare(options, workers)  # from the cache
    assert json.loads((tmp_path / "json").read_text("utf-8"))["reference"] == found["reference"]
    assert "reference in" not in capsys.readouterr().out


def test_a_cache_from_elsewhere_is_refused(data: Any, tmp_path: Path) -> None:
    here = race.conditions(data, 1)
    curve = [race.Look(step, 10 * step, float(step), 3.0 - step, 2.0) for step in range(3)]
    path = tmp_path / "cache"
    path.write_text(
        json.dumps({"conditions": here, "threads": 2, "form": ["float32", "fused", "apart"], "curve": curve}), "utf-8"
    )
    assert race.cached(path, here) == (2, ("float32", "fused", "apart"), curve)
    with pytest.raises(RunError, match="measured with torch"):
        race.cached(path, here | {"torch": "99"})
    path.write_text("[]", "utf-8")
    with pytest.raises(RunError, match="no cache of this bench"):
        race.cached(path, here)
    assert race.cut(curve, 0.5) == curve[:2]
    with pytest.raises(RunError, match="was stopped after 2 s"):
        race.cut(curve, math.inf)


def test_all_ways_to_generate_say_the_same(
    tiny: Character, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "LARGE", 2**24)
    fish, prompts = generate.random_fish(tiny, SMALL, 100, tmp_path / "run")
    torch.manual_seed(1)
    for parameter in fish.model.parameters():  # so that it says more than one word again and again
        torch.nn.init.normal_(parameter, std=0.5)
    speeds, large, unlike = generate.measure(fish, prompts[:6], 2, 1, tmp_path / "export")
    assert unlike == 0
    assert {generate.OURS, generate.BOUND, "6 replies, side by side"} < speeds.keys()
    assert all(speed > 0 for found in (*speeds.values(), large) for speed in found)
    generate.show(fish, speeds, large, unlike)
    assert "all ways said the same" in capsys.readouterr().out


def test_a_token_reads_every_weight_but_the_other_places(tiny: Character) -> None:
    model = Transformer(ModelConfig())
    assert generate.bytes_a_token(model) == 4 * (8_726_016 - 127 * 384)


def test_a_part_of_the_topics_is_a_sheet_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["topics.py", str(tmp_path / "few"), "bubbles", "decorations"])
    bench("topics").main()
    few = load_character(str(tmp_path / "few"))
    assert few.topics == ("bubbles", "decorations")
    assert "object" in few.pools
    assert "plant_kind" not in few.pools  # nothing that is left says it: the loader would refuse it
    monkeypatch.setattr(sys, "argv", ["topics.py", str(tmp_path / "none"), "nothing"])
    with pytest.raises(SystemExit, match="no topic nothing"):
        bench("topics").main()


def test_each_of_the_sixty_prompts_has_its_topic() -> None:
    pages = bench("pages")
    lines = (pages.DOCS / "sixty_prompts.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(pages.SIXTY)
    assert sorted(pages.SIXTY) == sorted(file.stem for file in (pages.find_character("guppy") / "topics").glob("*.toml"))


def test_pages_fill_their_places_and_no_other(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- end -->\nbetween\n<!-- b -->\n<!-- end -->\n", encoding="utf-8")
    pages = bench("pages")
    for _ in range(2):  # filling again changes nothing
        pages.fill(page, {"a": "new \\1 text", "b": "more"})
        text = page.read_text(encoding="utf-8")
        assert text == "before\n<!-- a -->\n\nnew \\1 text\n\n<!-- end -->\nbetween\n<!-- b -->\n\nmore\n\n<!-- end -->\n"
    with pytest.raises(SystemExit, match="no place for c"):
        pages.fill(page, {"c": ""})


def test_a_fish_that_ships_is_scored_as_it_lies_there(
    trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ship = bench("ship")
    monkeypatch.setattr(ship, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr("guppylm.fish.SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(sys, "argv", ["ship.py", str(trained.path)])
    ship.main()
    assert "gap" in capsys.readouterr().out
    folder = tmp_path / "shipped" / trained.path.name
    assert {file.name for file in folder.iterdir()} == {
        "config.json", "tokenizer.json", "model.safetensors", "metrics.jsonl", "samples.jsonl", "scorecard.json",
        "report.html", "report.md",
    }  # fmt: skip
    assert all(tensor.dtype == torch.float16 for tensor in load_file(folder / "model.safetensors").values())
    monkeypatch.chdir(tmp_path)
    (tmp_path / trained.path.name).mkdir()  # a character's folder, say: what is no run is not meant
    assert find_run(trained.path.name) == folder
    assert ships(folder)
    assert not ships(trained.path)
    fish, as_trained = load(trained.path.name), load(trained.path)
    assert fish.remember("are you hungry", "always.").kind == as_trained.remember("are you hungry", "always.").kind
    for name, tensor in as_trained.model.state_dict().items():
        torch.testing.assert_close(fish.model.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_strangers_halves_have_nothing_in_common() -> None:
    look, measure = (outsiders.strangers(half) for half in outsiders.HALVES)
    prompts = [stranger.prompt.lower() for stranger in (*look, *measure)]
    assert len(set(prompts)) == len(prompts) > 1_100
    for half in (look, measure):
        assert {topic for stranger in half for topic in stranger.topics} == set(load_character("guppy").topics)


def test_a_stranger_is_understood_if_the_reply_is_of_the_topic() -> None:
    class Parrot:
        """Says to everybody what one topic says."""

        def reply_to_all(self, prompts: list[str], seed: int) -> list[str]:
            return [row.reply] * len(prompts)

    source = Conversations(load_character("guppy"))
    row = next(source.rows("train", 1, topic="poop"))
    judge = Judge(source)
    own, other = outsiders.Stranger("a", frozenset({"poop"})), outsiders.Stranger("b", frozenset({"love", "poop"}))
    strange = outsiders.Stranger("c", frozenset({"love"}))
    found = outsiders.take(Parrot(), judge, [own, other, strange])
    assert [taken.share for taken in found] == [1.0, 1.0, float("love" in {topic for topic, _ in judge.sayers(row.reply)})]


def test_counting_words_knows_the_sheet_s_own_prompts() -> None:
    sheet = load_character("guppy")
    rows = list(Conversations(sheet).rows("validation", 100))
    own = [outsiders.Stranger(row.prompt.upper(), frozenset({row.topic})) for row in rows]
    other = [stranger._replace(topics=frozenset({"poop"} - stranger.topics)) for stranger in own]
    assert outsiders.by_counting(sheet, own) > 0.9
    assert outsiders.by_counting(sheet, other) < 0.1


def test_both_ways_to_use_the_cores_take_the_same_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = []

    def update(*given: Any) -> Any:
        taken.append((given[3].shallow_steps, given[4], given[5].count))
        return step(*given)

    step = cores.update
    monkeypatch.setattr(cores, "update", update)
    monkeypatch.setattr(cores, "STEPS", 6)
    monkeypatch.setattr(cores, "preset", lambda name: SMALL)
    monkeypatch.setattr(cores, "workers_for", lambda device, batches: Workers(2))
    cores.main()
    assert [number for _, number, _ in taken] == 2 * list(range(12))
    assert [count for _, _, count in taken] == 12 * [1, 2]
    assert [shallow for shallow, _, _ in taken] == 12 * [12] + 12 * [0]
    assert capsys.readouterr().out.count("times as fast") == 2
