"""The forward pass of a few tokens, as a graph for ONNX Runtime: a query is embedded half as fast again as by torch.

Batches are not (decision 44). The graph is made from the weights when they are loaded: no file is written, so none can
be stale. Only attention gets texts padded. The operators of the domain com.microsoft are those that ONNX Runtime's own
optimiser finds in a BERT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

_CONTRIBUTED = "com.microsoft"
# Smaller constants stand in the graph itself.
_LARGE = 1024

Array = npt.NDArray[Any]

INPUTS = {
    "ids": (TensorProto.INT64, ["rows"]),  # tokens, text after text
    "positions": (TensorProto.INT64, ["rows"]),  # of each token in its text
    "padded": (TensorProto.INT64, ["texts", "longest"]),  # of each padded place, its row, or any where there is none
    "places": (TensorProto.INT64, ["rows"]),  # of each row, its padded place
    "lengths": (TensorProto.INT32, ["texts"]),
    "mean": (TensorProto.FLOAT, ["texts", "rows"]),  # what each row counts in the mean of each text
}
OUTPUT = "vectors"
"""float32 ``[texts, width]``, of length 1."""


class FewTokens:
    """Token ids to normalised sentence vectors. Thread-safe; holds no interpreter lock."""

    def __init__(self, tensors: Mapping[str, Array], config: Mapping[str, Any]) -> None:
        """``tensors`` are float32, by the names of a BertModel."""
        self._session = _Graph(tensors, config).session()

    def __call__(self, texts: Sequence[Array]) -> Array:
        """int64 ``[tokens]`` of each text to float32 ``[texts, width]``."""
        lengths = np.array([len(ids) for ids in texts])
        is_token = np.arange(lengths.max()) < lengths[:, None]
        of, tokens = np.repeat(np.arange(len(texts)), lengths), lengths.sum()
        mean = np.zeros((len(texts), tokens), np.float32)
        mean[of, np.arange(tokens)] = 1 / lengths[of]
        given = {
            "ids": np.concatenate(texts),
            "positions": np.nonzero(is_token)[1],
            # Where there is no token stands the one before: what attention does not read must be finite.
            "padded": is_token.cumsum().reshape(is_token.shape) - 1,
            "places": np.flatnonzero(is_token),
            "lengths": lengths.astype(np.int32),
            "mean": mean,
        }
        vectors: Array = self._session.run(None, given)[0]
        return vectors


class _Graph:
    """Nodes and weights, put down in the order they are computed."""

    def __init__(self, tensors: Mapping[str, Array], config: Mapping[str, Any]) -> None:
        self._tensors = tensors
        self._heads: int = config["num_attention_heads"]
        self._width: int = config["hidden_size"]
        self._eps: float = config["layer_norm_eps"]
        self._nodes: list[Any] = []
        self._weights: dict[str, Array] = {}
        # Every token is of type 0 in a sentence encoder, so its type's vector is part of the position's.
        positions = (
            tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        words = self._op("Gather", self._of("embeddings.word_embeddings.weight"), "ids")
        places = self._op("Gather", self._weight("embeddings.places", positions), "positions")
        x = self._norm("embeddings.LayerNorm", words, places)
        for layer in range(config["num_hidden_layers"]):
            x = self._layer(f"encoder.layer.{layer}", x)
        self._op("LpNormalization", self._op("MatMul", "mean", x), to=[OUTPUT], axis=-1, p=2)

    def session(self) -> onnxruntime.InferenceSession:
        """Runs it, in the thread that calls; several may at once."""
        inputs = [helper.make_tensor_value_info(name, *what) for name, what in INPUTS.items()]
        output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["texts", self._width])
        large = {name: value for name, value in self._weights.items() if value.size > _LARGE}
        constants = [
            _named(name, value) if name in large else numpy_helper.from_array(value, name)
            for name, value in self._weights.items()
        ]
        graph = helper.make_graph(self._nodes, "bert", inputs, [output], constants)
        sets = [helper.make_opsetid("", 18), helper.make_opsetid(_CONTRIBUTED, 1)]
        model = helper.make_model(graph, opset_imports=sets, ir_version=9)
        options = onnxruntime.SessionOptions()
        # Two intra-op threads on contended cores collapse; parallelism comes from the inference threads.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # A pattern would be kept for every combination of lengths that ever came.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        options.add_external_initializers(
            list(large), [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in large.values()]
        )
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def _layer(self, name: str, x: str) -> str:
        """One transformer block; query, key and value are one product instead of three."""

        def qkv(kind: str) -> Array:
            parts = ("query", "key", "value")
            return np.concatenate([self._tensors[f"{name}.attention.self.{part}.{kind}"] for part in parts])

        product = self._op("MatMul", x, self._weight(f"{name}.qkv.weight", qkv("weight").T))
        three = [f"{name}.{part}" for part in ("query", "key", "value")]
        self._op("Split", self._op("Gather", product, "padded"), to=three, axis=2, num_outputs=3)
        bias = self._weight(f"{name}.qkv.bias", qkv("bias"))
        mixed = self._own("MultiHeadAttention", *three, bias, "lengths", num_heads=self._heads)
        flat = self._op("Reshape", mixed, self._weight("flat", np.array([-1, self._width], np.int64)))
        attended = self._product(f"{name}.attention.output.dense", self._op("Gather", flat, "places"))
        x = self._norm(f"{name}.attention.output.LayerNorm", attended, x, f"{name}.attention.output.dense.bias")
        wide = self._product(f"{name}.intermediate.dense", x)
        wide = self._own("BiasGelu", wide, self._of(f"{name}.intermediate.dense.bias"))
        narrow = self._product(f"{name}.output.dense", wide)
        return self._norm(f"{name}.output.LayerNorm", narrow, x, f"{name}.output.dense.bias")

    def _product(self, name: str, x: str) -> str:
        return self._op("MatMul", x, self._weight(f"{name}.weight", self._tensors[f"{name}.weight"].T))

    def _norm(self, name: str, x: str, beside: str, bias: str = "") -> str:
        """Layer normalisation of x + beside + bias."""
        weights = [self._of(weight) for weight in (f"{name}.weight", f"{name}.bias", *([bias] if bias else []))]
        return self._own("SkipLayerNormalization", x, beside, *weights, epsilon=self._eps)

    def _own(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return self._op(kind, *inputs, domain=_CONTRIBUTED, **attributes)

    def _op(self, kind: str, *inputs: str, to: list[str] | None = None, domain: str = "", **attributes: Any) -> str:
        outputs = to or [f"{kind}.{len(self._nodes)}"]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, domain=domain, **attributes))
        return outputs[0]

    def _of(self, name: str) -> str:
        return self._weight(name, self._tensors[name])

    def _weight(self, name: str, value: Array) -> str:
        self._weights[name] = np.ascontiguousarray(value)
        return name


def _named(name: str, value: Array) -> TensorProto:
    """What is given to the session beside the graph: nothing is copied into it."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=value.shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="beside")
    return tensor
