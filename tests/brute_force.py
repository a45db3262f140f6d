"""What the inside algorithm computes, computed the slow way: every derivation of a template, one by one."""

from collections.abc import Iterator

from guppylm.data.grammar import Bindings, Choice, Node, Series, Slot, Tokens, Words, free_values


def derivations(node: Node, bindings: Bindings = ()) -> Iterator[tuple[Tokens, Bindings, float]]:
    """Every derivation of `node`: its tokens, bindings and probability."""
    if isinstance(node, Words):
        yield node.tokens, bindings, 1.0
    elif isinstance(node, Choice):
        for option, share in zip(node.options, node.probabilities, strict=True):
            for tokens, bound, p in derivations(option, bindings):
                yield tokens, bound, share * p
    elif isinstance(node, Slot):
        values = dict(bindings)
        if node.slot in values:
            yield values[node.slot], bindings, 1.0
        else:
            free = free_values(node, values)
            for value in free:
                yield value, (*bindings, (node.slot, value)), 1 / len(free)
    elif not node.parts:
        yield (), bindings, 1.0
    else:
        for head, bound, p in derivations(node.parts[0], bindings):
            for tail, all_bound, q in derivations(Series(node.parts[1:]), bound):
                yield head + tail, all_bound, p * q


def distribution(node: Node, bindings: Bindings = ()) -> dict[Tokens, float]:
    """Sentence -> probability, summed over its derivations."""
    sums: dict[Tokens, float] = {}
    for tokens, _, p in derivations(node, bindings):
        sums[tokens] = sums.get(tokens, 0.0) + p
    return sums
