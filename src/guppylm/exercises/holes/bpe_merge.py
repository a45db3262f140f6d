"""Write the function, then see how it does: guppylm exercise bpe-merge."""


def bpe_merge(tokens: list[str], pair: tuple[str, str]) -> list[str]:
    """The tokens after one merge: wherever `pair` stands, read from left to right, its two tokens become one.

    A tokenizer starts with single letters and does thousands of such merges, the commonest pair first. What is merged once
    can be half of a later pair.

        (..., a, b, ...) -> (..., ab, ...)      for pair = (a, b)

    >>> bpe_merge(["c", "a", "s", "t", "l", "e"], ("s", "t"))
    ['c', 'a', 'st', 'l', 'e']
    >>> bpe_merge(["ca", "st", "l", "e"], ("ca", "st"))
    ['cast', 'l', 'e']
    """
    raise NotImplementedError
