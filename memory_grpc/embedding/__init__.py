"""Text to vectors: providers (who embeds) and the Embedder (how asyncio callers share one)."""

from __future__ import annotations

from memory_grpc.errors import StartupError
from memory_grpc.settings import Settings

from .batcher import Embedder
from .prompts import Prompts, chosen
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

    A local model's longer vectors are cut to ``embedding_dimensions``, if that was set. StartupError, in one sentence,
    when the provider cannot be had or its vectors are not of so many dimensions.
    """
    provider = _provider(settings)
    found = provider.identity.dimensions
    if found != settings.embedding_dimensions:
        provider.close()
        # The default was not chosen for this model: most models lose their sense when they are cut.
        cut = "" if found < settings.embedding_dimensions else " by default: set it to that, or to fewer to cut them"
        raise StartupError(
            f"The embedding model {settings.embedding_model_name!r} gives vectors of {found} dimensions, but "
            f"MEMORY_EMBEDDING_DIMENSIONS is {settings.embedding_dimensions}{cut}."
        )
    return provider


def _provider(settings: Settings) -> EmbeddingProvider:
    # Imported where chosen: torch costs seconds and hundreds of megabytes that the other providers do not need.
    if settings.embedding_provider == "hashing":
        from .hashing import HashingProvider

        return HashingProvider(settings.embedding_dimensions)
    if settings.embedding_provider == "openai":
        from .openai_compatible import OpenAICompatibleProvider
        from .token_counts import read_tokenizer

        file = settings.embedding_tokenizer
        return OpenAICompatibleProvider(
            base_url=settings.openai_base_url,
            model=settings.embedding_model_name,
            dimensions=settings.embedding_dimensions,
            prompts=chosen(Prompts(), settings.embedding_query_prompt, settings.embedding_document_prompt),
            tokenizer=read_tokenizer(file, "MEMORY_EMBEDDING_TOKENIZER") if file else None,
            max_tokens=settings.embedding_max_tokens,
            api_key=settings.openai_api_key,
            timeout_seconds=settings.openai_timeout_seconds,
            max_retries=settings.openai_max_retries,
        )
    from .sentence_transformer import SentenceTransformerProvider

    return SentenceTransformerProvider(
        settings.embedding_model_name,
        device=settings.embedding_device,
        precision=settings.embedding_precision,
        dimensions=settings.embedding_dimensions if "embedding_dimensions" in settings.model_fields_set else None,
        query_prompt=settings.embedding_query_prompt,
        document_prompt=settings.embedding_document_prompt,
    )
