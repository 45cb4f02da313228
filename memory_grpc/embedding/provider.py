"""What an embedding model must offer, whoever runs it.

A provider is synchronous and knows nothing of asyncio, queues or callers: ``batcher.Embedder`` calls ``encode`` from
its inference threads. Adding a provider means writing these members and one branch in ``create_provider``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from memory_grpc.errors import EmbeddingUnavailable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]
"""float32, either ``[dimensions]`` or ``[n, dimensions]``, every row of length 1."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model made a vector. Vectors of different identities must never be compared with each other."""

    name: str
    revision: str
    """Hex digest (shortened) of the weights, or of the model's name where the weights are out of sight."""
    precision: str
    """``fp32`` or ``bf16`` for a local model, ``remote`` for an API's."""
    dimensions: int

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}/{self.precision}/{self.dimensions}"


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A piece of a text that fits the model, prepared for it; opaque to everyone but the provider that made it."""

    length: int
    """Cost in the provider's own unit (tokens, words, characters): windows of similar length batch well."""
    payload: Any
    is_query: bool = False
    """Of a query, and not of a message. A batch is of one or the other."""


class EmbeddingProvider(Protocol):
    """An embedding model."""

    @property
    def identity(self) -> ModelIdentity:
        """The model behind the vectors; constant for the provider's life."""

    @property
    def max_batch_length(self) -> int:
        """Largest useful batch, in the unit of ``Window.length``. One window alone may be longer."""

    @property
    def padding_cost(self) -> float:
        """What padding a window by one costs, where one unit of its length costs 1; 0 when windows are not padded."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The model's own tokenizer, neither cutting nor padding; None where it is out of reach. Thread-safe."""

    def windows(self, text: str, *, is_query: bool = False) -> list[Window]:
        """The text as overlapping windows, at least one; exactly one when it fits the model. Thread-safe.

        Each window begins with the model's prompt for queries, or for messages, where it has one.
        """

    def encode(self, windows: Sequence[Window]) -> Vectors:
        """Embed: float32 ``[len(windows), dimensions]``, rows of length 1, in order.

        Blocks; called from several threads at once. Raises ``ProviderDown`` when no text is at fault, and
        ``EmbeddingUnavailable`` when one may be.
        """

    def close(self) -> None:
        """Release what is held; a blocked ``encode`` returns soon. Calling it twice is harmless."""


def normalised(vectors: npt.NDArray[np.float64]) -> Vectors:
    """Rows scaled to length 1, as float32; zero, infinite and NaN rows stay unfit, for ``checked`` to refuse."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        scaled: Vectors = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


_LARGEST_HALF = 65504.0


def checked(vectors: npt.NDArray[Any], dimensions: int, count: int) -> Vectors:
    """``vectors`` as contiguous float32 ``[count, dimensions]``; EmbeddingUnavailable for anything unfit to store.

    Unfit is: another shape, NaN or infinity, numbers past what Postgres stores in 16 bits, a zero vector.
    """
    check_shape(vectors, dimensions, count)
    with np.errstate(over="ignore"):
        result: Vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if not (np.abs(result) <= _LARGEST_HALF).all():  # false for NaN too
        raise EmbeddingUnavailable("The embedding model returned a vector that is not finite.")
    if not result.any(axis=1).all():
        raise EmbeddingUnavailable("The embedding model returned a zero vector.")
    return result


def check_shape(vectors: npt.NDArray[Any], dimensions: int, count: int) -> None:
    """EmbeddingUnavailable unless ``vectors`` is ``[count, dimensions]``."""
    if vectors.shape == (count, dimensions):
        return
    if vectors.ndim == 2 and vectors.shape[0] == count:
        raise EmbeddingUnavailable(
            f"The embedding model returned vectors of {vectors.shape[1]} dimensions; {dimensions} are configured."
        )
    raise EmbeddingUnavailable("The embedding model returned the wrong number of vectors.")


def spans(total: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open ``(start, end)`` pieces of ``range(total)``, at most ``size`` long, neighbours sharing ``overlap``.

    One piece when everything fits. The last one is as long as the others (its overlap may be larger), so that no
    piece is left with a few units and no context.
    """
    if total <= size:
        return [(0, total)]
    step = size - overlap
    starts = [*range(0, total - size, step), total - size]
    return [(start, start + size) for start in starts]
