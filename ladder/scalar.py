"""The whole of deep learning on one page: the transformer of model.py, one number at a time, in plain Python.

Every number is a `Value` that remembers which numbers it was computed from. So the loss knows its whole history, and can
be asked: if this weight were a little larger, how much would you change? That is the gradient, and learning is nothing
but stepping against it. src/guppylm/model.py computes the same, many numbers at a time: tests/test_ladder.py compares all.

    python ladder/scalar.py      trains on six conversations in under a minute, then answers them
"""

import math
import time
from collections.abc import Sequence
from operator import mul
from random import Random


class Value:
    """A number, the numbers it was computed from, and how much it changes with each of those (its slopes)."""

    __slots__ = ("data", "grad", "parts", "slopes")

    def __init__(self, data: float, parts: Sequence["Value"] = (), slopes: Sequence[float] = ()) -> None:
        self.data = data
        self.grad = 0.0  # d loss / d self, once `backward` was called on the loss
        self.parts = parts
        self.slopes = slopes  # d self / d part, for each of the parts

    def __add__(self, other: "Value | float") -> "Value":
        if isinstance(other, Value):
            return Value(self.data + other.data, (self, other), (1.0, 1.0))
        return Value(self.data + other, (self,), (1.0,))

    def __mul__(self, other: "Value | float") -> "Value":
        if isinstance(other, Value):
            return Value(self.data * other.data, (self, other), (other.data, self.data))
        return Value(self.data * other, (self,), (other,))

    def __pow__(self, power: float) -> "Value":
        return Value(self.data**power, (self,), (power * self.data ** (power - 1),))

    def exp(self) -> "Value":
        """The exponential function is its own slope."""
        data = math.exp(self.data)
        return Value(data, (self,), (data,))

    def log(self) -> "Value":
        """The natural logarithm."""
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def relu(self) -> "Value":
        """Itself if it is positive, else zero."""
        return Value(max(0.0, self.data), (self,), (float(self.data > 0),))

    def backward(self) -> None:
        """Adds to the `grad` of every value in this one's history how fast this one changes with it: the chain rule.

        Backwards, since a value must know its own gradient in full before it passes it on to its parts.
        """
        order: list[Value] = []  # parts before what is made of them
        seen: set[Value] = set()
        todo = [(self, False)]
        while todo:
            value, parts_are_done = todo.pop()
            if parts_are_done:
                order.append(value)
            elif value not in seen:
                seen.add(value)
                todo.append((value, True))
                todo.extend((part, False) for part in value.parts)
        self.grad = 1.0
        for value in reversed(order):
            for part, slope in zip(value.parts, value.slopes, strict=True):
                part.grad += slope * value.grad


Vector = list[Value]
Matrix = list[Vector]  # a list of rows


def total(values: Sequence[Value]) -> Value:
    """The sum."""
    return Value(sum(value.data for value in values), values, [1.0] * len(values))


def dot(a: Sequence[Value], b: Sequence[Value]) -> Value:
    """The sum of the products. It could be written with * and +; as one value it is many times as fast."""
    left, right = [value.data for value in a], [value.data for value in b]
    return Value(sum(map(mul, left, right)), (*a, *b), (*right, *left))


def add(a: Vector, b: Vector) -> Vector:
    """Two vectors, number by number."""
    return [x + y for x, y in zip(a, b, strict=True)]


def layer_norm(x: Vector, gain: Vector, bias: Vector) -> Vector:
    """The vector shifted to mean 0 and stretched to variance 1, then to what gain and bias say (Ba et al., 2016)."""
    mean = total(x) * (-1 / len(x))
    centred = [value + mean for value in x]
    stretch = (dot(centred, centred) * (1 / len(x)) + 1e-5) ** -0.5
    return [value * stretch * g + b for value, g, b in zip(centred, gain, bias, strict=True)]


