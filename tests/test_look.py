"""What `guppylm look` shows: a page that holds the numbers it shades, asks for nothing and believes no text."""

import json
import re
from pathlib import Path

import pytest
import torch

from conftest import Command
from guppylm.checkpoint import RunFolder
from guppylm.fish import Fish, load
from guppylm.interpretability.lens import Look, look
from guppylm.interpretability.page import look_html
from test_report import Page

TEXT = "i got you a castle"
EVIL = "</title><script>alert('fish')</script>\x1b[31m \u202e"


@pytest.fixture(scope="module")
def fish(trained: RunFolder) -> Fish:
    return load(trained.path)


@pytest.fixture(scope="module")
def seen(fish: Fish) -> Look:
    return look(fish.model, fish.tokenizer, TEXT)


def test_the_page_is_whole_asks_for_nothing_and_believes_no_text(fish: Fish) -> None:
    view = look(fish.model, fish.tokenizer, EVIL)
    text = look_html(view)
    page = Page(text)  # checks that elements close where they were opened
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "form"})
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(|src=", text)
    assert all(name in page.ids for name in re.findall(r'href="#([^"]+)"', text))
    assert len(set(page.ids)) == len(page.ids) == text.count("<h2")
    castle = look_html(look(fish.model, fish.tokenizer, TEXT, "a castle"))
    assert f"<title>Inside: {TEXT} → a castle</title>" in castle
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_page_holds_each_number_for_eyes_and_ears(seen: Look) -> None:
    text = look_html(seen)
    time, heads = len(seen.ids), 3 * 4
    assert text.count("<details>") == heads
    cells = re.findall(r'<td style="--share:(\d+)" title="([^"]*): ([\d.]+)">(.*?)</td>', text)
    assert len(cells) == heads * time * (time + 1) // 2 + 4 * time  # maps, and the lens at the start and after each layer
    for share, _, number, shown in cells:
        assert f'<span class="hidden">{number}</span>' in shown
        assert abs(float(number) - int(share) / 100) < 0.006
    numbers = [float(number) for _, _, number, _ in cells[: time * (time + 1) // 2]]
    rows, columns = torch.tril_indices(time, time)
    assert torch.allclose(torch.tensor(numbers), seen.attention[0, 0, rows, columns], atol=6e-4)
    words = Page(text).text
    for token, shown in zip(seen.ids, seen.texts, strict=True):
        assert f"{shown} id {token}" in words
    for guess in seen.guesses():
        assert f"{guess.text} {guess.token} {guess.probability:.3f}" in words
    logit = float(seen.activations["logits"][-1].max())
    assert f"together {logit:+.2f}" in words


def test_look_prints_writes_and_reports(command: Command, trained: RunFolder, fish: Fish, tmp_path: Path) -> None:
    told = command("look", trained.path, TEXT)
    assert told.returncode == 0, told.stderr
    for word in ("<|im_start|>user␤", "head 3", "blocks.2.residual", "likeliest next tokens"):
        assert word in told.stdout
    written = command("look", trained.path, TEXT, "--html", "look.html")
    assert written.stdout.strip() == "look.html"
    assert f"Inside: {TEXT}" in (tmp_path / "look.html").read_text(encoding="utf-8")
    as_json = json.loads(command("look", trained.path, TEXT, "--reply", "a", "--json").stdout)
    assert as_json["tokens"][-1]["text"] == "a"
    assert len(as_json["attention"]) == 3
    logit = sum(as_json["contributions"]["to_logit"].values())
    logits = look(fish.model, fish.tokenizer, TEXT, "a").activations["logits"]
    assert logit == pytest.approx(float(logits[-1].max()), rel=1e-4)
    assert as_json["next"][0]["token"] == int(logits[-1].argmax())


def test_look_refuses_what_it_cannot_read(command: Command, trained: RunFolder, tmp_path: Path) -> None:
    for arguments, status, words in (
        (["nowhere", "hi"], 1, "no run folder nowhere"),
        ([trained.path, " "], 2, "nothing to reply to"),
        (["i", "am", "here"], 2, "quotation marks"),
        ([trained.path, "hi", "--reply", "so " * 200], 2, "can't be read at once"),
        ([trained.path, "hi", "--html", tmp_path / "no" / "look.html"], 1, "choose another file with --html"),
    ):
        done = command("look", *arguments)
        assert done.returncode == status, done.stderr
        assert words in " ".join(done.stderr.split())
