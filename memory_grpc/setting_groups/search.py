"""Ranking, graphs, and the weights of the hybrid relevance."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from memory_grpc.setting_types import File, TimeZone


class Search(BaseModel):
    """Search."""

    search_ranking: Literal["semantic", "hybrid"] = Field(
        "semantic", description="Ranking of searches that name none: the documented score, or hybrid."
    )
    time_zone: TimeZone = Field(
        "UTC", description='Whose days "yesterday" and the like are in queries that do not say: an IANA time zone.'
    )
    search_text_config: str = Field(
        "english",
        pattern="^[a-z_][a-z0-9_]*$",
        description="Postgres text-search configuration of the hybrid ranking: stemming and stop words of a language.",
    )
    context_tokenizer: File = Field(
        None,
        description="A tokenizer.json that counts the tokens of contexts. Unset: the embedding model's own; where that "
        "has none, 4 bytes are a token.",
    )
    graph_threshold: int = Field(
        50_000,
        ge=0,
        description="Messages from which on a tenant gets a graph of its own instead of being scanned; 0 for never.",
    )
    graph_check_seconds: float = Field(60.0, gt=0, description="Time between two looks for tenants that need a graph.")
    graph_build_memory_mb: int = Field(
        1024, ge=64, le=1_000_000, description="Memory of Postgres that building one graph may take, in megabytes."
    )
    hybrid_lexical_weight: float = Field(0.25, ge=0, le=10, description="Weight of words in the hybrid relevance.")
    hybrid_conversation_weight: float = Field(
        0.4, ge=0, le=10, description="Weight of the best turn of the conversation in the hybrid relevance."
    )
    hybrid_date_weight: float = Field(
        0.3, ge=0, le=10, description="Weight of a date that the query names in the hybrid relevance."
    )
    hybrid_speaker_weight: float = Field(
        0.3, ge=0, le=10, description="Weight of a speaker that the query names in the hybrid relevance."
    )
    hybrid_previous_weight: float = Field(
        0.5, ge=0, le=1, description="Share of the words of the turn before that count for a message too."
    )
    hybrid_names_to_i: bool = Field(
        True, description='Embed hybrid queries with the names of participants as "I", as turns speak of themselves.'
    )