def softmax(scores: Vector) -> Vector:
    """Scores to shares: all positive, their sum one, the largest score with the largest share."""
    largest = max(score.data for score in scores)  # taken off every score: it changes no share, and exp can't overflow
    powers = [(score + -largest).exp() for score in scores]
    whole = total(powers) ** -1
    return [power * whole for power in powers]


class Transformer:
    """Token ids in, a score for every possible next token out. Names and shapes are those of src/guppylm/model.py."""

    def __init__(
        self, vocabulary: int, context: int, layers: int, width: int, heads: int, mlp_width: int, seed: int = 1
    ) -> None:
        self.context, self.heads, self.blocks = context, heads, [f"blocks.{layer}" for layer in range(layers)]
        self.parameters: dict[str, Matrix] = {}  # a bias or a gain is a matrix of one row
        random = Random(seed)

        def new(name: str, rows: int, columns: int, spread: float, mean: float = 0.0) -> None:
            self.parameters[name] = [[Value(random.gauss(mean, spread)) for _ in range(columns)] for _ in range(rows)]

        def new_linear(name: str, rows: int, columns: int, spread: float) -> None:
            new(f"{name}.weight", rows, columns, spread)
            new(f"{name}.bias", 1, rows, 0.0)

        def new_norm(name: str) -> None:
            new(f"{name}.weight", 1, width, 0.0, mean=1.0)
            new(f"{name}.bias", 1, width, 0.0)

        new("token_embedding.weight", vocabulary, width, 0.02)
        new("position_embedding.weight", context, width, 0.02)
        for block in self.blocks:
            new_norm(f"{block}.attention_norm")
            for name in ("query", "key", "value"):
                new_linear(f"{block}.attention.{name}", width, width, width**-0.5)
            new_linear(f"{block}.attention.output", width, width, 0.0)  # zero: a block begins as a plain wire
            new_norm(f"{block}.mlp_norm")
            new_linear(f"{block}.mlp.input", mlp_width, width, width**-0.5)
            new_linear(f"{block}.mlp.output", width, mlp_width, 0.0)
        new_norm("final_norm")

    def forward(self, ids: Sequence[int]) -> list[Vector]:
        """For each of `ids`, the logits (vocabulary) of the token that comes after it."""
        tokens, places = self.parameters["token_embedding.weight"], self.parameters["position_embedding.weight"]
        xs = [add(tokens[token], places[place]) for place, token in enumerate(ids)]  # (time, width): the residual stream
        for block in self.blocks:
            added = self._attention(f"{block}.attention", [self._norm(f"{block}.attention_norm", x) for x in xs])
            xs = [add(x, more) for x, more in zip(xs, added, strict=True)]
            xs = [add(x, self._mlp(f"{block}.mlp", self._norm(f"{block}.mlp_norm", x))) for x in xs]
        xs = [self._norm("final_norm", x) for x in xs]
        return [[dot(x, token) for token in tokens] for x in xs]  # the embedding again: the two are tied

    def loss(self, ids: Sequence[int], is_reply: Sequence[bool]) -> Value:
        """Mean surprise at the tokens that are part of the reply, in nats: the cross-entropy."""
        guesses = zip(self.forward(ids[:-1]), ids[1:], is_reply[1:], strict=True)
        logs = [softmax(logits)[target].log() for logits, target, counts in guesses if counts]
        return total(logs) * (-1 / len(logs))

    def numbers(self) -> Vector:
        """All parameters, one after the other."""
        return [number for matrix in self.parameters.values() for row in matrix for number in row]

    def _linear(self, name: str, x: Vector) -> Vector:
        """One number for each row of the weights: how much `x` looks like that row, and a constant."""
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"][0]
        return [dot(x, row) + b for row, b in zip(weight, bias, strict=True)]

    def _norm(self, name: str, x: Vector) -> Vector:
        return layer_norm(x, self.parameters[f"{name}.weight"][0], self.parameters[f"{name}.bias"][0])

    def _attention(self, name: str, xs: list[Vector]) -> list[Vector]:
        """Each token asks (query), is found (key), and hands something over (value). It never sees those after it."""
        queries, keys, values = ([self._linear(f"{name}.{part}", x) for x in xs] for part in ("query", "key", "value"))
        size = len(xs[0]) // self.heads
        results = []
        for now in range(len(xs)):
            mixed: Vector = []  # what each head takes over, side by side
            for head in range(self.heads):
                mine = slice(head * size, (head + 1) * size)
                pattern = softmax([dot(queries[now][mine], key[mine]) * size**-0.5 for key in keys[: now + 1]])
                columns = zip(*(value[mine] for value in values[: now + 1]), strict=True)
                mixed += [dot(pattern, column) for column in columns]
            results.append(self._linear(f"{name}.output", mixed))
        return results

    def _mlp(self, name: str, x: Vector) -> Vector:
        return self._linear(f"{name}.output", [value.relu() for value in self._linear(f"{name}.input", x)])


