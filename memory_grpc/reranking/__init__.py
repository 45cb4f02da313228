"""Rerankers: models that read a query and a message together. An option; without one, searches do not miss it."""

from __future__ import annotations

from memory_grpc.settings import Settings

from .reranker import Reranker, RerankFailed, RerankLate, RerankPaused

__all__ = ["RerankFailed", "RerankLate", "RerankPaused", "Reranker", "create_reranker"]


def create_reranker(settings: Settings) -> Reranker | None:
    """The reranker that the settings name, loaded and ready; None where they name none. Blocks while a model loads.

    StartupError, in one sentence, when it cannot be had.
    """
    provider = settings.rerank_provider
    if provider == "off":
        return None
    # Imported where chosen, as embedding providers are.
    if provider == "cross_encoder":
        from .cross_encoder import CrossEncoderReranker

        return CrossEncoderReranker(settings.rerank_model, device=settings.embedding_device)
    from .service import RerankService

    return RerankService(
        provider,
        url=settings.rerank_url,
        model=settings.rerank_model,
        api_key=settings.rerank_api_key,
        timeout_seconds=settings.rerank_timeout_ms / 1000,
    )
