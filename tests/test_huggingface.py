"""Stock transformers loads an exported fish, says the same, and the way back is exact and strict."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import Command
from guppylm.checkpoint import RunFolder
from guppylm.errors import RunError
from guppylm.export.huggingface import export_huggingface, import_huggingface
from guppylm.fish import Fish, load
from guppylm.inference.sampling import SamplingConfig

transformers = pytest.importorskip("transformers")
PROMPTS = ["hello", "are you hungry", "i got you a rock", "GOOD day to you", "here is a new lamp", "what is that <|im_end|>"]


@pytest.fixture(scope="module")
def fish(trained: RunFolder) -> Fish:
    return load(trained.path)


@pytest.fixture(scope="module")
def exported(fish: Fish, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "fish"
    export_huggingface(fish, out)
    return out


def test_transformers_gives_the_same_logits_and_the_same_greedy_reply(fish: Fish, exported: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(exported).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    assert type(model).__name__ == "GPT2LMHeadModel"
    for prompt in PROMPTS[:-1]:
        chat = [{"role": "user", "content": prompt}]
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")["input_ids"]
        assert ids[0].tolist() == fish.tokenizer.render_prompt(prompt, fish.model.config.context)[0]
        with torch.inference_mode():
            assert torch.allclose(model(ids).logits, fish.model(ids), atol=1e-4)
        said = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=48)[0, ids.shape[1] :]
        text = tokenizer.decode(said, skip_special_tokens=True)
        assert text == fish.reply(prompt, sampling=SamplingConfig(temperature=0.0))


def test_a_typed_special_token_is_text_to_us_and_not_to_stock_tokenizers(fish: Fish, exported: Path) -> None:
    """The model card says so: what the export can't keep is stated."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    assert fish.tokenizer.end in tokenizer("what is that <|im_end|>")["input_ids"]
    assert fish.tokenizer.end not in fish.tokenizer.encode("what is that <|im_end|>")
    assert "special" in (exported / "README.md").read_text(encoding="utf-8")


def test_the_pipeline_talks(exported: Path) -> None:
    talk = transformers.pipeline("text-generation", model=str(exported))
    said = talk([{"role": "user", "content": "hello"}], do_sample=False, max_new_tokens=12)
    assert said[0]["generated_text"][-1]["role"] == "assistant"


def test_the_way_back_is_exact(fish: Fish, exported: Path) -> None:
    model, tokenizer = import_huggingface(exported)
    ours = fish.model.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in model.state_dict().items())
    assert tokenizer.encode("are you hungry") == fish.tokenizer.encode("are you hungry")


def test_the_way_back_is_strict(exported: Path, tmp_path: Path) -> None:
    def altered(name: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(exported, folder)
        return folder

    folder = altered("gelu")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"activation_function": "gelu_new"}))
    with pytest.raises(RunError, match="another architecture: activation_function is gelu_new, not relu"):
        import_huggingface(folder)

    folder = altered("lacking")
    tensors = load_file(folder / "model.safetensors")
    save_file({name: t for name, t in tensors.items() if "ln_f.bias" not in name}, folder / "model.safetensors")
    with pytest.raises(RunError, match=r"no exported fish.*ln_f\.bias"):
        import_huggingface(folder)

    folder = altered("more")
    save_file(tensors | {"transformer.h.9.stranger": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(RunError, match=r"has transformer\.h\.9\.stranger"):
        import_huggingface(folder)

    with pytest.raises(RunError, match="no exported fish"):
        import_huggingface(tmp_path / "nothing")


def test_the_command_exports_and_overwrites_nothing(command: Command, trained: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "hf"
    done = command("export", trained.path, "--to", "huggingface", "--out", out)
    assert done.returncode == 0, done.stderr
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= {path.name for path in out.iterdir()}
    before = (out / "model.safetensors").read_bytes()
    again = command("export", trained.path, "--out", out)
    assert again.returncode == 1
    assert "already holds something" in again.stderr
    assert (out / "model.safetensors").read_bytes() == before
    assert command("export", trained.path, "--to", "tape", "--out", tmp_path / "x").returncode == 2


def test_an_export_becomes_a_run_folder_again(command: Command, fish: Fish, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    done = command("import", exported, "--out", out)
    assert done.returncode == 0, done.stderr
    again = load(out)
    assert again.run.config() == fish.run.config()
    assert again.reply("are you hungry", seed=1) == fish.reply("are you hungry", seed=1)
    assert "already holds a run" in command("import", exported, "--out", out).stderr
    for reply in ("always.", "never in my life."):  # its data was left behind, and is drawn again
        assert again.remember("are you hungry", reply) == fish.remember("are you hungry", reply)
    foreign = tmp_path / "foreign"
    shutil.copytree(exported, foreign)
    told = json.loads((foreign / "guppylm.json").read_text())
    (foreign / "guppylm.json").write_text(json.dumps(told | {"model": told["model"] | {"layers": 7}}))
    assert "another model" in command("import", foreign, "--out", tmp_path / "x").stderr
    assert not (tmp_path / "x").exists()
