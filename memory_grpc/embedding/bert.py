"""A plain BERT sentence encoder: the forward pass of Transformer(BertModel) + mean pooling + normalise, and no more.

Most small sentence-transformers models, the default one among them, are exactly this. Reading the weights directly
starts in a fraction of the time and memory that importing transformers and sentence-transformers takes (see
``bench/embedding.py``), and one short text costs little more than its matrix products. Any other architecture
goes through sentence-transformers; the tests hold this module to ``SentenceTransformer.encode`` within 1e-5.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from .tokens import TokenWindows

MODULES = ("Transformer", "Pooling", "Normalize")

FEW_ROWS = 64
"""Up to so many tokens are few: one text, mostly."""


class Linear:
    """x · weightᵀ + bias, and GELU of that where asked; x is ``[rows, width]``.

    On a CPU the weight is packed once into the layout that oneDNN multiplies with, instead of by every product, and
    GELU comes with the product. In fp32 few rows are quicker without that, by a weight that lies as they read it.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, gelu: bool = False) -> None:
        self._bias = bias
        self._gelu = gelu
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, FEW_ROWS) if can_pack(weight) else None
        self._plain = None if packs_few(weight) else weight.t().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        if self._packed is not None and (self._plain is None or x.shape[0] > FEW_ROWS):
            name, algorithm = ("gelu", "none") if self._gelu else ("none", "")
            product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, name, [], algorithm)
            return product
        assert self._plain is not None, "what is not packed is plain"
        product = torch.addmm(self._bias, x, self._plain)
        return functional.gelu(product) if self._gelu else product


@dataclass(frozen=True, slots=True)
class Norm:
    weight: Tensor
    bias: Tensor
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class Batch:
    """Where the tokens of texts of several lengths are, one text after the other; attention alone needs them padded.

    Everything else works token by token, so that padding costs nothing there. ``rows`` may be more than there are
    tokens; the rows at the end mean nothing.
    """

    def __init__(self, lengths: Sequence[int], rows: int, device: torch.device) -> None:
        self._shape = len(lengths), max(lengths)
        self._tokens = sum(lengths)
        self._lengths = torch.tensor(lengths, device=device)
        places = torch.arange(self._shape[1], device=device)
        is_token = places < self._lengths[:, None]
        self.mask = is_token[:, None, None, :] if min(lengths) < max(lengths) else None
        """bool ``[texts, 1, 1, longest]``, true for tokens; None when all texts are of one length."""
        self._is_dense = self.mask is None and rows == self._tokens
        spare = rows - self._tokens
        self.positions = functional.pad(places.expand(self._shape)[is_token], (0, spare))
        """Of each row in its text."""
        if not self._is_dense:
            # A padded place repeats some token: it must be finite, and the mask hides it.
            self._rows = is_token.flatten().cumsum(0) - 1
            self._places = functional.pad(is_token.flatten().nonzero().flatten(), (0, spare))

    def spread(self, x: Tensor) -> Tensor:
        """``[rows, width]`` to ``[texts, longest, width]``."""
        return (x if self._is_dense else x.index_select(0, self._rows)).view(*self._shape, -1)

    def gather(self, x: Tensor) -> Tensor:
        """``[texts, longest, width]`` to ``[rows, width]``."""
        flat = x.view(-1, x.shape[2])
        return flat if self._is_dense else flat.index_select(0, self._places)

    def mean(self, x: Tensor) -> Tensor:
        """The mean of each text's rows: ``[rows, width]`` to ``[texts, width]``."""
        padded = self.spread(x)
        if self.mask is None:
            return padded.mean(dim=1)
        return (padded * self.mask.view(*self._shape, 1)).sum(dim=1) / self._lengths[:, None]


@dataclass(frozen=True, slots=True)
class Layer:
    """One transformer block; query, key and value are one product instead of three."""

    heads: int
    qkv: Linear
    attended: Linear
    attended_norm: Norm
    wide: Linear
    narrow: Linear
    narrow_norm: Norm

    def __call__(self, x: Tensor, batch: Batch) -> Tensor:
        width = x.shape[1]
        qkv = batch.spread(self.qkv(x))
        n, length, _ = qkv.shape
        q, k, v = qkv.view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=batch.mask)
        x = self.attended_norm(self.attended(batch.gather(mixed.transpose(1, 2).reshape(n, length, width))) + x)
        return self.narrow_norm(self.narrow(self.wide(x)) + x)


