"""Templates: what they say, how likely, and what is wrong with the broken ones."""

import hashlib
import math
import re
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brute_force import derivations, distribution
from guppylm.data.grammar import Node, Parser, TemplateError, join, probability, readings, sample, split
from guppylm.data.overlap import SENTENCE_END, WORD, Overlap, clashes, clauses, longest, may_say, rarest

POOLS = {"object": ["castle", "rock", "old boot"], "food": ["flakes", "peas"], "prefix": ["a", "a b"], "suffix": ["c", "b c"]}
POOLS |= {"digit": ["1", "2", "3", "4", "5"]}
RULES = {"hey": "(hi|hello:2) [guppy] [,]", "twice": "<hey> <hey>"}


def parse(template: str) -> Node:
    return Parser(POOLS, RULES).parse(template)


@pytest.mark.parametrize(
    "template",
    [
        "a plain sentence, with punctuation. and don't forget the snail's clitic.",
        "(one|two:3|three:0.5) of them",
        "[maybe] [[seldom]] [one|two]",
        "a {object}. the {object} and a {object:other}.",
        "{object:other} before {object}",
        "<hey> <hey> [again|<hey>]",
        "(a|a|b) [a] [a]",  # many derivations of "a a"
        "{prefix} {suffix}",  # "a b c" in two ways
        "({object}|{food}) is {object}",
        "<twice>, {food}. {food:other}.",
    ],
)
def test_probabilities_equal_brute_force_and_sum_to_one(template: str) -> None:
    node = parse(template)
    expected = distribution(node)
    assert math.isclose(sum(expected.values()), 1.0)
    for tokens, p in expected.items():
        assert math.isclose(probability(node, tokens), p)
        assert split(join(tokens)) == tokens  # a sentence splits in one way only
    assert probability(node, ("no", "such", "sentence")) == 0.0


def test_given_bindings_condition_the_probability() -> None:
    node = parse("[look,] a {object}. {object:other}. {food}.")
    for value in (("rock",), ("old", "boot"), ("unheard", "of")):  # a bound word need not be in its pool
        bound = (("object", value),)
        expected = distribution(node, bound)
        assert math.isclose(sum(expected.values()), 1.0)
        for tokens, p in expected.items():
            assert math.isclose(probability(node, tokens, bound), p)


def test_a_repeated_pool_is_the_same_word_and_other_is_another() -> None:
    for tokens, _, _ in derivations(parse("{object} {object} {object:other}")):
        words = join(tokens).replace("old boot", "boot").split()
        assert words[0] == words[1] != words[2]


def test_ambiguous_sentence_sums_over_its_readings() -> None:
    found = readings(parse("{prefix} {suffix}"), ("a", "b", "c"))
    assert {join(dict(bound)["prefix"]): p for bound, p in found.items()} == {"a": 0.25, "a b": 0.25}


def test_weights_and_optionals_have_their_stated_probability() -> None:
    assert probability(parse("(a:3|b)"), ("a",)) == 0.75
    assert probability(parse("[a] b"), ("b",)) == 0.5
    assert probability(parse("[a|b] c"), ("a", "c")) == 0.25


def test_sampling_follows_the_probabilities() -> None:
    node = parse("(a:3|b) [c] {food}")
    drawn = Counter(tuple(sample(node, stream)) for stream in [Random(7)] for _ in range(20_000))
    for tokens, p in distribution(node).items():
        assert abs(drawn[tokens] / 20_000 - p) < 4 * math.sqrt(p * (1 - p) / 20_000)


def test_sampling_gives_the_same_bytes_everywhere() -> None:
    """Pinned: another machine, Python version or hash seed must draw exactly this."""
    node, stream = parse("<hey> (look:2|see) a {object}, {object:other} [and {food}]"), Random(2026)
    text = "\n".join(join(sample(node, stream)) for _ in range(1000))
    assert hashlib.sha256(text.encode()).hexdigest() == "9d8470f1fb5c8be18e8828e08124ab86e87270c2dc319dac6c280201e6c7c46e"


def test_templates_are_normalised() -> None:
    assert sample(parse("HeLLo Cafe\u0301"), Random(1)) == ["hello", "caf\u00e9"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("(a|b", "never closed"),
        ("a|b)", "outside brackets"),
        ("a]", "never opened"),
        ("(a|)", "write [words]"),
        ("[]", "write [words]"),
        ("a | b", "outside brackets"),
        ("{unknown}", "unknown slot {unknown}"),
        ("{objct}", "did you mean object?"),
        ("<unknown>", "unknown rule <unknown>"),
        ("{", "unbalanced"),
        ("bubble[s]", "no space between a bracket and a word"),
        ("{object}{food}", "no space between a bracket and a word"),
        ("hello ,you", "no space stands before punctuation"),
        ("", "empty"),
        ("(a:0|b)", "weight of 0"),
    ],
)
def test_broken_templates_say_what_is_wrong(template: str, said: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(said)):
        parse(template)


