"""What one step of learning consists of: the optimizer's mathematics, the batches, the dials."""

from itertools import chain, repeat

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from guppylm.config import ModelConfig, TrainConfig, from_dict, preset
from guppylm.data.batches import Batches, collate, in_order
from guppylm.data.tokenizer import Rendered
from guppylm.evaluation.loss import reply_nats
from guppylm.training.clock import Clock, seconds_left, steps_in_time
from guppylm.training.loop import LOSS_SCALE, Update, first_layers, new_optimizer, update
from guppylm.training.optimizer import ADAM_BETAS, Optimizer, orthogonalise, schedule
from guppylm.training.run import fastest_precision, new_model
from guppylm.training.workers import Workers, workers_for


def test_orthogonalise_evens_out_all_directions() -> None:
    torch.manual_seed(0)
    for rows, columns in ((40, 40), (64, 32), (32, 64)):
        matrices = torch.randn(3, rows, columns)
        values = torch.linalg.svdvals(orthogonalise(matrices))
        assert torch.linalg.svdvals(matrices).max() > 5
        assert values.max() < 1.3
        assert values.median() > 0.6
        u, _, v = torch.linalg.svd(matrices, full_matrices=False)
        nearest = u @ v  # the orthogonal matrix with the same singular vectors
        likeness = (orthogonalise(matrices) * nearest).sum((1, 2)) / nearest.norm(dim=(1, 2)) ** 2
        assert (likeness > 0.7).all()


def test_adam_equals_torch_adam() -> None:
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(5, 3)) for _ in range(2))
    optimizer = Optimizer([("token_embedding.weight", ours)], 0.01, 0.003, 0.95)
    reference = torch.optim.Adam([theirs], lr=0.003, betas=ADAM_BETAS)
    for step in range(1, 6):
        ours.grad = torch.randn(5, 3)
        theirs.grad = ours.grad.clone()
        optimizer.step(step, 1.0)
        reference.step()
    assert torch.allclose(ours, theirs, atol=1e-7)


def test_only_the_matrices_of_the_blocks_go_to_muon() -> None:
    model = new_model(preset("fry"), 1)
    optimizer = Optimizer(model.named_parameters(), 0.01, 0.003, 0.95)
    assert all(".weight" in name and "norm" not in name for name in optimizer.matrices)
    assert {"token_embedding.weight", "position_embedding.weight"} <= optimizer.others.keys()
    assert len(optimizer.matrices) == 3 * 6
    with pytest.raises(RuntimeError, match="backward"):
        optimizer.step(1, 1.0)


def test_schedule_climbs_stays_then_falls_to_nothing() -> None:
    config = TrainConfig(steps=100, warmup_steps=10, decay=0.4)
    values = [schedule(step, config) for step in range(100)]
    assert values[:11] == sorted(values[:11])
    assert values[10:61] == [1.0] * 51
    assert values[60:] == sorted(values[60:], reverse=True)
    assert values[-1] == pytest.approx(1 / 40)
    assert max(schedule(step, TrainConfig(steps=3)) for step in range(3)) > 0
    late = TrainConfig(steps=100, shallow_steps=50, decay=0.4)
    assert [schedule(step, late) for step in (49, 50, 80, 90)] == [1.0, 0.6, 0.6, 0.3]  # decay: of the steps after those
    with pytest.raises(ValueError, match="shallow_steps is 100"):
        TrainConfig(steps=100, shallow_steps=100)


