"""The model as two ONNX graphs, built node by node: what model.py says in PyTorch, said once more in another language.

Neither graph holds weights. Both name theirs as the model does and point at the same bytes of one file, `weights.f32`, so
that whoever runs both needs them in memory once. Any number of texts side by side, any length up to the context.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from guppylm.config import ModelConfig
from guppylm.export.onnx_weights import Layout

OPSET, IR_VERSION = 17, 8  # the first with LayerNormalization, and the file format of its time: read everywhere
WEIGHTS_FILE = "weights.f32"
EPSILON = 1e-5  # nn.LayerNorm's own

Shape = Sequence[str | int]


def chat_graph(config: ModelConfig, layout: Layout) -> bytes:
    """For talking. Inputs: the new `ids` (batch, time) and `past`, the keys and values of all tokens before them.

    `past` (layers, 2, batch, heads, past, head width) is 0 long at first, and after that the `present` of the call before.
    Outputs: `logits` (batch, vocabulary) after the last of `ids`, and `present`, as `past` but past + time long.
    """
    graph = _Graph(config, layout)
    past = graph.op("Squeeze", graph.op("Shape", "past", start=4, end=5))
    total = graph.op("Add", past, graph.time)
    places = graph.op("Range", past, total, graph.whole(1))
    hidden = graph.mask(places, total)
    x = graph.op("Add", graph.embed("token_embedding", "ids"), graph.embed("position_embedding", places))
    presents = []
    for layer in range(config.layers):
        block = f"blocks.{layer}"
        before = graph.op("Gather", "past", graph.whole(layer), axis=0)  # (2, batch, heads, past, head width)
        q, k, v = graph.query_key_value(block, graph.norm(f"{block}.attention_norm", x))
        k, v = (
            graph.op("Concat", graph.op("Gather", before, graph.whole(which), axis=0), new, axis=2)
            for which, new in enumerate((k, v))
        )
        stacked = (graph.op("Unsqueeze", one, graph.wholes([0, 1])) for one in (k, v))
        presents.append(graph.op("Concat", *stacked, axis=1))
        pattern = graph.op("Softmax", graph.scores(q, k, hidden), axis=-1)
        x = graph.op("Add", x, graph.attention_output(block, graph.op("MatMul", pattern, v)))
        fired = graph.op("Relu", graph.linear(f"{block}.mlp.input", graph.norm(f"{block}.mlp_norm", x)))
        x = graph.op("Add", x, graph.linear(f"{block}.mlp.output", fired))
    graph.op("Concat", *presents, axis=0, name="present")
    last = graph.norm("final_norm", graph.op("Gather", x, graph.whole(-1), axis=1))  # (batch, width)
    graph.op("Gemm", last, graph.weight("token_embedding.weight"), transB=1, name="logits")
    cache: Shape = (config.layers, 2, "batch", config.heads)
    return graph.finished(
        "chat",
        inputs=[
            graph.value("ids", TensorProto.INT64, ("batch", "time")),
            graph.value("past", TensorProto.FLOAT, (*cache, "past", graph.head_width)),
        ],
        outputs=[
            graph.value("logits", TensorProto.FLOAT, ("batch", config.vocabulary_size)),
            graph.value("present", TensorProto.FLOAT, (*cache, "past + time", graph.head_width)),
        ],
    )


def glass_graph(config: ModelConfig, layout: Layout) -> bytes:
    """For looking inside. Inputs: `ids` (batch, time), and gates that are all 1 in the model as it was trained:

    `heads` (batch, layers, heads): times this, what a head mixed goes into the output matrix. 0 is an ablation of the head.
    `mlps` (batch, layers): times this, an MLP's output is added, its bias too. 0 is an ablation of the MLP.
    `causal` (): 1 hides the future; 0, or anything below one half, lets every token see all.
    `positions_on` (): times this, the position embedding is added. 0 takes the order of the tokens away.

    Outputs: every activation under its name in `Look.activations`, with a batch in front (but not at `positions`).
    """
    graph = _Graph(config, layout)
    places = graph.op("Range", graph.whole(0), graph.time, graph.whole(1))
    all_seen = graph.op("Less", "causal", graph.number(0.5))
    hidden = graph.mask(places, graph.time, all_seen)
    tokens = graph.embed("token_embedding", "ids", name="tokens")
    order = graph.op("Mul", graph.embed("position_embedding", places), "positions_on", name="positions")
    x = graph.op("Add", tokens, order, name="embedded")
    for layer in range(config.layers):
        block = f"blocks.{layer}"
        inner = f"{block}.attention"
        q, k, v = graph.query_key_value(block, graph.norm(f"{block}.attention_norm", x), named=True)
        scores = graph.scores(q, k, hidden, name=f"{inner}.scores")
        pattern = graph.op("Softmax", scores, axis=-1, name=f"{inner}.pattern")
        mixed = graph.op("MatMul", pattern, v, name=f"{inner}.mixed")
        gate = graph.op("Gather", "heads", graph.whole(layer), axis=1)  # (batch, heads)
        mixed = graph.op("Mul", mixed, graph.op("Unsqueeze", gate, graph.wholes([2, 3])))
        added = graph.attention_output(block, mixed, name=f"{block}.attention_added")
        x = graph.op("Add", x, added, name=f"{block}.residual_middle")
        before = graph.linear(f"{block}.mlp.input", graph.norm(f"{block}.mlp_norm", x), name=f"{block}.mlp.before")
        worked = graph.linear(f"{block}.mlp.output", graph.op("Relu", before, name=f"{block}.mlp.fired"))
        gate = graph.op("Gather", "mlps", graph.whole(layer), axis=1)  # (batch)
        added = graph.op("Mul", worked, graph.op("Unsqueeze", gate, graph.wholes([1, 2])), name=f"{block}.mlp_added")
        x = graph.op("Add", x, added, name=f"{block}.residual")
    graph.spell(graph.norm("final_norm", x), name="logits")
    return graph.finished(
        "glass",
        inputs=[
            graph.value("ids", TensorProto.INT64, ("batch", "time")),
            graph.value("heads", TensorProto.FLOAT, ("batch", config.layers, config.heads)),
            graph.value("mlps", TensorProto.FLOAT, ("batch", config.layers)),
            graph.value("causal", TensorProto.FLOAT, ()),
            graph.value("positions_on", TensorProto.FLOAT, ()),
        ],
        outputs=[graph.value(name, TensorProto.FLOAT, shape) for name, shape in activation_shapes(config).items()],
    )


def activation_shapes(config: ModelConfig) -> dict[str, Shape]:
    """The outputs of `glass_graph`, in the order in which they arise."""
    stream: Shape = ("batch", "time", config.width)
    head: Shape = ("batch", config.heads, "time", config.width // config.heads)
    square: Shape = ("batch", config.heads, "time", "time")
    detectors: Shape = ("batch", "time", config.mlp_width)
    shapes: dict[str, Shape] = {"tokens": stream, "positions": ("time", config.width), "embedded": stream}
    for layer in range(config.layers):
        inside = {"q": head, "k": head, "v": head, "scores": square, "pattern": square, "mixed": head}
        shapes |= {f"blocks.{layer}.attention.{name}": shape for name, shape in inside.items()}
        shapes |= {f"blocks.{layer}.{name}": stream for name in ("attention_added", "residual_middle")}
        shapes |= {f"blocks.{layer}.mlp.{name}": detectors for name in ("before", "fired")}
        shapes |= {f"blocks.{layer}.{name}": stream for name in ("mlp_added", "residual")}
    return shapes | {"logits": ("batch", "time", config.vocabulary_size)}


class _Graph:
    """Collects nodes. Each method adds some and returns the name of what comes out."""

    def __init__(self, config: ModelConfig, layout: Layout) -> None:
        self.config = config
        self.layout = layout
        self.head_width = config.width // config.heads
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.weights: dict[str, onnx.TensorProto] = {}
        self.size = self.op("Shape", "ids")  # (batch, time)
        self.time = self.op("Gather", self.size, self.whole(1), axis=0)
        self.stream_shape = self.op("Concat", self.size, self.wholes([-1]), axis=0)
        self.head_shape = self.op("Concat", self.size, self.wholes([config.heads, self.head_width]), axis=0)

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def whole(self, value: int) -> str:
        return self._constant(f"int_{value}", np.array(value, np.int64))

    def wholes(self, values: Sequence[int]) -> str:
        return self._constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self._constant(f"float_{value}", np.array(value, np.float32))

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self.constants[name] = numpy_helper.from_array(value, name)
        return name

    def weight(self, name: str) -> str:
        """A tensor of the model: its name, shape and place, but none of its numbers."""
        spec = self.layout.tensors[name]
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=spec.shape, data_location=TensorProto.EXTERNAL)
        for key, value in {"location": WEIGHTS_FILE, "offset": spec.f32_offset, "length": spec.bytes}.items():
            tensor.external_data.add(key=key, value=str(value))
        self.weights[name] = tensor
        return name

    def embed(self, module: str, ids: str, name: str = "") -> str:
        return self.op("Gather", self.weight(f"{module}.weight"), ids, axis=0, name=name)

    def norm(self, module: str, x: str) -> str:
        scale, bias = (self.weight(f"{module}.{kind}") for kind in ("weight", "bias"))
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)

    def linear(self, module: str, x: str, name: str = "") -> str:
        weight, bias = (self.weight(f"{module}.{kind}") for kind in ("weight", "bias"))
        return self._rows_times(x, weight, bias, name=name)

    def spell(self, x: str, name: str = "") -> str:
        return self._rows_times(x, self.weight("token_embedding.weight"), name=name)

    def _rows_times(self, x: str, *weights: str, name: str) -> str:
        """Gemm takes a matrix as PyTorch stores it, (out, in), but only rows (batch * time, in) to multiply it with."""
        inside = self.layout.tensors[weights[0]].shape[1]
        rows = self.op("Gemm", self.op("Reshape", x, self.wholes([-1, inside])), *weights, transB=1)
        return self.op("Reshape", rows, self.stream_shape, name=name)

    def query_key_value(self, block: str, x: str, named: bool = False) -> list[str]:
        """Three times (batch, heads, time, head width)."""
        heads = []
        for part in ("query", "key", "value"):
            split = self.op("Reshape", self.linear(f"{block}.attention.{part}", x), self.head_shape)
            name = f"{block}.attention.{part[0]}" if named else ""
            heads.append(self.op("Transpose", split, perm=[0, 2, 1, 3], name=name))
        return heads

    def mask(self, places: str, total: str, all_seen: str = "") -> str:
        """(time, total): 0 where a token at one of `places` may look, else minus infinity."""
        columns = self.op("Range", self.whole(0), total, self.whole(1))
        allowed = self.op("LessOrEqual", columns, self.op("Unsqueeze", places, self.wholes([1])))
        if all_seen:
            allowed = self.op("Or", allowed, all_seen)
        return self.op("Where", allowed, self.number(0.0), self.number(-math.inf))

    def scores(self, q: str, k: str, hidden: str, name: str = "") -> str:
        meeting = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        return self.op("Add", self.op("Div", meeting, self.number(math.sqrt(self.head_width))), hidden, name=name)

    def attention_output(self, block: str, mixed: str, name: str = "") -> str:
        side_by_side = self.op("Reshape", self.op("Transpose", mixed, perm=[0, 2, 1, 3]), self.stream_shape)
        return self.linear(f"{block}.attention.output", side_by_side, name=name)

    def value(self, name: str, kind: int, shape: Shape) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    def finished(self, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> bytes:
        """The bytes of the .onnx file; the same for the same config, always."""
        held = [*self.weights.values(), *self.constants.values()]
        graph = helper.make_graph(self.nodes, name, inputs, outputs, held)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="guppylm")
        return model.SerializeToString(deterministic=True)
