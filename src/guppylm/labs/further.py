"""The further labs: what is asked, what came out, and why. The lines that run are in dials.py, window.py and modern.py."""

from guppylm.labs import dials, modern
from guppylm.labs.lab import Lab
from guppylm.labs.window import ShortContext, windows

ONE_HEAD = Lab(
    name="one-head",
    title="One head for many",
    question="One attention head as wide as all heads together: as many weights, but each token can look one way only.",
    choices=("the gap is much larger", "no difference beyond the spread of seeds", "one wide head is better"),
    came=2,
    where="src/guppylm/config.py, ModelConfig.heads",
    why="A reply here hangs on one or two words of its prompt, and what one layer does not look at, the next one can. So one "
    "look at a time is enough to answer as well. And it is a little poorer at learning rows by heart, which these fries, who "
    "read each row three times, do too well: their training loss lies below the floor. In a task with more to look at, "
    "several heads win.",
    changed=dials.OneHead(),
    lesson=dials.learns_less_by_heart,
)

CONTEXT_8 = Lab(
    name="context-8",
    title="A context of eight tokens",
    question="It sees only the last eight tokens, its own words included. How does a reply begin, and how does it end?",
    choices=(
        "as ever: replies are short",
        "most fit; but who has forgotten the question goes on from his own words, and some go astray",
        "nothing fits: without the prompt there is no reply",
    ),
    came=1,
    where="src/guppylm/config.py, ModelConfig.context",
    why="What is not in the context does not exist for the model: it has no other memory. The first words of a reply still "
    "see the end of the prompt, and how a reply begins nearly says how it may end. Where it does not, any reply that begins "
    "like this will do.",
    changed=ShortContext(),
    lesson=dials.forgets_the_question,
    shown=(windows,),
)

TOO_FAST = Lab(
    name="learning-rate",
    title="A learning rate thirty times as high",
    question="Steps thirty times as long. Will it be there sooner?",
    choices=("sooner", "the loss becomes infinite", "the loss stays high: it steps over what it looks for"),
    came=2,
    where="src/guppylm/config.py, TrainConfig.matrix_learning_rate and learning_rate",
    why="A slope is true near the place where it was measured. Steps this long land beyond the valley, time and again, "
    "and only as the rate falls to zero does it settle, wherever it happens to be. Muon and LayerNorm keep the "
    "numbers finite: without them the loss would not be one.",
    changed=dials.TooFast(),
    lesson=dials.never_settles,
)

PROMPT_LOSS = Lab(
    name="prompt-loss",
    title="Loss on the prompt too",
    question="It is also asked to guess what people say. Does that help or hurt its replies?",
    choices=(
        "it helps: it learns more from each conversation",
        "no difference beyond the spread of seeds",
        "it hurts: it spends itself on what nobody asks of it",
    ),
    came=2,
    where="src/guppylm/data/tokenizer.py, Tokenizer.render_all: `is_reply`",
    why="A prompt has many more ways than a reply, and most of what there is to guess about it tells nothing of the answer. "
    "With loss on both, most of the gradient is about that. The gap of the replies is no larger for it, since fewer of them "
    "are learned by heart; but what it must understand to choose the right one it learns later. With more steps it may "
    "catch up: that is not measured.",
    changed=dials.PromptToo(),
    lesson=dials.answers_fewer,
)

LEAKED_TEST = Lab(
    name="leaked-test",
    title="A leaked test split",
    question="The questions of the test lie among the training conversations. What does the test say now?",
    choices=("the same: the model is the same size", "it praises the fish, who talks no better", "it gets worse"),
    came=1,
    where="src/guppylm/data/splits.py, and Conversations.rows, which keeps the tests out of training",
    why="A test measures something only as long as nobody has seen it. The asks of this one are now known, some of them "
    "word for word; nothing else about the fish has changed. Nobody can see that from the test itself, which is why a "
    "leak is so welcome.",
    changed=dials.Leaked(),
    lesson=dials.exam_flatters,
)

