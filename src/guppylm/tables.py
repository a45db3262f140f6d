"""The tables that commands print."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from guppylm.data.coverage import Coverage
from guppylm.evaluation.comparison import differences
from guppylm.evaluation.own import OwnScorecard
from guppylm.evaluation.scorecard import Scorecard
from guppylm.evaluation.statistics import Share


def show_coverage(found: Coverage) -> None:
    """The figures of `guppylm check`."""
    console = Console(highlight=False, markup=False)
    table = Table("topic", "turns", "asks", "says", "skeletons", "distinct replies", "entropy (nats)", title=found.character)
    for topic, skeletons in found.skeletons.items():
        turns = [turn for turn in found.turns if turn.topic == topic]
        entropies = [turn.entropy_nats for turn in turns]
        asks, says = sum(turn.asks for turn in turns), sum(turn.says for turn in turns)
        replies = sum(turn.distinct_replies for turn in turns)
        spread = f"{min(entropies):.1f} to {max(entropies):.1f}"
        table.add_row(topic, f"{len(turns)}", f"{asks}", f"{says}", f"{skeletons}", f"{replies}", spread)
    console.print(table)
    rare, usual = found.sentence_exposures
    for label, value in (
        ("topics, turns, asks, says", f"{found.topics}, {len(found.turns)}, {found.asks:,}, {found.says:,}"),
        (f"distinct prompts in {found.rows:,} rows", f"{found.distinct_prompts:,}"),
        ("distinct pairs", f"{found.distinct_pairs:,}"),
        ("distinct replies", f"{found.distinct_replies:,}"),
        ("  words of pools blanked", f"{found.distinct_replies_without_fillers:,}"),
        ("distinct say text, in words and marks", f"{found.say_tokens:,}"),
        ("distinct sentences in the replies", f"{found.sentences:,}"),
        ("  met in so many rows, half of them", f"{usual:,} or less"),
        ("  met in so many rows, a tenth of them", f"{rare:,} or less"),
        ("tokens that occur in the rows", f"{found.vocabulary_in_train:,} of {found.vocabulary:,}"),
        ("longest reply, in tokens", f"{found.longest_reply_tokens}"),
        ("longest conversation, in tokens", f"{found.longest_conversation_tokens}"),
        ("words that stand in one say only", f"{len(found.words_in_one_say):,}"),
        ("asks of two topics that are nearly alike", f"{len(found.near_duplicate_asks)}"),
        ("prompts clear from the words of other asks", f"{found.clarity:.1%}"),
    ):
        console.print(f"{label:42} {value}")
    for here, ask, there, other_ask in found.near_duplicate_asks[:20]:
        console.print(f"  {here}: {ask}   ~   {there}: {other_ask}")
    least_clear = sorted(found.turns, key=lambda turn: turn.clarity)[:5]
    console.print(
        "\nthe least clear turns, their least clear asks, and what those are taken for by their words (--json has all):"
    )
    for turn in least_clear:
        console.print(f"  {turn.clarity:.2f}  {turn.topic} / {turn.turn}")
        unclear = [put for put in found.unclear_asks if (put.topic, put.turn) == (turn.topic, turn.turn)]
        for put in sorted(unclear, key=lambda put: put.share)[:3]:
            console.print(f"    {put.share:.2f}  {put.ask}   ->   {', '.join(put.taken_for[:2])}")


def show_scorecard(card: Scorecard) -> None:
    """The figures of `guppylm eval`."""
    table = Table("figure", "value", "95 %", "rows", title=f"{card.run}")
    for name, loss in card.losses.items():
        reach = 1.96 * loss.gap_standard_error
        table.add_row(f"loss, {name} (nats a reply token)", f"{loss.loss_nats:.3f}", "", f"{loss.rows:,}")
        table.add_row(f"floor, {name}", f"{loss.floor_nats:.3f}")
        table.add_row(f"gap, {name}", f"{loss.gap_nats:.3f}", f"{loss.gap_nats - reach:.3f} to {loss.gap_nats + reach:.3f}")
        table.add_row(f"bits per byte, {name}", f"{loss.bits_per_byte:.3f}", end_section=True)
    shares: dict[str, Share | None] = {}
    for temperature, share in card.on_topic.items():
        shares[f"on_topic, test_unseen_ask, temperature {temperature}"] = share
        shares[f"  the same replies dealt to other prompts, {temperature}"] = card.on_topic_shuffled[temperature]
    shares["on_topic, the prompts in capitals, 0.7"] = card.uppercase_on_topic
    shares["on_topic, a typing error in each, 0.7"] = card.typo_on_topic
    shares |= {f"slot_echo, {name}": share for name, share in card.slot_echo.items()}
    shares |= {f"{kind}, replies to test_fresh": share for kind, share in card.origins.items()}
    shares["remembered, samples of the grammar itself"] = card.grammar_remembered
    shares["in voice"] = card.in_voice
    for name, found in shares.items():
        if found is not None:
            table.add_row(name, f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}", f"{found.count:,}")
    table.add_row("distinct replies", f"{card.distinct_replies:,}", "", f"{card.origins['invented'].count:,}")
    table.add_row("distinct replies, the grammar itself", f"{card.grammar_distinct_replies:,}")
    if card.tokens_per_second is not None:
        table.add_row("tokens a second, one reply at a time", f"{card.tokens_per_second:.0f}")
    console = Console(highlight=False, markup=False)
    console.print(table)
    worst = sorted(card.topics, key=lambda topic: topic.on_topic.value)[:10]
    console.print("topics understood worst (on_topic at temperature 0.7, gap on test_fresh):")
    for topic in worst:
        console.print(f"  {topic.topic:26} {topic.on_topic.value:.2f} of {topic.on_topic.count:3}   {topic.gap_nats:.3f}")
    if card.confusion:
        console.print("replies off topic, commonest first:")
        for asked, answered, times in card.confusion[:10]:
            console.print(f"  {times:4} x  asked {asked!r}, answered {answered!r}")
    console.print("most surprising replies of test_fresh (nats under the model, under the grammar):")
    for row in card.surprising[:5]:
        console.print(f"  {row.nats:5.1f} {row.floor_nats:5.1f}  {row.prompt} -> {row.reply}")


def show_comparison(cards: Sequence[Scorecard]) -> None:
    """The figures of several runs side by side; what differs from the first beyond chance bears a star."""
    table = Table("figure", *(card.run for card in cards), title="runs compared with the first, 95 % intervals")
    for name, columns in differences(cards).items():
        cells = []
        for figure, difference in columns:
            cell = "-" if figure is None else f"{figure.value:.3f}"
            if difference is not None:
                star = " *" if difference.beyond_chance else ""
                cell += f"  {difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}){star}"
            cells.append(cell)
        table.add_row(name, *cells)
    Console(highlight=False, markup=False).print(table)
    print("* the interval leaves out zero; of twenty such comparisons one does so by luck")


def show_own(cards: Sequence[OwnScorecard]) -> None:
    """The figures of runs on conversations or text of one's own, side by side."""
    table = Table("figure", *(f"{card.run} ({card.kind})" for card in cards), title="floor unknown: no grammar made this data")
    for name in dict.fromkeys(name for card in cards for name in card.losses):
        losses = [card.losses.get(name) for card in cards]
        table.add_row(f"loss, {name} (nats a token)", *(f"{loss.loss_nats:.3f}" if loss else "-" for loss in losses))
        table.add_row(f"bits per byte, {name}", *(f"{loss.bits_per_byte:.3f}" if loss else "-" for loss in losses))
        table.add_row(f"rows, {name}", *(f"{loss.rows:,}" if loss else "-" for loss in losses), end_section=True)
    for label, shares in (
        ("replies that stand in a row it has read", [card.remembered for card in cards]),
        ("the same of the test's own replies", [card.test_remembered for card in cards]),
    ):
        if any(shares):
            told = [f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" if one else "-" for one in shares]
            table.add_row(label, *told)
    if any(card.distinct_replies is not None for card in cards):
        table.add_row("distinct replies", *("-" if c.distinct_replies is None else f"{c.distinct_replies:,}" for c in cards))
    table.add_row("tokens a second, one reply at a time", *(f"{card.tokens_per_second:.0f}" for card in cards))
    Console(highlight=False, markup=False).print(table)
    print("train is what it has read: the further below the others it lies, the more has been learned by heart")
