"""Text to vectors: providers (who embeds) and the Embedder (how asyncio callers share one)."""

from __future__ import annotations

from memory_grpc.errors import StartupError
from memory_grpc.settings import Settings

from .batcher import Embedder
from .provider import EmbeddingProvider, ModelIdentity, Vectors, Window, checked

__all__ = [
    "Embedder",
    "EmbeddingProvider",
    "ModelIdentity",
    "Vectors",
    "Window",
    "checked",
    "create_provider",
]


def create_provider(settings: Settings) -> EmbeddingProvider:
    """The provider the settings name, loaded and ready; blocks for seconds while a local model loads.

    StartupError, in one sentence, when it cannot be had or its vectors are not of ``embedding_dimensions``.
    """
    provider = _provider(settings)
    found = provider.identity.dimensions
    if found != settings.embedding_dimensions:
        provider.close()
        raise StartupError(
            f"The embedding model {settings.embedding_model_name!r} gives vectors of {found} dimensions, but "
            f"MEMORY_EMBEDDING_DIMENSIONS is {settings.embedding_dimensions}."
        )
    return provider


def _provider(settings: Settings) -> EmbeddingProvider:
    # Imported where chosen: torch costs seconds and hundreds of megabytes that the other providers do not need.
    if settings.embedding_provider == "hashing":
        from .hashing import HashingProvider

        return HashingProvider(settings.embedding_dimensions)
    if settings.embedding_provider == "openai":
        from .local_service import past_proxies
        from .openai_compatible import OpenAICompatibleProvider

        return OpenAICompatibleProvider(
            base_url=settings.openai_base_url,
            model=settings.embedding_model_name,
            dimensions=settings.embedding_dimensions,
            api_key=settings.openai_api_key,
            timeout_seconds=settings.openai_timeout_seconds,
            max_retries=settings.openai_max_retries,
            transport=past_proxies(settings.openai_base_url),
        )
    from .sentence_transformer import SentenceTransformerProvider

    return SentenceTransformerProvider(
        settings.embedding_model_name,
        device=settings.embedding_device,
        precision=settings.embedding_precision,
    )