class BertEncoder:
    """Token ids to normalised sentence vectors."""

    def __init__(self, tensors: dict[str, Tensor], config: dict[str, Any], dimensions: int) -> None:
        self.dimensions = dimensions
        eps = config["layer_norm_eps"]

        def linear(name: str, *, gelu: bool = False) -> Linear:
            return Linear(tensors[f"{name}.weight"], tensors[f"{name}.bias"], gelu=gelu)

        def norm(name: str) -> Norm:
            return Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps)

        def layer(name: str) -> Layer:
            parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
            return Layer(
                config["num_attention_heads"],
                Linear(*(torch.cat([tensors[f"{part}.{kind}"] for part in parts]) for kind in ("weight", "bias"))),
                linear(f"{name}.attention.output.dense"),
                norm(f"{name}.attention.output.LayerNorm"),
                linear(f"{name}.intermediate.dense", gelu=True),
                linear(f"{name}.output.dense"),
                norm(f"{name}.output.LayerNorm"),
            )

        self._words = tensors["embeddings.word_embeddings.weight"]
        self._packs, self._packs_few = can_pack(self._words), packs_few(self._words)
        # Every token is of type 0 in a sentence encoder, so its type's vector is part of the position's.
        self._positions = (
            tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = norm("embeddings.LayerNorm")
        self._layers = [layer(f"encoder.layer.{i}") for i in range(config["num_hidden_layers"])]

    def __call__(self, ids: Tensor, lengths: Sequence[int]) -> Tensor:
        """int64 ``[tokens]``, text after text, and the tokens of each text, to ``[texts, dimensions]``."""
        rows = self._rows(len(ids))
        batch = Batch(lengths, rows, ids.device)
        ids = functional.pad(ids, (0, rows - len(ids)))
        x = self._norm(functional.embedding(ids, self._words) + self._positions[batch.positions])
        for layer in self._layers:
            x = layer(x, batch)
        return functional.normalize(batch.mean(x.float()), dim=1)

    def _rows(self, tokens: int) -> int:
        """How many rows to work with. oneDNN compiles its code for every number of them, which takes milliseconds and
        megabytes: they have to be few."""
        if not (self._packs if tokens > FEW_ROWS else self._packs_few):
            return tokens
        step = 8 if tokens <= 2 * FEW_ROWS else 16
        return -(-tokens // step) * step


def load(folder: Path, device: torch.device, dtype: torch.dtype) -> tuple[BertEncoder, TokenWindows] | None:
    """The encoder in ``folder`` and its windows, or None when the model there is not a plain BERT sentence encoder."""
    modules = _json(folder / "modules.json")
    if not isinstance(modules, list) or tuple(m["type"].rpartition(".")[2] for m in modules) != MODULES:
        return None
    config, pooling = _json(folder / "config.json"), _json(folder / modules[1]["path"] / "config.json")
    sentence, prompts = _json(folder / "sentence_bert_config.json"), _json(folder / "config_sentence_transformers.json")
    weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
    plain = (
        modules[0]["path"] == ""
        and config.get("model_type") == "bert"
        and config.get("hidden_act") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder", False)
        and _mean(pooling)
        and isinstance(sentence.get("max_seq_length"), int)
        and not sentence.get("do_lower_case", False)
        and not prompts.get("default_prompt_name")
        and weights.is_file()
        and tokenizer.is_file()
    )
    if not plain:
        return None
    tensors = {
        name: t.to(device=device, dtype=dtype) for name, t in load_file(weights).items() if t.is_floating_point()
    }
    if not {"embeddings.word_embeddings.weight", "encoder.layer.0.attention.self.query.weight"} <= tensors.keys():
        return None
    windows = TokenWindows(
        Tokenizer.from_file(str(tokenizer)),
        min(sentence["max_seq_length"], config["max_position_embeddings"]),
        config.get("pad_token_id") or 0,
    )
    return BertEncoder(tensors, config, config["hidden_size"]), windows


def can_pack(weight: Tensor) -> bool:
    """Whether oneDNN is there and multiplies numbers of this type on this CPU."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return weight.dtype is torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def packs_few(weight: Tensor) -> bool:
    """Whether packed weights are the quickest for few rows too."""
    return can_pack(weight) and weight.dtype is not torch.float32


def _mean(pooling: dict[str, Any]) -> bool:
    """Mean pooling and nothing else, in either spelling of the pooling module's configuration."""
    if "pooling_mode" in pooling:
        return bool(pooling["pooling_mode"] == "mean")
    modes = {key for key, value in pooling.items() if key.startswith("pooling_mode_") and value}
    return modes == {"pooling_mode_mean_tokens"}


def _json(file: Path) -> Any:
    """The file's content, or an empty mapping when there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
