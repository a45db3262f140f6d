"""The exported graphs compute what the model computes, tensor by tensor; the folder around them says what is true."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import Command
from guppylm.checkpoint import RunFolder
from guppylm.errors import RunError
from guppylm.export.onnx import export_onnx
from guppylm.export.onnx_weights import Layout
from guppylm.fish import Fish, load
from guppylm.inference.sampling import SamplingConfig
from guppylm.interpretability.interventions import ablate
from guppylm.interpretability.lens import blocks_of, record
from guppylm.model import KeyValueCache, Transformer

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
CLOSE = 1e-4
Arrays = dict[str, Any]
Run = Callable[..., Arrays]


@pytest.fixture(scope="module")
def exported(trained: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("onnx") / "fish"
    export_onnx(load(trained.path), out)
    return out


@pytest.fixture(scope="module")
def manifest(exported: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((exported / "manifest.json").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def fish(trained: RunFolder, exported: Path) -> Fish:
    """The fish as the folder has it: with the weights that come out of weights.q8."""
    fish = load(trained.path)
    layout = Layout(fish.model.state_dict())
    fish.model.load_state_dict(layout.dequantised((exported / "weights.q8").read_bytes()))
    return fish


@pytest.fixture(scope="module")
def runs(fish: Fish, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Both graphs, ready to run: inputs by name, outputs by name."""
    folder = tmp_path_factory.mktemp("run")
    state = fish.model.state_dict()
    (folder / "weights.f32").write_bytes(Layout(state).float32(state))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # a test makes it fail on purpose

    def ready(name: str) -> Run:
        shutil.copy(exported / name, folder)
        session = onnxruntime.InferenceSession(folder / name, options)
        names = [output.name for output in session.get_outputs()]

        def run(**inputs: Any) -> Arrays:
            return dict(zip(names, session.run(None, {key: np.asarray(x) for key, x in inputs.items()}), strict=True))

        return run

    return {name: ready(f"{name}.onnx") for name in ("chat", "glass")}


def look(runs: dict[str, Run], model: Transformer, ids: Tensor, **gates: Any) -> Arrays:
    """Runs glass.onnx with gates that are open unless given."""
    shape = model.config
    inputs = {
        "heads": np.ones((len(ids), shape.layers, shape.heads), np.float32),
        "mlps": np.ones((len(ids), shape.layers), np.float32),
        "causal": np.float32(1),
        "positions_on": np.float32(1),
    }
    return runs["glass"](ids=ids.numpy(), **inputs | gates)


def assert_same(seen: Arrays, model: Transformer, ids: Tensor) -> None:
    """Every activation of every text is the model's own."""
    for place, row in enumerate(ids.tolist()):
        wanted = record(model, row)
        assert list(seen) == list(wanted)
        for name, activation in wanted.items():
            got = seen[name] if name == "positions" else seen[name][place]
            assert got.shape == activation.shape, name
            np.testing.assert_allclose(got, activation.numpy(), rtol=0, atol=CLOSE, err_msg=name)


def some_ids(model: Transformer, batch: int, time: int) -> Tensor:
    random = torch.Generator().manual_seed(time)
    return torch.randint(model.config.vocabulary_size, (batch, time), generator=random)


@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 9), (2, 128)])
def test_glass_shows_every_activation_of_the_lens(fish: Fish, runs: dict[str, Run], batch: int, time: int) -> None:
    ids = some_ids(fish.model, batch, time)
    assert_same(look(runs, fish.model, ids), fish.model, ids)