@given(st.lists(st.floats(0.01, 5), min_size=4, max_size=60), st.sampled_from([0.2, 0.5, 0.9]), st.booleans())
def test_a_run_by_the_clock_takes_the_steps_of_a_planned_one(seconds: list[float], decay: float, shallow: bool) -> None:
    now = 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("guppylm.training.clock.time.monotonic", lambda: now)
        clock = Clock(0.0, sum(seconds), shallow)
        config = TrainConfig(steps=500, shallow_steps=350 if shallow else 0, decay=decay)
        taken = []
        for step, duration in enumerate(chain(seconds, repeat(1.0))):  # as the loop does it, until the rates must fall
            taken.append((schedule(step, config), step < config.shallow_steps))
            now += duration
            config = clock.plan(step + 1, config)
            if clock.decided:
                break
    assert clock.decided
    assert config.steps >= len(taken)
    planned = [(schedule(number, config), number < config.shallow_steps) for number in range(len(taken))]
    assert [is_shallow for _, is_shallow in taken] == [is_shallow for _, is_shallow in planned]
    assert [rate for rate, _ in taken] == pytest.approx([rate for rate, _ in planned], abs=1e-12)


@pytest.mark.parametrize("shallow", [True, False])
def test_a_clock_whose_time_is_over_still_ends_the_run(shallow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preparing may take longer than the whole time: then there is a second to learn in."""
    now = 100.0
    monkeypatch.setattr("guppylm.training.clock.time.monotonic", lambda: now)
    clock, config = Clock(now, deadline=60.0, shallow=shallow), TrainConfig(steps=500, shallow_steps=350 if shallow else 0)
    for step in range(1, 100):
        now += 0.3
        config = clock.plan(step, config)
        if clock.decided:
            break
    assert clock.decided
    assert config.steps <= 8


def test_steps_in_time_of_a_steady_machine() -> None:
    assert steps_in_time(400, 0.5, decay=0.5) == 800
    assert steps_in_time(1, 3.0, decay=0.5) == 1  # the first step already took more than all the time
    assert steps_in_time(7, 0.01, decay=1.0) == 700


def test_the_time_left_knows_that_steps_get_dearer() -> None:
    config = TrainConfig(steps=100, shallow_steps=70)
    assert seconds_left(70, 60.0, config) == pytest.approx(60.0)  # seven tenths of the steps in half of the time
    assert seconds_left(35, 30.0, config) == pytest.approx(90.0)
    assert seconds_left(100, 120.0, config) == 0
    assert seconds_left(25, 10.0, TrainConfig(steps=100)) == pytest.approx(30.0)


def test_a_layer_that_has_learnt_nothing_need_not_run() -> None:
    model = new_model(preset("fry"), 1)
    ids = torch.arange(60).view(4, 15)
    whole = model(ids)
    with first_layers(model, 1):
        assert len(model.blocks) == 1
        assert torch.equal(model(ids), whole)
    assert len(model.blocks) == 3


def test_shallow_steps_teach_a_third_of_the_layers_and_the_others_join_in_later() -> None:
    config = TrainConfig(steps=4, shallow_steps=2, tokens_per_step=200)
    model, before = new_model(preset("fry"), 1), new_model(preset("fry"), 1)
    optimizer, batches = new_optimizer(model, config), Batches(rendered([12 + i % 9 for i in range(300)]), config, 128)

    def moved() -> set[str]:
        pairs = zip(model.named_parameters(), before.parameters(), strict=True)
        return {name.split(".")[1] for (name, now), then in pairs if name.startswith("blocks.") and not torch.equal(now, then)}

    update(model, optimizer, batches, config, 0)
    update(model, optimizer, batches, config, 1)
    assert moved() == {"0"}
    update(model, optimizer, batches, config, 2)
    assert moved() == {"0", "1", "2"}


def rendered(lengths: list[int]) -> list[Rendered]:
    return [Rendered(list(range(1, n + 1)), [False] * (n // 2) + [True] * (n - n // 2)) for n in lengths]


def test_batches_read_every_row_once_an_epoch_with_hardly_any_padding() -> None:
    lengths = [10 + (i * 7) % 20 for i in range(2000)]
    batches = Batches(rendered(lengths), TrainConfig(tokens_per_step=2000, batches_per_step=4, seed=3), context=128)
    seen: list[int] = []
    padding = tokens = step = 0
    while len(seen) < 2000:
        parts = batches[step]
        step += 1
        for batch in parts:
            seen += (batch.targets != 0).sum(1).add(1).tolist()
            padding += int((batch.targets == 0).sum())
            tokens += batch.targets.numel()
            assert batch.ids.numel() < 600
        if len(parts) == 4:
            assert parts[0].ids.shape[1] < parts[1].ids.shape[1] <= parts[2].ids.shape[1] < parts[3].ids.shape[1]
    assert sorted(seen) == sorted(lengths)
    assert padding / tokens < 0.05


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    rows = rendered([10 + i % 9 for i in range(300)])
    first, second, other = (Batches(rows, TrainConfig(tokens_per_step=200, seed=seed), 128) for seed in (1, 1, 2))
    far = 60  # in a later epoch
    forward = [[batch.ids.tolist() for batch in first[step]] for step in range(far + 1)]
    assert [batch.ids.tolist() for batch in second[far]] == forward[far]
    assert [batch.ids.tolist() for batch in second[3]] == forward[3]  # backwards too
    assert any([batch.ids.tolist() for batch in other[step]] != forward[step] for step in range(far))


def test_targets_are_the_next_token_and_count_in_replies_only() -> None:
    (batch,) = Batches(rendered([6]), TrainConfig(), 128)[0]
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5]]
    assert batch.targets.tolist() == [[2, 3, 4, 5, 6]]
    assert batch.counts.tolist() == [[False, False, True, True, True]]


def test_the_first_token_of_each_reply_weighs_what_the_config_says() -> None:
    batch = collate(
        [Rendered([1] * 7, [False, True, True, False, False, True, True]), Rendered([1] * 4, [False] * 2 + [True] * 2)]
    )
    assert batch.weights(4.0).tolist() == [4, 1, 4, 1, 4, 1]
    with pytest.raises(ValueError, match="first_token is 0"):
        TrainConfig(first_token=0)


@pytest.mark.parametrize("first", [1.0, 4.0])
def test_a_step_follows_the_weighted_mean_and_reports_the_plain_one(first: float) -> None:
    model = new_model(ModelConfig(vocabulary_size=64, context=16, layers=2, width=32, heads=2, mlp_width=64), 1)
    config = TrainConfig(steps=10, tokens_per_step=64, first_token=first)
    batches = Batches(rendered([8 + i % 5 for i in range(40)]), config, 16)
    read = batches[0]
    assert len(read) > 1
    nats = torch.cat([reply_nats(model, batch, "float32") for batch in read])
    weights = torch.cat([batch.weights(first) for batch in read])
    gradients = torch.autograd.grad((nats * weights).sum() / weights.sum(), list(model.parameters()))
    done = update(model, new_optimizer(model, config), batches, config, 0)
    assert float(done.loss) == pytest.approx(float(nats.detach().mean()), rel=1e-5)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, gradient, atol=1e-7)


def test_in_order_holds_each_row_once() -> None:
    batches = in_order(rendered([5, 9, 7, 30, 8]), 20)
    assert sorted(number for numbers, _ in batches for number in numbers) == [0, 1, 2, 3, 4]


def test_rows_longer_than_the_context_are_left_out() -> None:
    assert len(Batches(rendered([10, 40]), TrainConfig(), 32).rows) == 1
    with pytest.raises(ValueError, match="no conversation fits"):
        Batches(rendered([40]), TrainConfig(), 32)


def test_unknown_keys_are_refused() -> None:
    good = {"vocabulary_size": 64, "context": 128, "layers": 1, "width": 8, "heads": 2, "mlp_width": 8}
    assert from_dict(ModelConfig, good).layers == 1
    with pytest.raises(ValueError, match="has no 'dropout'"):
        from_dict(ModelConfig, {**good, "dropout": 0.1})
    with pytest.raises(ValueError, match="lacks 'layers'"):
        from_dict(ModelConfig, {name: value for name, value in good.items() if name != "layers"})
    with pytest.raises(ValueError, match="must be of type int"):
        from_dict(ModelConfig, {**good, "layers": "6"})
    with pytest.raises(ValueError, match="no preset 'whale'"):
        preset("whale")


def test_precision_is_one_that_the_config_knows() -> None:
    assert TrainConfig(precision=fastest_precision(torch.device("cpu")))
    with pytest.raises(ValueError, match="no precision"):
        TrainConfig(precision="float12")


def half_step(scale: float, monkeypatch: pytest.MonkeyPatch, precision: str) -> tuple[Update, dict[str, torch.Tensor], bool]:
    """One update of a small model: what it was like, the gradients, and whether any weight moved."""
    monkeypatch.setattr("guppylm.training.loop.LOSS_SCALE", scale)
    model = new_model(ModelConfig(vocabulary_size=64, context=16, layers=2, width=32, heads=2, mlp_width=64), 1)
    config = TrainConfig(steps=10, tokens_per_step=64, warmup_steps=1, precision=precision)
    rows = [Rendered([(7 * n + 3 * at) % 64 for at in range(9)], [at > 2 for at in range(9)]) for n in range(40)]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    done = update(model, new_optimizer(model, config), Batches(rows, config, 16), config, 0)
    moved = any(not torch.equal(p, before[name]) for name, p in model.named_parameters())
    return done, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, moved


def test_float16_needs_its_loss_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, exact, _ = half_step(1.0, monkeypatch, "float32")
    scaled, half, moved = half_step(LOSS_SCALE, monkeypatch, "float16")
    assert moved
    assert float(scaled.gradient_norm) == pytest.approx(float(whole.gradient_norm), rel=0.01)
    for name, gradient in exact.items():
        assert torch.allclose(half[name], gradient, atol=0.02 * float(gradient.abs().max()) + 1e-9), name
    lost = half_step(2.0**-24, monkeypatch, "float16")[1]
    assert float(lost["position_embedding.weight"].norm()) < 0.5 * float(exact["position_embedding.weight"].norm())


def test_a_step_whose_gradient_is_too_large_for_float16_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    done, _, moved = half_step(2.0**60, monkeypatch, "float16")
    assert not torch.isfinite(done.gradient_norm)
    assert not moved


def taught(workers: Workers, steps: int = 3) -> dict[str, torch.Tensor]:
    """The weights of a small model after some steps."""
    model = new_model(ModelConfig(vocabulary_size=64, context=16, layers=3, width=32, heads=2, mlp_width=64), 1)
    config = TrainConfig(steps=10, tokens_per_step=64, warmup_steps=1, shallow_steps=1)
    rows = [Rendered([(7 * n + 3 * at) % 64 for at in range(9)], [at > 2 for at in range(9)]) for n in range(40)]
    optimizer, batches = new_optimizer(model, config), Batches(rows, config, 16)
    with workers:
        for step in range(steps):
            update(model, optimizer, batches, config, step, workers)
    return model.state_dict()


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_workers_find_the_same_together_as_one_alone(count: int) -> None:
    threads = torch.get_num_threads()
    alone, together, again = (taught(workers) for workers in (Workers(), Workers(count), Workers(count)))
    for name, tensor in alone.items():
        assert torch.allclose(together[name], tensor, atol=1e-4), name
        assert torch.equal(together[name], again[name]), name
    assert torch.get_num_threads() == threads


def test_workers_deal_out_and_pass_errors_on() -> None:
    with Workers(2) as workers:
        assert workers.share(list, [1, 2, 3, 4, 5]) == [[1, 3, 5], [2, 4]]
        assert workers.share(list, [1]) == [[1]]
        with pytest.raises(ZeroDivisionError):
            workers.share(lambda numbers: 1 / numbers[0], [1, 0])
    assert workers.share(list, [1, 2, 3]) == [[1, 3], [2]]  # without threads, but dealt out as with them
    with pytest.raises(ValueError, match="0 workers"):
        Workers(0)
    assert workers_for(torch.device("cuda"), 4).count == 1
    assert workers_for(torch.device("cpu"), 1).count == 1