def test_a_rule_must_not_call_itself() -> None:
    with pytest.raises(TemplateError, match="<a> -> <b> -> <a>"):
        Parser({}, {"a": "x <b>", "b": "[y] <a>"}).parse("<a>")


def test_other_needs_a_second_word() -> None:
    with pytest.raises(TemplateError, match="only one"):
        Parser({"lonely": ["word"]}, {}).parse("{lonely} {lonely:other}")


WORDS = st.sampled_from(["a", "b", "c", ",", "."])


def nodes() -> st.SearchStrategy[str]:
    """Random templates, kept small so that brute force can follow."""
    leaf = st.one_of(WORDS, st.sampled_from(["{object}", "{food}", "{object:other}", "<hey>", "{prefix}", "{suffix}"]))
    leaf |= st.sampled_from(["{digit}", "{digit:other}"])
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(" ".join),
            st.lists(inner, min_size=1, max_size=3).map(lambda options: "(" + "|".join(options) + ")"),
            st.tuples(inner, st.integers(1, 5), inner).map(lambda t: f"({t[0]}:{t[1]}|{t[2]})"),
            inner.map(lambda option: f"[{option}]"),
        ),
        max_leaves=6,
    )


@given(nodes())
def test_random_templates_agree_with_brute_force(template: str) -> None:
    try:
        node = parse(template)
    except TemplateError:
        return  # "a ,": random words need not make a template
    expected = distribution(node)
    assert math.isclose(sum(expected.values()), 1.0)
    assert math.isclose(sum(probability(node, tokens) for tokens in expected), 1.0)
    assert all(math.isclose(probability(node, tokens), p) for tokens, p in expected.items())
    counts = [sum(bool(WORD.fullmatch(token)) for token in tokens) for tokens in expected]
    assert longest(node, WORD) >= max(counts)
    ends = [sum(bool(SENTENCE_END.fullmatch(token)) for token in tokens) for tokens in expected]
    assert longest(node, SENTENCE_END) >= max(ends)
    drawn = tuple(sample(node, Random(template)))
    assert probability(node, drawn) > 0
    assert all(not clause.isdisjoint(tokens) for tokens in expected for clause in clauses(node))
    assert all(may_say(node, frozenset(tokens)) for tokens in expected)
    assert rarest(node) <= min(expected.values()) * (1 + 1e-9)


@given(nodes(), nodes())
def test_clash_finds_exactly_the_shared_prompts(first: str, second: str) -> None:
    try:
        a, b = parse(first), parse(second)
    except TemplateError:
        return
    shared = distribution(a).keys() & distribution(b).keys()
    found = Overlap().clash(a, b, same_turn=False)
    assert (found is not None) == bool(shared)
    assert found is None or found in shared
    differ = told_apart_by_nothing(a, b)
    assert (Overlap().clash(a, b, same_turn=True) in differ) == bool(differ)


def told_apart_by_nothing(a: Node, b: Node) -> set[tuple[str, ...]]:
    """The prompts that `a` and `b` can both say, with other bindings."""
    bound_a = {(tokens, tuple(sorted(bound))) for tokens, bound, _ in derivations(a)}
    bound_b = {(tokens, tuple(sorted(bound))) for tokens, bound, _ in derivations(b)}
    return {t for t, x in bound_a for u, y in bound_b if t == u and x != y}


@given(st.lists(st.tuples(nodes(), st.integers(1, 2)), min_size=2, max_size=5))
def test_no_clash_is_lost_before_the_walk(templates: list[tuple[str, int]]) -> None:
    try:
        asks = [parse(template) for template, _ in templates]
    except TemplateError:
        return
    turns = [turn for _, turn in templates]
    expected = set()
    for first, a in enumerate(asks):
        for second, b in list(enumerate(asks))[first:]:
            same = turns[first] == turns[second]
            if told_apart_by_nothing(a, b) if same else distribution(a).keys() & distribution(b).keys():
                expected.add((first, second))
    assert {(first, second) for first, second, _ in clashes(asks, turns)} == expected


def test_which_of_two_words_was_meant_is_a_clash() -> None:
    asks = [parse("{digit} and {digit:other}"), parse("{digit:other} and {digit}")]
    assert [(first, second) for first, second, _ in clashes(asks, ["sum", "sum"])] == [(0, 1)]
    assert not list(clashes(asks[:1] * 2, ["sum", "sum"]))
