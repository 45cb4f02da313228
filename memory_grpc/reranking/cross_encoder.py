"""A cross-encoder of sentence-transformers in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import structlog
import torch

from memory_grpc.embedding import model_files
from memory_grpc.errors import StartupError

from .reranker import RerankFailed, RerankLate, fitted

BATCH = 8
"""Pairs of query and text in a batch: between two, a search that is late is given up."""
MOST_INSIDE = 4
"""Searches that wait or are read; those past that would be late, and are told so at once."""

log = structlog.get_logger(__name__)


class CrossEncoderReranker:
    """One thread, which is one core: the tokenizer is no two threads' at once."""

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        """Load the model called ``name``, a folder or a name in the local cache; StartupError when it cannot be."""
        if not name:
            raise StartupError("MEMORY_RERANK_MODEL must name the reranker, or its folder.")
        folder = model_files.resolve(name, "reranker")
        # Imported here, to be refused for its name first: it takes seconds.
        from sentence_transformers import CrossEncoder

        self._inside = 0
        # As for embeddings: two intra-op threads on contended cores collapse.
        self._thread = ThreadPoolExecutor(1, "reranker", initializer=torch.set_num_threads, initargs=(1,))
        try:
            self._model: Any = CrossEncoder(str(folder), device=device, local_files_only=True)
            labels = self._model.num_labels
            if labels == 1:
                # A model that gives NaN, or cannot run on the device, is found now and not by the first search.
                self._thread.submit(self._scores, "warm up", ["warm up"], threading.Event()).result()
        except Exception as error:
            self._thread.shutdown()
            raise StartupError(
                f"The reranker in {folder} cannot be loaded on {device}: {type(error).__name__}."
            ) from error
        if labels != 1:
            self._thread.shutdown()
            raise StartupError(
                f"The model in {folder} is not a reranker: it returns {labels} scores for a pair instead of one."
            )
        log.info("reranker_loaded", model=name, revision=model_files.weights_digest(folder)[:16], device=device)

    async def scores(self, query: str, texts: Sequence[str], seconds: float) -> list[float]:
        """The sigmoid of the model's score of each pair, whatever the model's own activation is.

        The model reads as many tokens as it can of a pair.
        """
        if self._inside >= MOST_INSIDE:
            raise RerankLate
        late = threading.Event()
        self._inside += 1
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._scores, query, list(texts), late
                )
        except TimeoutError:
            raise RerankLate from None
        finally:
            late.set()
            self._inside -= 1

    async def close(self) -> None:
        """Waits for the batch that is being read."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _scores(self, query: str, texts: list[str], late: threading.Event) -> list[float]:
        scores = np.zeros(len(texts))
        # Similar lengths together: the same texts in the same batches, whatever order they come in.
        order = sorted(range(len(texts)), key=lambda at: (len(texts[at]), texts[at]))
        for start in range(0, len(order), BATCH):
            if late.is_set():
                raise RerankLate
            batch = order[start : start + BATCH]
            try:
                scores[batch] = self._model.predict(
                    [(query, texts[at]) for at in batch],
                    batch_size=BATCH,
                    activation_fn=torch.nn.Sigmoid(),
                    show_progress_bar=False,
                )
            except Exception as error:
                raise RerankFailed(f"The reranker failed: {type(error).__name__}.") from error
        return fitted(scores.tolist(), len(texts))
