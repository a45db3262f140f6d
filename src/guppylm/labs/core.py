"""The six core labs: what is asked, what came out, and why. The lines that change a part are in parts.py."""

from guppylm.labs import parts
from guppylm.labs.dials import TwoHundred, learns_by_heart
from guppylm.labs.lab import Lab

NO_MASK = Lab(
    name="no-mask",
    title="No causal mask",
    question="Attention may now look ahead, at the very tokens that it has to guess. What happens to the training loss, "
    "and what will it say?",
    choices=(
        "the loss falls faster, and it speaks better: it knows more",
        "the loss falls below the floor, and it speaks garbage",
        "the loss stays high: the future confuses it",
    ),
    came=1,
    where="src/guppylm/model.py, Attention: the buffer `mask` that is added to the scores",
    why="The answer stood in plain sight one place to the right, so copying it was all that it had to learn. When it speaks "
    "there is nothing to the right. A loss below the floor is never good news: somebody has seen the answers.",
    changed=parts.NoMask(),
    lesson=parts.learns_to_peek,
    core=True,
)

NO_POSITIONS = Lab(
    name="no-positions",
    title="No positions",
    question="No token is told where it stands. Attention itself does not care about order: it is a weighted sum. Will the "
    "fish still put its words in order?",
    choices=(
        "no: it says the right words in any order",
        "hardly: every second sentence is broken",
        "yes: it talks nearly as well",
    ),
    came=2,
    where="src/guppylm/model.py, Transformer: `positions`, which is added to each token's vector",
    why="Order gets in by the back door. The causal mask shows every token a different number of tokens before it, and from "
    "that the first layer can tell where it is (Haviv et al., 2022, “Transformer Language Models without Positional Encodings "
    "Still Learn Positional Information”). Without the mask as well, a prompt would be a bag of words.",
    changed=parts.NoPositions(),
    lesson=parts.order_is_not_lost,
    core=True,
)

NO_ATTENTION = Lab(
    name="no-attention",
    title="No attention",
    question="No token hears of any other: each works on itself alone. What is left?",
    choices=(
        "replies in good English that have nothing to do with the prompt",
        "broken chains of words: each word follows from the one before it, and the prompt is not heard",
        "nothing: without attention no word follows any other",
    ),
    came=1,
    where="src/guppylm/model.py, Block: `attention_added`, the first half of what a block adds",
    why="What comes next is now a function of the last token and its place: a table of pairs, like ladder/count.py. A pair of "
    "words is often right, and a sentence hardly ever. Attention is the only part through which tokens meet.",
    changed=parts.NoAttention(),
    lesson=parts.does_not_hear,
    core=True,
)

NO_MLP = Lab(
    name="no-mlp",
    title="No MLP",
    question="A third of the weights, all of the detectors, go. Tokens still exchange. How much worse is it?",
    choices=(
        "much: it no longer talks",
        "somewhat: the gap is larger, but it talks and mostly answers",
        "not at all",
    ),
    came=1,
    where="src/guppylm/model.py, Block: `mlp_added`, the second half of what a block adds",
    why="Which reply fits which prompt is mostly a matter of which words stood in it, and attention with its values and "
    "outputs can look that up. The MLP makes it sharper. In large models, MLPs hold the facts; a fish knows few.",
    changed=parts.NoMLP(),
    lesson=parts.talks_without_thinking,
    core=True,
)

NO_NORM_NO_RESIDUAL = Lab(
    name="no-norm-no-residual",
    title="No LayerNorm and no residual",
    question="The same attention and the same MLPs, but each replaces what it was given instead of adding to it, and nothing "
    "keeps the numbers in range. Only three layers deep: does it still learn?",
    choices=(
        "yes, as well as before: it has all its weights",
        "yes, but slower: the loss is about twice as high, and most sentences come apart",
        "hardly: it learns which tokens are common, and little more",
    ),
    came=1,
    where="src/guppylm/model.py, Block.forward: `x + ...` and the norms inside it",
    why="A token's own vector has to squeeze through every layer's average over others, and its gradient has to come back the "
    "same way. With a residual stream, both have a free road, and each part need only add its own remark (He et al., 2015, "
    "“Deep Residual Learning”). Three layers, and an optimizer whose steps do not depend on how strong a gradient is, still "
    "get somewhere; we had expected them not to.",
    changed=parts.NoNormNoResidual(),
    lesson=parts.learns_slowly,
    shown=(parts.Bare,),
    core=True,
)

OVERFIT = Lab(
    name="overfit",
    title="Overfit 200 conversations",
    question="As many steps as ever, but on 200 conversations instead of 8,000, each read many times. What do the two loss "
    "curves do, on what it reads and on what it does not?",
    choices=(
        "both fall lower: a small lesson is learnt better",
        "both stay higher: there is too little to learn from",
        "the training loss falls below the floor, the validation loss turns around and climbs",
    ),
    came=2,
    where="src/guppylm/data/conversations.py: how many rows training reads",
    why="It stopped learning Guppy and began to learn the list. The floor shows it before any test: on text that nobody can "
    "foresee so well, a loss below the floor means that it was foreseen because it was seen.",
    changed=TwoHundred(),
    lesson=learns_by_heart,
    core=True,
)

CORE = (NO_MASK, NO_POSITIONS, NO_ATTENTION, NO_MLP, NO_NORM_NO_RESIDUAL, OVERFIT)
