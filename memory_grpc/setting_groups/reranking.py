"""The reranker of hybrid searches."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from memory_grpc.setting_types import Secret


class Reranking(BaseModel):
    """Reranking."""

    rerank_provider: Literal["off", "cross_encoder", "cohere", "jina", "tei", "voyage"] = Field(
        "off",
        description="What rereads the best 50 hits of a hybrid search: a model in this process, or a "
        "service with one of these APIs.",
    )
    rerank_model: str = Field(
        "",
        description="Name of the reranking model: a folder, a name in the Hugging Face cache, or the "
        "service's name for it.",
    )
    rerank_url: str = Field("", description="Full URL of the service's reranking endpoint.")
    rerank_api_key: Secret = Field(None, description="API key for it.")
    rerank_timeout_ms: float = Field(
        1000.0,
        gt=0,
        le=60_000,
        description="Longest wait for the reranker; after that the search is answered without it.",
    )