CAPITALS = Lab(
    name="capitals",
    title="Capitals without the normalizer",
    question="The tokenizer no longer makes letters small. The sheet has none. What happens to I GOT YOU A NEW CASTLE?",
    choices=("nothing", "it is not understood: capitals are other tokens", "an error: capitals are not in the vocabulary"),
    came=1,
    where="src/guppylm/data/tokenizer.py, Tokenizer.train: `lowercase`",
    why="A and a are different bytes, and no conversation held the first: its vector never moved since the weights were "
    "drawn. The normalizer makes both the same before the tokenizer sees them. A large model learns each word twice "
    "instead, from texts that hold both.",
    changed=dials.KeepsCapitals(),
    lesson=dials.cannot_read_capitals,
)

VOCABULARY_300 = Lab(
    name="vocabulary-300",
    title="A vocabulary of 300",
    question="Words fall into pieces of a letter or two. The loss is given for each token: what will it do, and is that good?",
    choices=(
        "it gets larger: spelling is hard",
        "it gets smaller, but bytes, not tokens, are the fair measure, and there it is worse",
        "it gets smaller, and the fish is better",
    ),
    came=1,
    where="src/guppylm/data/tokenizer.py, Tokenizer.train: `vocabulary_size`",
    why="How surprising a reply is does not depend on how it is cut, so more pieces share the same nats: losses a token "
    "can't be compared between tokenizers, losses a byte can. And for the same number of tokens it has read fewer "
    "conversations, in which the words that matter stand farther apart.",
    changed=dials.SmallVocabulary(),
    lesson=dials.spells_its_words,
)

WIDE_DEEP = Lab(
    name="wide-deep",
    title="Wider against deeper",
    question="The same number of weights as one wide layer, or as eight narrow ones. Which has the smaller gap?",
    choices=("the wide one", "the deep one", "no difference beyond the spread of seeds"),
    came=1,
    where="src/guppylm/config.py, ModelConfig.layers and width",
    why="A layer can look something up; it takes a second one to look up where the first one pointed. For this data that "
    "hardly counts: both answer equally well. What the deep one does less is learning rows by heart: its training loss is "
    "higher, and its loss on new rows lower.",
    plain=dials.Wide(),
    changed=dials.Deep(),
    lesson=dials.learns_less_by_heart,
    shown=(dials.as_large_as,),
)

MODERN = Lab(
    name="modern",
    title="Vanilla against RoPE, RMSNorm and SwiGLU",
    question="Parts of today's large models, with as many weights. After equal steps, and after equal seconds: who is ahead?",
    choices=("the modern one, both times", "the modern one after equal steps only", "no difference beyond seeds"),
    came=2,
    where="src/guppylm/model.py, all of it",
    why="These parts pay for themselves in models a thousand times larger and over texts a thousand times longer. A fry reads "
    "thirty tokens and looks back at one or two of them: learned places do, and so does ReLU. A step of the modern one takes "
    "somewhat longer here, since a fry is so small that the number of operations counts more than their size.",
    changed=modern.Modern(),
    lesson=dials.no_difference,
    shown=(modern.rotate, modern.RotaryAttention, modern.SwiGLU),
    same_seconds=True,
)

HALF = Lab(
    name="half-data",
    title="Half the data",
    question="4,000 conversations instead of 8,000, as many steps: each is read twice as often. Does it matter?",
    choices=("much", "a little, more on new asks than on known ones", "no difference beyond the spread of seeds"),
    came=0,
    where="src/guppylm/data/conversations.py, TRAIN_ROWS",
    why="All conversations come from the same templates, and 4,000 hold nearly all that 8,000 do. But each is read six times "
    "instead of three, and then the cheapest way to a low loss is to learn the rows themselves. The training loss falls far "
    "below the floor, which is the sign; on other rows it is sure of the wrong things.",
    changed=dials.HalfTheData(),
    lesson=dials.reads_too_often,
)

FURTHER = (ONE_HEAD, CONTEXT_8, TOO_FAST, PROMPT_LOSS, LEAKED_TEST, CAPITALS, VOCABULARY_300, WIDE_DEEP, MODERN, HALF)