class Adam:
    """Steps against the gradient, each number at a pace of its own (Kingma and Ba, 2015)."""

    def __init__(self, numbers: Vector, learning_rate: float) -> None:
        self.numbers, self.learning_rate, self.steps = numbers, learning_rate, 0
        self.means, self.squares = [0.0] * len(numbers), [0.0] * len(numbers)

    def step(self) -> None:
        """Moves every number by its gradient's mean over the root of its mean square, then forgets the gradient."""
        self.steps += 1
        for place, number in enumerate(self.numbers):
            self.means[place] += 0.1 * (number.grad - self.means[place])
            self.squares[place] += 0.01 * (number.grad**2 - self.squares[place])
            mean = self.means[place] / (1 - 0.9**self.steps)  # both began at zero: what that took away is given back
            square = self.squares[place] / (1 - 0.99**self.steps)
            number.data -= self.learning_rate * mean / (math.sqrt(square) + 1e-8)
            number.grad = 0.0


CONVERSATIONS = (
    ("are you hungry", "always ."),
    ("i got you a castle", "a castle . it is approved ."),
    ("i got you a rock", "a rock . it is approved ."),
    ("do you like the castle", "the castle may stay ."),
    ("do you like the rock", "the rock may stay ."),
    ("goodbye", "leave the light on ."),
)


def main(steps: int = 240) -> None:
    """Trains on one conversation a step and prints how the loss sinks; then answers every prompt."""
    texts = [[*prompt.split(), "<reply>", *reply.split(), "<end>"] for prompt, reply in CONVERSATIONS]
    words = sorted({word for text in texts for word in text})
    model = Transformer(len(words), context=max(map(len, texts)), layers=2, width=16, heads=2, mlp_width=32)
    optimizer = Adam(model.numbers(), learning_rate=0.01)
    print(f"{len(optimizer.numbers):,} parameters, {len(words)} words; to know nothing is {math.log(len(words)):.2f} nats")
    began, losses = time.perf_counter(), []
    for step in range(steps):
        text = texts[step % len(texts)]
        is_reply = [place > text.index("<reply>") for place in range(len(text))]
        loss = model.loss([words.index(word) for word in text], is_reply)
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
        if (step + 1) % 24 == 0:
            mean = sum(losses[-len(texts) :]) / len(texts)
            print(f"step {step + 1:3}  {mean:.3f} nats: a fair die with {math.exp(mean):4.1f} sides  {'█' * round(mean * 12)}")
    print(f"after {time.perf_counter() - began:.0f} s, always taking the likeliest word:")
    for prompt, _ in CONVERSATIONS:
        said = [*prompt.split(), "<reply>"]
        while said[-1] != "<end>" and len(said) < model.context:
            logits = model.forward([words.index(word) for word in said])[-1]
            said.append(max(zip(words, logits, strict=True), key=lambda pair: pair[1].data)[0])
        print("  " + " ".join(said))


if __name__ == "__main__":
    main()