@pytest.mark.parametrize("pieces", [[1], [17], [128], [5, 1, 1, 20], [127, 1]])
def test_chat_goes_on_from_its_past(fish: Fish, runs: dict[str, Run], pieces: list[int]) -> None:
    model, shape = fish.model, fish.model.config
    ids = some_ids(model, 2, sum(pieces))
    past = np.zeros((shape.layers, 2, 2, shape.heads, 0, shape.width // shape.heads), np.float32)
    cache = KeyValueCache(shape, 2, model.token_embedding.weight)
    for piece in torch.split_with_sizes(ids, pieces, dim=1):
        done = runs["chat"](ids=piece.numpy(), past=past)
        with torch.inference_mode():
            wanted = model(piece, cache)[:, -1]
        past = done["present"]
        np.testing.assert_allclose(done["logits"], wanted.numpy(), rtol=0, atol=CLOSE)
        np.testing.assert_allclose(past, cache.entries[:, :, :, :, : cache.length].numpy(), rtol=0, atol=CLOSE)


def test_more_than_the_context_is_refused(fish: Fish, runs: dict[str, Run]) -> None:
    """The position embedding ends there; a wrong answer would be worse than none."""
    shape = fish.model.config
    past = np.zeros((shape.layers, 2, 1, shape.heads, shape.context, shape.width // shape.heads), np.float32)
    with pytest.raises(Exception, match="out of data bounds"):
        runs["chat"](ids=np.array([[3]]), past=past)
    with pytest.raises(Exception, match="out of data bounds"):
        look(runs, fish.model, some_ids(fish.model, 1, shape.context + 1))


def test_a_closed_gate_is_an_ablation(fish: Fish, runs: dict[str, Run]) -> None:
    """A batch of different gates is as many ablations at once."""
    ids = some_ids(fish.model, 1, 12)
    cases = [
        ["blocks.1.attention.head.2"],
        ["blocks.0.mlp"],
        ["blocks.0.attention.head.0", "blocks.0.attention.head.3", "blocks.2.mlp", "blocks.1.mlp"],
    ]
    heads = np.ones((len(cases), fish.model.config.layers, fish.model.config.heads), np.float32)
    mlps = np.ones(heads.shape[:2], np.float32)
    for place, parts in enumerate(cases):
        for part in parts:
            numbers = [int(number) for number in re.findall(r"\d+", part)]
            (mlps if "mlp" in part else heads)[place, *numbers] = 0
    seen = look(runs, fish.model, ids.expand(len(cases), -1), heads=heads, mlps=mlps)
    whole = look(runs, fish.model, ids)
    for place, parts in enumerate(cases):
        one = {name: x if name == "positions" else x[place : place + 1] for name, x in seen.items()}
        assert_same(one, ablate(fish.model, parts, how="zero"), ids)
        assert np.abs(one["logits"] - whole["logits"]).max() > 100 * CLOSE  # the part did something


def test_a_gate_of_all_heads_leaves_the_bias(fish: Fish, runs: dict[str, Run]) -> None:
    ids = some_ids(fish.model, 1, 6)
    heads = np.ones((1, fish.model.config.layers, fish.model.config.heads), np.float32)
    heads[0, 1] = 0
    added = look(runs, fish.model, ids, heads=heads)["blocks.1.attention_added"]
    bias = blocks_of(fish.model)[1].attention.output.bias.detach()
    np.testing.assert_allclose(added[0], bias.expand(6, -1).numpy(), rtol=0, atol=CLOSE)


def test_without_the_mask_or_the_positions_it_is_a_model_without_them(fish: Fish, runs: dict[str, Run]) -> None:
    ids = some_ids(fish.model, 2, 10)
    sees_all, without_order = load(fish.run.path).model, load(fish.run.path).model
    for model in (sees_all, without_order):
        model.load_state_dict(fish.model.state_dict())
    for block in blocks_of(sees_all):
        block.attention.mask.zero_()
    with torch.no_grad():
        without_order.position_embedding.weight.zero_()
    assert_same(look(runs, fish.model, ids, causal=np.float32(0)), sees_all, ids)
    assert_same(look(runs, fish.model, ids, positions_on=np.float32(0)), without_order, ids)


def test_golden_replies_come_out_of_the_graph_and_of_the_engine(
    fish: Fish, runs: dict[str, Run], manifest: dict[str, Any]
) -> None:
    shape, end = manifest["model"], manifest["tokens"]["end"]["id"]
    assert [golden["prompt"] for golden in manifest["golden"]] == manifest["prompts"][:8]
    for golden in manifest["golden"]:
        new, said = golden["prompt_ids"], []
        past = np.zeros((shape["layers"], 2, 1, shape["heads"], 0, shape["width"] // shape["heads"]), np.float32)
        while past.shape[4] + len(new) <= shape["context"]:
            done = runs["chat"](ids=np.array([new]), past=past)
            past, new = done["present"], [int(done["logits"][0].argmax())]
            if new[0] == end:
                break
            said += new
        assert said == golden["reply_ids"]
        assert golden["reply"] == fish.reply(golden["prompt"], sampling=SamplingConfig(temperature=0))


def test_the_program_in_the_readme_prints_the_golden_reply(exported: Path, manifest: dict[str, Any], tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "fish")
    readme = (folder / "README.md").read_text(encoding="utf-8")
    program = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)[0]
    ran = subprocess.run([sys.executable, "-X", "utf8", "-c", program], cwd=folder, capture_output=True, check=True)
    said = ran.stdout.decode().strip()
    assert said == manifest["golden"][0]["reply"].strip()
    assert f"prints `{said}`" in readme


def test_the_graphs_hold_no_weights_and_share_one_file(fish: Fish, exported: Path) -> None:
    places = {}
    for name in ("chat.onnx", "glass.onnx"):
        model = onnx.load(exported / name, load_external_data=False)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        held = {tensor.name: tensor for tensor in model.graph.initializer}
        places[name] = {
            key: {entry.key: entry.value for entry in held[key].external_data} for key in held.keys() & fish.model.state_dict()
        }
        small = sum(len(tensor.raw_data) for tensor in held.values())
        assert small < 1000  # whole numbers of shapes, and the like
    assert places["chat.onnx"] == places["glass.onnx"]
    assert places["chat.onnx"].keys() == fish.model.state_dict().keys()
    assert {place["location"] for place in places["chat.onnx"].values()} == {"weights.f32"}


def test_the_folder_is_whole_and_a_second_export_overwrites_nothing(
    trained: RunFolder, exported: Path, manifest: dict[str, Any], command: Command
) -> None:
    told = {one["path"]: (one["bytes"], one["sha256"]) for one in manifest["files"]}
    there = {path.relative_to(exported).as_posix(): path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    assert told == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in there.items() if name != "manifest.json"
    }
    again = command("export", trained.path, "--to", "onnx", "--out", exported)
    assert again.returncode == 1
    assert "already holds something" in again.stderr
    assert there == {name: (exported / name).read_bytes() for name in there}
    wrong = command("export", trained.path, "--to", "onyx", "--out", "new")
    assert wrong.returncode == 2
    assert "onnx" in wrong.stderr


def test_without_its_data_the_rows_are_drawn_again_and_without_its_sheet_the_manifest_says_so(
    trained: RunFolder, exported: Path, manifest: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained.path, run, ignore=shutil.ignore_patterns("data", "checkpoints", "training_state*"))
    export_onnx(load(run), tmp_path / "again")
    again = json.loads((tmp_path / "again" / "manifest.json").read_text(encoding="utf-8"))
    assert (tmp_path / "again" / "seen.bin").read_bytes() == (exported / "seen.bin").read_bytes()
    assert (tmp_path / "again" / "counts.json").read_bytes() == (exported / "counts.json").read_bytes()
    assert again["checkpoints"] == []
    assert again["golden"] == manifest["golden"]
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    (run / "config.json").write_text(json.dumps({**config, "fingerprint": "another sheet"}), encoding="utf-8")
    (run / "metrics.jsonl").unlink()
    export_onnx(load(run), tmp_path / "alone")
    alone = json.loads((tmp_path / "alone" / "manifest.json").read_text(encoding="utf-8"))
    assert alone["seen"] is alone["counts"] is alone["metrics"] is alone["weights"]["kl_nats"] is None
    assert "has changed since" in alone["missing"]["seen"]
    assert alone["golden"] == manifest["golden"]
    assert not (tmp_path / "alone" / "seen.bin").exists()
    for folder in (exported, tmp_path / "alone"):
        told = re.findall(r"^\| `([a-z0-9.]+)/?` ", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
        assert sorted([*told, "README.md"]) == sorted(path.name for path in folder.iterdir())


def test_what_was_exported_before_is_copied_if_it_is_whole_and_of_this_very_fish(
    trained: RunFolder, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {path.relative_to(exported).as_posix(): path.read_bytes() for path in exported.rglob("*") if path.is_file()}
    run = Path(shutil.copytree(trained.path, tmp_path / "run"))
    kept = Path(shutil.copytree(exported, run / "exported"))
    monkeypatch.setitem(sys.modules, "onnx", None)  # it is not needed for a copy
    monkeypatch.delitem(sys.modules, "guppylm.export.onnx_graph", raising=False)
    names = export_onnx(load(run), tmp_path / "copy")
    assert {name: (tmp_path / "copy" / name).read_bytes() for name in names} == there

    with pytest.raises(RunError, match="onnx"):  # another fish is computed
        export_onnx(load(run).ablate("blocks.0.mlp"), tmp_path / "other")
    for name in ("counts.json", "manifest.json", "tokenizer.json"):
        (kept / name).write_bytes(b"{}")
        with pytest.raises(RunError, match="onnx"):
            export_onnx(load(run), tmp_path / "other")
        (kept / name).write_bytes(there[name])


def test_without_onnx_it_says_what_to_install(trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "guppylm.export.onnx_graph", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(RunError, match=r'pip install "guppylm\[onnx\]"'):
        export_onnx(load(trained.path), tmp_path / "fish")
    assert not (tmp_path / "fish").exists()
