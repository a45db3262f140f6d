"""The tables that commands print."""

from rich.console import Console
from rich.table import Table

from guppylm.data.coverage import Coverage
from guppylm.evaluation.scorecard import Scorecard


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
    ):
        console.print(f"{label:42} {value}")
    for here, ask, there, other_ask in found.near_duplicate_asks[:20]:
        console.print(f"  {here}: {ask}   ~   {there}: {other_ask}")
    lone = [(turn, turn.lone_words) for turn in found.turns if turn.lone_words]
    if lone:
        console.print("\nwords without which an ask is lost, and which no other ask of its turn holds:")
        for turn, words in lone:
            console.print(f"  {turn.topic} / {turn.turn}: {', '.join(words)}")


def show_scorecard(card: Scorecard) -> None:
    """The figures of `guppylm eval`."""
    table = Table("figure", "value", "95 %", "rows", title=f"{card.run}")
    for name, loss in card.losses.items():
        reach = 1.96 * loss.gap_standard_error
        table.add_row(f"loss, {name} (nats a reply token)", f"{loss.loss_nats:.3f}", "", f"{loss.rows:,}")
        table.add_row(f"floor, {name}", f"{loss.floor_nats:.3f}")
        table.add_row(f"gap, {name}", f"{loss.gap_nats:.3f}", f"{loss.gap_nats - reach:.3f} to {loss.gap_nats + reach:.3f}")
        table.add_row(f"bits per byte, {name}", f"{loss.bits_per_byte:.3f}", end_section=True)
    for temperature, topic in card.on_topic.items():
        for label, share in (("", topic.share), (", prompts shuffled", topic.shuffled)):
            name = f"on_topic, test_unseen_ask, temperature {temperature}{label}"
            table.add_row(name, f"{share.value:.3f}", f"{share.low:.3f} to {share.high:.3f}", f"{share.count:,}")
    table.add_section()
    for name, echo in card.slot_echo.items():
        if echo is not None:
            table.add_row(f"slot_echo, {name}", f"{echo.value:.3f}", f"{echo.low:.3f} to {echo.high:.3f}", f"{echo.count:,}")
    table.add_section()
    shares = {f"{kind}, replies to test_fresh": share for kind, share in card.origins.items()}
    shares["remembered, samples of the grammar itself"] = card.grammar_remembered
    shares["in voice"] = card.in_voice
    for name, share in shares.items():
        table.add_row(name, f"{share.value:.3f}", f"{share.low:.3f} to {share.high:.3f}", f"{share.count:,}")
    table.add_row("distinct replies", f"{card.distinct_replies:,}", "", f"{card.origins['invented'].count:,}")
    table.add_row("distinct replies, the grammar itself", f"{card.grammar_distinct_replies:,}")
    console = Console()
    console.print(table)
    if card.confusion:
        console.print("replies off topic, commonest first:")
        for asked, answered, times in card.confusion[:10]:
            console.print(f"  {times:4} x  asked {asked!r}, answered {answered!r}", highlight=False, markup=False)
