"""A plain BERT sentence encoder: the weights of Transformer(BertModel) + mean pooling + normalise, for bert_forward.py.

Most small sentence-transformers models, the default one among them, are exactly this. Reading the weights directly
starts in a fraction of the time and memory that importing transformers and sentence-transformers takes (see
``bench/embedding.py``), and one short text costs little more than its matrix products. Any other architecture
goes through sentence-transformers; the tests hold this module to ``SentenceTransformer.encode`` within 1e-5.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from .bert_forward import FEW_ROWS, Forward, Layer, Linear, Norm, compiled
from .bert_graph import FewTokens
from .prompts import Prompts
from .tokens import TokenWindows

MODULES = ("Transformer", "Pooling", "Normalize")


class BertEncoder:
    """Token ids to normalised sentence vectors."""

    def __init__(self, tensors: dict[str, Tensor], config: dict[str, Any], dimensions: int) -> None:
        self.dimensions = dimensions
        eps = config["layer_norm_eps"]

        def linear(name: str, *, gelu: bool = False) -> Linear:
            return Linear(tensors[f"{name}.weight"], tensors[f"{name}.bias"], gelu)

        def norm(name: str) -> Norm:
            return Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps)

        def layer(name: str) -> Layer:

            def qkv(kind: str) -> Tensor:
                return torch.cat(
                    [tensors[f"{name}.attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
                )

            return Layer(
                config["num_attention_heads"],
                Linear(qkv("weight"), qkv("bias")),
                linear(f"{name}.attention.output.dense"),
                norm(f"{name}.attention.output.LayerNorm"),
                linear(f"{name}.intermediate.dense", gelu=True),
                linear(f"{name}.output.dense"),
                norm(f"{name}.output.LayerNorm"),
            )

        # Every token is of type 0 in a sentence encoder, so its type's vector is part of the position's.
        positions = (
            tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        layers = [layer(f"encoder.layer.{i}") for i in range(config["num_hidden_layers"])]
        is_fp32_on_cpu = positions.device.type == "cpu" and positions.dtype is torch.float32
        self._few = FewTokens({name: t.numpy() for name, t in tensors.items()}, config) if is_fp32_on_cpu else None
        self._forward = compiled(
            Forward(tensors["embeddings.word_embeddings.weight"], positions, norm("embeddings.LayerNorm"), layers)
        )

    def __call__(self, ids: Tensor, lengths: list[int]) -> Tensor:
        """int64 ``[tokens]``, text after text, and the tokens of each text, to ``[texts, dimensions]``."""
        if self._few is not None and len(ids) <= FEW_ROWS:
            return torch.from_numpy(self._few(np.split(ids.numpy(), np.cumsum(lengths)[:-1])))
        return self._forward(ids, lengths)


def load(
    folder: Path, device: torch.device, dtype: torch.dtype, prompts: Prompts
) -> tuple[BertEncoder, TokenWindows] | None:
    """The encoder in ``folder`` and its windows, or None when the model there is not a plain BERT sentence encoder."""
    modules = _json(folder / "modules.json")
    if not isinstance(modules, list) or tuple(m["type"].rpartition(".")[2] for m in modules) != MODULES:
        return None
    config, pooling = _json(folder / "config.json"), _json(folder / modules[1]["path"] / "config.json")
    sentence = _json(folder / "sentence_bert_config.json")
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
        and pooling.get("include_prompt", True)
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
        prompts,
    )
    return BertEncoder(tensors, config, config["hidden_size"]), windows


def _mean(pooling: dict[str, Any]) -> bool:
    """Mean pooling and nothing else, in either spelling of the pooling module's configuration."""
    if "pooling_mode" in pooling:
        return bool(pooling["pooling_mode"] == "mean")
    modes = {key for key, value in pooling.items() if key.startswith("pooling_mode_") and value}
    return modes == {"pooling_mode_mean_tokens"}


def _json(file: Path) -> Any:
    """The file's content, or an empty mapping when there is none."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
