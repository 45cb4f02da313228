"""The reranker of hybrid searches."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from memory_grpc.setting_types import Key


class Reranking(BaseModel):
    """Reranking."""

    rerank_provider: Literal["off", "cross_encoder", "cohere", "jina", "tei", "voyage"] = Field(
        "off",
        description="Who reads the best 50 of a hybrid search again: a model in this process, or a service that speaks "
        "as this one does.",
    )
    rerank_model: str = Field(
        "", description="Its name: a folder or a name in the Hugging Face cache, or as the service calls it."
    )
    rerank_url: str = Field("", description="Where the service takes requests, the whole address.")
    rerank_api_key: Key = Field(None, description="Its key.")
    rerank_timeout_ms: float = Field(
        1000.0, gt=0, le=60_000, description="Longest wait for it; then the search is answered without."
    )
