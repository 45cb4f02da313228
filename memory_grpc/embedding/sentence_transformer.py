"""The default provider: a sentence-transformers model in this process, on the CPU unless told otherwise."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import structlog
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from memory_grpc.errors import EmbeddingUnavailable, StartupError

from . import bert, model_files, prompts
from .prompts import Prompts
from .provider import ModelIdentity, Vectors, Window, checked, normalised
from .tokens import TokenWindows

CPU_BATCH_TOKENS = 512
"""Padded tokens in one batch on a CPU. Measured on real turns, 256 to 768 embed most per CPU second; 2,048 10 % less,
since its activations leave the caches. The smaller the batch, the shorter the wait for the one that is running."""
ACCELERATOR_BATCH_TOKENS = 16384

ATTENTION_SHARE = 0.2
"""What a padded place costs of a token, where only attention is padded."""

Forward = Callable[[Sequence[Window]], Tensor]
"""Windows to normalised vectors ``[windows, dimensions]``."""

log = structlog.get_logger(__name__)


class SentenceTransformerProvider:
    """Vectors equal to ``SentenceTransformer.encode_query`` and ``encode_document`` (``normalize_embeddings=True``,
    ``truncate_dim=dimensions``) within 1e-5 in fp32."""

    def __init__(
        self,
        name: str,
        *,
        device: str = "cpu",
        precision: Literal["fp32", "bf16", "auto"] = "fp32",
        dimensions: int | None = None,
        query_prompt: str = "",
        document_prompt: str = "",
    ) -> None:
        """Load the model called ``name``; StartupError in one sentence when it cannot be.

        Longer vectors are cut to ``dimensions``. Prompts are as in the settings: an empty one is the
        model's own.
        """
        folder = model_files.resolve(name)
        chosen: Literal["fp32", "bf16"] = "fp32"
        if precision == "bf16" or (precision == "auto" and native_bf16(device)):
            chosen = "bf16"
        dtype = torch.bfloat16 if chosen == "bf16" else torch.float32
        # Two intra-op threads on contended cores collapse; parallelism comes from the inference threads.
        torch.set_num_threads(1)
        self._thread = threading.local()
        try:
            self._device = torch.device(device)
            texts = prompts.chosen(prompts.of_model(folder), query_prompt, document_prompt)
            loaded = bert.load(folder, self._device, dtype, texts)
            self._forward, self._tokens, width = (
                _plain_bert(*loaded, self._device) if loaded else _general(folder, self._device, dtype, texts)
            )
            self._padding_cost = ATTENTION_SHARE if loaded else 1.0
            self._is_cut = dimensions is not None and dimensions < width
            revision = texts.revision(model_files.weights_digest(folder)[:16])
            self._identity = ModelIdentity(name, revision, chosen, min(width, dimensions or width))
            # A model that gives NaN, or cannot run on the device, is found now and not by the first message.
            self.encode(self.windows("warm up"))
        except StartupError:
            raise
        except Exception as error:
            raise StartupError(
                f"The embedding model in {folder} cannot be loaded on {device}: {type(error).__name__}."
            ) from error
        log.info(
            "embedding_model_loaded",
            model=name,
            revision=self._identity.revision,
            dimensions=self._identity.dimensions,
            of_dimensions=width,
            has_query_prompt=bool(texts.query),
            has_document_prompt=bool(texts.document),
            device=device,
            precision=chosen,
            precision_setting=precision,
            forward="bert" if loaded else "sentence_transformers",
        )

    @property
    def identity(self) -> ModelIdentity:
        return self._identity

    @property
    def max_batch_length(self) -> int:
        return CPU_BATCH_TOKENS if self._device.type == "cpu" else ACCELERATOR_BATCH_TOKENS

    @property
    def padding_cost(self) -> float:
        return self._padding_cost

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokens.tokenizer

    def windows(self, text: str, *, is_query: bool = False) -> list[Window]:
        return self._tokens.windows(text, is_query=is_query)

    def encode(self, windows: Sequence[Window]) -> Vectors:
        if not hasattr(self._thread, "ready"):
            # OpenMP keeps the thread count per calling thread, so each inference thread sets its own.
            torch.set_num_threads(1)
            self._thread.ready = True
        try:
            with torch.inference_mode():
                result = self._forward(windows).float().cpu().numpy()
        except Exception as error:  # neither runtime names its own
            raise EmbeddingUnavailable("The embedding model failed on this batch.") from error
        if self._is_cut:  # the first so many places, of length 1 again (Kusupati et al. 2022, Matryoshka)
            result = normalised(result[:, : self._identity.dimensions].astype(np.float64))
        return checked(result, self._identity.dimensions, len(windows))

    def close(self) -> None:
        """Nothing to do: the weights go with the last reference."""


def native_bf16(device: str) -> bool:
    """Whether bf16 is computed in hardware here: avx512_bf16 or AMX on a CPU, the driver's word on a CUDA card."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if kind != "cpu":
        return False
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return bool({"avx512_bf16", "amx_bf16"} & set(flags.split()))


def _plain_bert(
    encoder: bert.BertEncoder, tokens: TokenWindows, device: torch.device
) -> tuple[Forward, TokenWindows, int]:
    def forward(windows: Sequence[Window]) -> Tensor:
        ids = np.concatenate([window.payload for window in windows])
        return encoder(torch.from_numpy(ids).to(device), [window.length for window in windows])

    return forward, tokens, encoder.dimensions


def _general(
    folder: Path, device: torch.device, dtype: torch.dtype, texts: Prompts
) -> tuple[Forward, TokenWindows, int]:
    """Any other model, through the modules sentence-transformers builds for it."""
    from sentence_transformers import SentenceTransformer

    model: Any = SentenceTransformer(
        str(folder), device=str(device), local_files_only=True, model_kwargs={"dtype": dtype}
    )
    model.eval()
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise StartupError(f"The embedding model in {folder} has no fast tokenizer (tokenizer.json).")
    tokens = TokenWindows(backend, model.max_seq_length or 512, model.tokenizer.pad_token_id or 0, texts)
    # Some models read the prompt, and leave its tokens out when they pool.
    before = {is_query: tokens.prompt_length(is_query=is_query) for is_query in (True, False)}

    def forward(windows: Sequence[Window]) -> Tensor:
        padded = (torch.from_numpy(array).to(device) for array in tokens.padded(windows))
        features: dict[str, Any] = dict(zip(("input_ids", "attention_mask"), padded, strict=True))
        if length := before[windows[0].is_query]:
            features["prompt_length"] = length
        vectors: Tensor = model(features)["sentence_embedding"]
        return functional.normalize(vectors.float(), dim=1)

    return forward, tokens, int(model.get_embedding_dimension())
