"""What 8 bits a weight cost: the fish before and after, on the tests of his run.

python web/bench/quantised.py RUN
"""

import sys
from random import Random

from guppylm.evaluation.loss import loss_report
from guppylm.evaluation.rows import rows_of
from guppylm.evaluation.statistics import Share
from guppylm.export.onnx import divergence
from guppylm.export.onnx_weights import Layout
from guppylm.fish import Fish, load
from guppylm.inference.sampling import SamplingConfig
from guppylm.model import Transformer

ROWS, SEED = 1_000, 1


def main() -> None:
    """Measures and prints."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    fish = load(sys.argv[1])
    layout = Layout(fish.model.state_dict())
    small = layout.quantised(fish.model.state_dict())
    model = Transformer(fish.model.config).eval()
    model.load_state_dict(layout.dequantised(small))
    rounded = Fish(model, fish.tokenizer, fish.run)
    fresh, unseen = (
        Random(SEED).sample(rows, ROWS) for rows in (rows_of(fish.run, "test_fresh"), rows_of(fish.run, "test_unseen_ask"))
    )
    nats, tokens = divergence(fish.model, model, fish.tokenizer, fresh)
    print(f"{fish.run.path}: {ROWS:,} rows of test_fresh and of test_unseen_ask, replies with seed {SEED}")
    print(f"KL divergence from the float32 weights: {nats:.2g} nats a reply token ({tokens:,} tokens)")
    print("                float32    8 bits")
    print(f"bytes        {layout.f32_bytes:10,} {layout.q8_bytes:10,}")
    gaps = [loss_report(one.model, one.tokenizer, fresh).gap_nats for one in (fish, rounded)]
    print("gap, nats    " + " ".join(f"{gap:10.4f}" for gap in gaps))
    prompts = [row.prompt for row in unseen]
    for temperature in (0.0, 0.7):
        said = [one.reply_to_all(prompts, SEED, SamplingConfig(temperature)) for one in (fish, rounded)]
        shares = [Share.of(fish.memory.judge.on_topic(unseen, replies)) for replies in said]
        same = sum(one == other for one, other in zip(*said, strict=True))
        print(f"on_topic {temperature:.1f} " + " ".join(f"{share.value:10.3f}" for share in shares), end="")
        print(
            f"   ({same:,} of {ROWS:,} replies letter for letter the same; 95 % interval of the first "
            f"{shares[0].low:.3f} to {shares[0].high:.3f})"
        )


if __name__ == "__main__":
    main()
